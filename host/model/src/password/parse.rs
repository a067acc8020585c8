//! From text to policy: HCL or JSON, with a length and at least one set of characters.

use super::{LENGTH_MAX, LENGTH_MIN, PasswordPolicy, PasswordPolicyError as Error};
use crate::hcl::{self, Item, Value};

impl PasswordPolicy {
    /// Reads a policy. Names that it does not know are passed over, as Vault does.
    ///
    /// # Errors
    /// [`PasswordPolicyError`](Error): not HCL, or no password could fulfil it.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let items = hcl::parse(text).map_err(Error::Syntax)?;
        let mut length = 0;
        let mut rules = Vec::new();
        for item in &items {
            if item.key.eq_ignore_ascii_case("length") {
                length = number(&item.value).map_err(Error::Length)?;
            } else if item.key == "rule" {
                add_rules(item, &mut rules).map_err(Error::Rule)?;
            }
        }
        sensible(length, &rules)?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if !(LENGTH_MIN..=LENGTH_MAX).contains(&length) {
            return Err(Error::Bounds);
        }
        Ok(Self::new(length, rules))
    }
}

/// A set of characters, and how many of them at least.
type Rule = (Vec<char>, usize);

/// Whether there can be a password at all. Everything that is wrong is told at once.
fn sensible(length: i64, rules: &[Rule]) -> Result<(), Error> {
    let mut faults = Vec::new();
    let demanded = rules.iter().fold(0_usize, |sum, (_, min_chars)| sum.saturating_add(*min_chars));
    if length <= 0 {
        faults.push("length must be > 0".to_owned());
    } else if usize::try_from(length).is_ok_and(|length| demanded > length) {
        faults.push(format!("specified rules require at least {demanded} characters but {length} is specified"));
    }
    let mut all = rules.iter().flat_map(|(charset, _)| charset);
    if all.clone().next().is_none() {
        faults.push("no charset specified".to_owned());
    } else if all.any(|c| !is_printable(*c)) {
        faults.push("non-printable character in charset".to_owned());
    }
    // Such a rule cannot be fulfilled, whatever the others allow.
    if rules.iter().any(|(charset, min_chars)| charset.is_empty() && *min_chars > 0) && faults.is_empty() {
        faults.push("a rule has a minimum but no charset".to_owned());
    }
    if faults.is_empty() { Ok(()) } else { Err(Error::Meaning(faults)) }
}

/// What a rule stanza holds: its type is its label. In JSON, where lists stand within
/// objects, the types are the names in the stanza.
fn add_rules(item: &Item, rules: &mut Vec<Rule>) -> Result<(), String> {
    match (&item.labels[..], &item.value) {
        ([kind], Value::Body(body)) => rules.push(rule(kind, body)?),
        ([], Value::Body(inner)) if inner.iter().all(|i| matches!(i.value, Value::Body(_))) => {
            for Item { key, value, .. } in inner {
                let Value::Body(body) = value else { continue };
                rules.push(rule(key, body)?);
            }
        }
        _ => return Err(format!("the rule on line {} needs one type and a block", item.line)),
    }
    Ok(())
}

fn rule(kind: &str, body: &[Item]) -> Result<Rule, String> {
    if kind != "charset" {
        return Err(format!("unable to parse rule {kind}: unrecognized rule type {kind}"));
    }
    let failed = |text: String| {
        format!(
            "unable to parse rule charset: failed to parse charset restriction: decoding failed due to the following \
             error(s):\n\n{text}"
        )
    };
    let (mut charset, mut min_chars) = (Vec::new(), 0);
    for item in body {
        if item.key.eq_ignore_ascii_case("charset") {
            let Value::Str(text) = &item.value else {
                return Err(failed(format!("'charset' must be a string, not {}", item.value.kind())));
            };
            charset = text.chars().collect();
        } else if item.key.eq_ignore_ascii_case("min-chars") {
            min_chars = number(&item.value)
                .map_err(|kind| failed(format!("'min-chars' expected type 'int', got unconvertible type '{kind}'")))?;
        }
    }
    // A negative minimum demands nothing.
    Ok((charset, usize::try_from(min_chars.max(0)).unwrap_or(usize::MAX)))
}

/// A number without what stands behind its point; else the type that Go names.
fn number(value: &Value) -> Result<i64, &'static str> {
    match value {
        Value::Num(text) => {
            let whole = text.split_once('.').map_or(text.as_str(), |(whole, _)| whole);
            whole.parse().map_err(|_| "float64")
        }
        Value::Str(_) => Err("string"),
        Value::Bool(_) => Err("bool"),
        Value::List(_) => Err("[]interface {}"),
        Value::Body(_) => Err("map[string]interface {}"),
    }
}

/// Whether a character shows: letters, digits, signs and the plain space do; controls,
/// other blanks, invisible and unassigned ones do not, as somebody may have to type it.
fn is_printable(c: char) -> bool {
    matches!(c, '"' | '\'' | '\\') || c.escape_debug().len() == 1
}
