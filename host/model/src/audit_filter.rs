//! Which requests an audit device writes: expressions over what a line tells anyway. Source: the option
//! `filter` of Vault Enterprise's audit devices, whose expressions are those of HashiCorp's other products.

use regex::{Regex, RegexBuilder};

mod scope;
mod words;

pub use scope::Scope;
use words::{Word, words};

/// Longest filter, in bytes. Source: ours. Why: each request is held against it.
pub const FILTER_BYTES_MAX: usize = 4_096;
/// Deepest nesting of parentheses and `not`. Source: ours. Why: reading and deciding recurse.
pub const FILTER_DEPTH_MAX: usize = 32;
/// Largest compiled expression of `matches`, in bytes. Source: ours. Why: few letters make a large one.
const REGEX_BYTES_MAX: usize = 256 * 1024;

/// A parsed filter.
#[derive(Debug)]
pub struct AuditFilter(Rule);

/// What a filter can ask about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Entry<'a> {
    /// Type of the mount, such as `kv`.
    pub mount_type: &'a str,
    /// Path of the mount from the root, with a slash at the end.
    pub mount_point: &'a str,
    /// Path of the request's namespace, with a slash at the end; empty in the root.
    pub namespace: &'a str,
    /// `read`, `update`, …
    pub operation: &'a str,
    /// The request's path in its namespace.
    pub path: &'a str,
}

#[derive(Debug)]
enum Rule {
    All(Vec<Rule>),
    Any(Vec<Rule>),
    Not(Box<Rule>),
    Is(Field, Test),
}

#[derive(Clone, Copy, Debug)]
enum Field {
    MountType,
    MountPoint,
    Namespace,
    Operation,
    Path,
}

#[derive(Debug)]
enum Test {
    Equal(String),
    Contains(String),
    Matches(Regex),
    Empty,
}

impl AuditFilter {
    /// Reads a filter.
    ///
    /// # Errors
    /// A text that says what is wrong, as the end of a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > FILTER_BYTES_MAX {
            return Err(format!("it is longer than {FILTER_BYTES_MAX} bytes"));
        }
        let words = words(text)?;
        let mut reader = Reader { words: &words, at: 0, depth: 0 };
        let rule = reader.any()?;
        match reader.peek() {
            None => Ok(Self(rule)),
            Some(word) => Err(format!("{word} is one too many")),
        }
    }

    /// Whether it lets an entry through.
    #[must_use]
    pub fn takes(&self, entry: &Entry<'_>) -> bool {
        self.0.holds(entry)
    }
}

impl Rule {
    fn holds(&self, entry: &Entry<'_>) -> bool {
        match self {
            Self::All(rules) => rules.iter().all(|rule| rule.holds(entry)),
            Self::Any(rules) => rules.iter().any(|rule| rule.holds(entry)),
            Self::Not(rule) => !rule.holds(entry),
            Self::Is(field, test) => test.holds(field.of(entry)),
        }
    }
}

impl Field {
    fn of<'a>(self, entry: &Entry<'a>) -> &'a str {
        match self {
            Self::MountType => entry.mount_type,
            Self::MountPoint => entry.mount_point,
            Self::Namespace => entry.namespace,
            Self::Operation => entry.operation,
            Self::Path => entry.path,
        }
    }

    /// A name, or a pointer into JSON.
    fn named(word: &Word) -> Result<Self, String> {
        let name = match word {
            Word::Bare(name) => name.as_str(),
            Word::Quoted(text) => text.strip_prefix('/').unwrap_or_default(),
            _ => "",
        };
        Ok(match name {
            "mount_type" => Self::MountType,
            "mount_point" => Self::MountPoint,
            "namespace" => Self::Namespace,
            "operation" => Self::Operation,
            "path" => Self::Path,
            _ => {
                return Err(format!(
                    "{word} is none of the properties mount_point, mount_type, namespace, operation, path"
                ));
            }
        })
    }
}

impl Test {
    fn holds(&self, value: &str) -> bool {
        match self {
            Self::Equal(text) => value == text,
            Self::Contains(text) => value.contains(text.as_str()),
            Self::Matches(regex) => regex.is_match(value),
            Self::Empty => value.is_empty(),
        }
    }

    fn matches(text: &str) -> Result<Self, String> {
        // What the parser of expressions says is many lines long, and shows the expression.
        let built = RegexBuilder::new(text).size_limit(REGEX_BYTES_MAX).dfa_size_limit(REGEX_BYTES_MAX).build();
        built.map(Self::Matches).map_err(|_| format!("{text:?} is no regular expression, or too large a one"))
    }
}

/// Reads words into rules: `or` binds least, then `and`, then `not`.
struct Reader<'a> {
    words: &'a [Word],
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<&'a Word> {
        self.words.get(self.at)
    }

    fn next(&mut self) -> Result<&'a Word, String> {
        let word = self.peek().ok_or("it ends too early")?;
        self.at += 1;
        Ok(word)
    }

    /// Takes this keyword, if it is the next word.
    fn skips(&mut self, keyword: &str) -> bool {
        let is_next = self.peek().is_some_and(|word| word.is(keyword));
        self.at += usize::from(is_next);
        is_next
    }

    fn any(&mut self) -> Result<Rule, String> {
        let mut rules = vec![self.all()?];
        while self.skips("or") {
            rules.push(self.all()?);
        }
        Ok(if rules.len() == 1 { rules.remove(0) } else { Rule::Any(rules) })
    }

    fn all(&mut self) -> Result<Rule, String> {
        let mut rules = vec![self.one()?];
        while self.skips("and") {
            rules.push(self.one()?);
        }
        Ok(if rules.len() == 1 { rules.remove(0) } else { Rule::All(rules) })
    }

    fn one(&mut self) -> Result<Rule, String> {
        let is_not = self.skips("not");
        if !is_not && !matches!(self.peek(), Some(Word::Open)) {
            return self.test();
        }
        self.depth += 1;
        if self.depth > FILTER_DEPTH_MAX {
            return Err(format!("it is nested deeper than {FILTER_DEPTH_MAX} levels"));
        }
        let rule = if is_not { Rule::Not(Box::new(self.one()?)) } else { self.in_parentheses()? };
        self.depth -= 1;
        Ok(rule)
    }

    fn in_parentheses(&mut self) -> Result<Rule, String> {
        self.next()?;
        let rule = self.any()?;
        match self.next()? {
            Word::Close => Ok(rule),
            word => Err(format!("{word} stands where a parenthesis should be closed")),
        }
    }

    /// `field == value`, `value in field`, and so on.
    fn test(&mut self) -> Result<Rule, String> {
        let first = self.next()?;
        let operator = self.next()?;
        if *operator == Word::Unequal || *operator == Word::Equal {
            let test = Test::Equal(self.value()?);
            return Ok(rule(Field::named(first)?, test, *operator == Word::Unequal));
        }
        if operator.is("is") {
            let is_not = self.skips("not");
            let empty = self.next()?;
            if !empty.is("empty") {
                return Err(format!("{empty} stands where \"empty\" should"));
            }
            return Ok(rule(Field::named(first)?, Test::Empty, is_not));
        }
        let is_not = operator.is("not");
        let operator = if is_not { self.next()? } else { operator };
        if operator.is("in") {
            let field = Field::named(self.next()?)?;
            return Ok(rule(field, Test::Contains(text(first)?), is_not));
        }
        let field = Field::named(first)?;
        let test = match operator {
            word if word.is("contains") => Test::Contains(self.value()?),
            word if word.is("matches") => Test::matches(&self.value()?)?,
            word => return Err(format!("{word} is no operator")),
        };
        Ok(rule(field, test, is_not))
    }

    fn value(&mut self) -> Result<String, String> {
        text(self.next()?)
    }
}

fn rule(field: Field, test: Test, is_not: bool) -> Rule {
    let rule = Rule::Is(field, test);
    if is_not { Rule::Not(Box::new(rule)) } else { rule }
}

/// What a word says, where a value stands.
fn text(word: &Word) -> Result<String, String> {
    match word {
        Word::Bare(text) | Word::Quoted(text) => Ok(text.clone()),
        word => Err(format!("{word} stands where a value should")),
    }
}

#[cfg(test)]
mod tests;
