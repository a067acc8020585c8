//! Doc comments as help texts.

use syn::{Attribute, Expr, ExprLit, Lit, Meta};

/// A doc comment's lines, joined: first paragraph and the rest.
pub(crate) struct Docs {
    pub(crate) summary: String,
    pub(crate) rest: String,
}

/// Reads the doc comment among these attributes.
pub(crate) fn read(attributes: &[Attribute]) -> Docs {
    let lines: Vec<String> = attributes.iter().filter_map(line).collect();
    let text = lines.join("\n");
    let (summary, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
    Docs { summary: one_line(summary), rest: rest.trim().to_owned() }
}

impl Docs {
    /// Summary and rest in one.
    pub(crate) fn whole(&self) -> String {
        if self.rest.is_empty() { self.summary.clone() } else { format!("{}\n\n{}", self.summary, self.rest) }
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn line(attribute: &Attribute) -> Option<String> {
    match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value().trim().to_owned()),
            _ => None,
        },
        _ => None,
    }
}
