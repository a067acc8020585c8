//! The text of a template, read.

use super::functions::is_known;
use super::{Command, Operand, Part, Pipeline};

/// How deep parentheses may stand in one another: reading them takes of the guest's small stack.
const DEPTH_MAX: usize = 8;

/// What Go's templates have beside, and these do not.
const CONTROLS: [&str; 10] = ["if", "else", "end", "range", "with", "define", "template", "block", "break", "continue"];

/// The parts of a template.
pub(super) fn parts(text: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find("{{") {
        let mut before = &rest[..open];
        let mut inner = &rest[open + 2..];
        if let Some(trimmed) = inner.strip_prefix('-').filter(|inner| inner.starts_with(char::is_whitespace)) {
            before = before.trim_end();
            inner = trimmed;
        }
        push_text(&mut parts, before);
        if inner.trim_start().starts_with("/*") {
            rest = after_comment(inner.trim_start())?;
            continue;
        }
        let (pipeline, after) = action(inner)?;
        parts.push(Part::Action(pipeline));
        rest = after;
    }
    push_text(&mut parts, rest);
    Ok(parts)
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    if !text.is_empty() {
        parts.push(Part::Text(text.to_owned()));
    }
}

fn after_comment(inner: &str) -> Result<&str, String> {
    let end = inner.find("*/").ok_or("unclosed comment")?;
    closed(inner[end + 2..].trim_start()).ok_or_else(|| "comment ends before closing delimiter".to_owned())
}

/// What stands after the end of an action that is due here.
fn closed(text: &str) -> Option<&str> {
    text.strip_prefix("-}}").map(str::trim_start).or_else(|| text.strip_prefix("}}"))
}

/// An action, and what stands after it.
fn action(inner: &str) -> Result<(Pipeline, &str), String> {
    let mut reader = Reader { rest: inner, depth: 0 };
    let pipeline = reader.pipeline()?;
    reader.skip_space();
    let after = closed(reader.rest).ok_or_else(|| reader.unexpected("in action"))?;
    Ok((pipeline, after))
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn unexpected(&self, place: &str) -> String {
        match self.rest.chars().next() {
            None => "unclosed action".to_owned(),
            Some(c) => format!("unexpected {c:?} {place}"),
        }
    }

    fn pipeline(&mut self) -> Result<Pipeline, String> {
        let mut pipeline = vec![self.command()?];
        loop {
            self.skip_space();
            match self.rest.strip_prefix('|') {
                Some(rest) => self.rest = rest,
                None => return Ok(pipeline),
            }
            pipeline.push(match self.command()? {
                call @ Command::Call(..) => call,
                Command::Value(_) => return Err("non executable command in pipeline stage 2".to_owned()),
            });
        }
    }

    fn command(&mut self) -> Result<Command, String> {
        self.skip_space();
        let word = self.word();
        if word.is_empty() {
            let operand = self.operand()?.ok_or_else(|| self.missing())?;
            return match self.operand()? {
                None => Ok(Command::Value(operand)),
                Some(_) => Err("can't give argument to non-function".to_owned()),
            };
        }
        if CONTROLS.contains(&word) {
            return Err(format!("{{{{{word}}}}} is not supported in templates of user names"));
        }
        if !is_known(word) {
            return Err(format!("function {word:?} not defined"));
        }
        self.rest = &self.rest[word.len()..];
        let mut operands = Vec::new();
        while let Some(operand) = self.operand()? {
            operands.push(operand);
        }
        Ok(Command::Call(word.to_owned(), operands))
    }

    fn missing(&self) -> String {
        if self.rest.starts_with("}}") || self.rest.starts_with("-}}") || self.rest.starts_with('|') {
            return "missing value for command".to_owned();
        }
        self.unexpected("in command")
    }

    /// The name that stands here, which is left standing.
    fn word(&self) -> &'a str {
        let length = self.rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(self.rest.len());
        let word = &self.rest[..length];
        if word.starts_with(|c: char| c.is_ascii_digit()) { "" } else { word }
    }

    /// The next argument, if there is one.
    fn operand(&mut self) -> Result<Option<Operand>, String> {
        self.skip_space();
        let operand = match self.rest.chars().next() {
            None => return Err("unclosed action".to_owned()),
            Some('|' | ')' | '}') => return Ok(None),
            Some('-') if self.rest.starts_with("-}}") => return Ok(None),
            Some('.') => self.field()?,
            Some('"') => self.quoted()?,
            Some('`') => self.raw()?,
            Some('(') => self.parenthesised()?,
            Some('0'..='9' | '-' | '+') => self.number()?,
            Some('$') => return Err("variables are not supported in templates of user names".to_owned()),
            Some(_) => self.bare()?,
        };
        Ok(Some(operand))
    }

    fn field(&mut self) -> Result<Operand, String> {
        self.rest = &self.rest[1..];
        let name = self.word();
        self.rest = &self.rest[name.len()..];
        if name.is_empty() || self.rest.starts_with('.') {
            return Err("only single members, such as .RoleName, are supported".to_owned());
        }
        Ok(Operand::Field(name.to_owned()))
    }

    /// A function that takes no arguments, as an argument: `truncate 8 uuid`.
    fn bare(&mut self) -> Result<Operand, String> {
        let word = self.word();
        if !word.is_empty() && is_known(word) {
            self.rest = &self.rest[word.len()..];
            return Ok(Operand::Pipeline(vec![Command::Call(word.to_owned(), Vec::new())]));
        }
        if word.is_empty() { Err(self.unexpected("in operand")) } else { Err(format!("function {word:?} not defined")) }
    }

    fn number(&mut self) -> Result<Operand, String> {
        let length = self.rest[1..].find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'));
        let text = &self.rest[..length.map_or(self.rest.len(), |length| length + 1)];
        let number = text.parse().map_err(|_| format!("bad number syntax: {text:?}"))?;
        self.rest = &self.rest[text.len()..];
        Ok(Operand::Number(number))
    }

    fn raw(&mut self) -> Result<Operand, String> {
        let inner = &self.rest[1..];
        let end = inner.find('`').ok_or("unterminated raw quoted string")?;
        self.rest = &inner[end + 1..];
        Ok(Operand::Text(inner[..end].to_owned()))
    }

    fn quoted(&mut self) -> Result<Operand, String> {
        let mut text = String::new();
        let mut signs = self.rest.char_indices().skip(1);
        while let Some((at, c)) = signs.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(Operand::Text(text));
                }
                '\n' => break,
                '\\' => text.push(match signs.next().map(|(_, c)| c) {
                    Some('n') => '\n',
                    Some('t') => '\t',
                    Some(c @ ('"' | '\\')) => c,
                    Some(c) => return Err(format!("\\{c} is not supported in quotes")),
                    None => break,
                }),
                c => text.push(c),
            }
        }
        Err("unterminated quoted string".to_owned())
    }

    fn parenthesised(&mut self) -> Result<Operand, String> {
        if self.depth == DEPTH_MAX {
            return Err(format!("parentheses are more than {DEPTH_MAX} deep"));
        }
        self.depth += 1;
        self.rest = &self.rest[1..];
        let inner = self.pipeline()?;
        self.skip_space();
        self.rest = self.rest.strip_prefix(')').ok_or("unclosed left paren")?;
        self.depth -= 1;
        Ok(Operand::Pipeline(inner))
    }
}
