//! Templates of user names, in the part of Go's `text/template` that Vault documents for them:
//! `{{ }}` with pipelines and parentheses, members of the data (`.RoleName`), texts, numbers, and
//! the functions `random`, `truncate`, `truncate_sha256`, `uppercase`, `lowercase`, `replace`,
//! `sha256`, `base64`, `hex`, `unix_time`, `unix_time_millis`, `timestamp`, `uuid` and `printf` with
//! `%s`, `%d`, `%v` and widths. Anything else is refused by its name.

use crate::{Cx, Error, Result};

mod functions;
mod layout;
mod parse;

/// Longest template, in bytes.
const TEMPLATE_BYTES_MAX: usize = 4096;

/// Longest text that one comes to, on the way and in the end, in bytes.
const TEXT_BYTES_MAX: usize = 16_384;

/// A template that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Action(Pipeline),
}

/// Commands, of which each gets what the one before gave as its last argument.
type Pipeline = Vec<Command>;

/// What stands between two bars.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Command {
    /// A function of those that there are, and its arguments.
    Call(String, Vec<Operand>),
    /// A value by itself.
    Value(Operand),
}

/// A value in a template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Operand {
    Text(String),
    Number(i64),
    /// A member of the data.
    Field(String),
    Pipeline(Pipeline),
}

/// What a command gives.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Text(String),
    Number(i64),
}

impl Template {
    /// Understands a template.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`]: what is not understood.
    pub fn parse(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Err(Error::invalid("missing template"));
        }
        if text.len() > TEMPLATE_BYTES_MAX {
            return Err(Error::invalid(format!("unable to parse template: it is over {TEMPLATE_BYTES_MAX} bytes")));
        }
        parse::parts(text).map(Self).map_err(|told| Error::invalid(format!("unable to parse template: {told}")))
    }

    /// What it comes to with these members, named without the dot.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`]: a function cannot do with what it is given, or there is no such
    /// member.
    pub fn render(&self, cx: &Cx, data: &[(&str, &str)]) -> Result<String> {
        let mut out = String::new();
        let failed = |told: String| Error::invalid(format!("unable to apply template: {told}"));
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Action(pipeline) => out.push_str(&run(cx, pipeline, data).map_err(failed)?.text()),
            }
            if out.len() > TEXT_BYTES_MAX {
                return Err(failed(too_long()));
            }
        }
        Ok(out)
    }
}

impl Value {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
        }
    }
}

fn too_long() -> String {
    format!("it comes to more than {TEXT_BYTES_MAX} bytes")
}

fn run(cx: &Cx, pipeline: &Pipeline, data: &[(&str, &str)]) -> Result<Value, String> {
    let mut before = None;
    for command in pipeline {
        before = Some(match command {
            Command::Value(operand) if before.is_none() => value(cx, operand, data)?,
            Command::Value(_) => return Err("a value cannot take what stands before the bar".to_owned()),
            Command::Call(name, operands) => {
                let mut arguments = operands.iter().map(|one| value(cx, one, data)).collect::<Result<Vec<_>, _>>()?;
                arguments.extend(before);
                functions::call(cx, name, arguments)?
            }
        });
    }
    before.ok_or_else(|| "missing value for command".to_owned())
}

fn value(cx: &Cx, operand: &Operand, data: &[(&str, &str)]) -> Result<Value, String> {
    match operand {
        Operand::Text(text) => Ok(Value::Text(text.clone())),
        Operand::Number(number) => Ok(Value::Number(*number)),
        Operand::Field(name) => {
            let found = data.iter().find(|(known, _)| known == name);
            found.map(|(_, text)| Value::Text((*text).to_owned())).ok_or_else(|| format!("can't evaluate field {name}"))
        }
        Operand::Pipeline(inner) => run(cx, inner, data),
    }
}

#[cfg(test)]
mod tests;
