//! The layout of HCL text: two spaces a level, `=` aligned over neighbouring lines, an
//! empty line around everything that takes several. Works on tokens, so that comments
//! stay; what the text means is not looked at.

/// A piece of the text.
#[derive(Clone, Debug, PartialEq)]
enum Token {
    /// A word, number, string or heredoc, as written.
    Word(String),
    /// One of `{}[]=,`.
    Sign(char),
    /// A comment, as written, and whether something stands before it on its line.
    Comment(String, bool),
    /// The end of a line.
    Break,
}

/// One entry of a body: `key = value`, `key { … }`, or comments alone.
struct Item {
    comments: Vec<String>,
    key: String,
    value: String,
    has_equals: bool,
    trailing: Option<String>,
    /// Whether an empty line stood before it.
    is_apart: bool,
}

/// The text in the usual layout.
///
/// # Errors
/// Brackets that do not match, or a string without an end.
pub(super) fn format(text: &str) -> Result<String, String> {
    let tokens = tokens(text)?;
    let mut reader = Reader { tokens: &tokens, position: 0 };
    let items = reader.body(0, None)?;
    let body = written(&items, 0);
    Ok(if body.is_empty() { body } else { body + "\n" })
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '\n' => {
                tokens.push(Token::Break);
                1
            }
            c if c.is_whitespace() => c.len_utf8(),
            '#' => comment(&mut tokens, rest, rest.find('\n')),
            '/' if rest.starts_with("//") => comment(&mut tokens, rest, rest.find('\n')),
            '/' if rest.starts_with("/*") => comment(&mut tokens, rest, rest.find("*/").map(|at| at + 2)),
            '{' | '}' | '[' | ']' | '=' | ',' => {
                tokens.push(Token::Sign(c));
                1
            }
            '"' => word(&mut tokens, rest, string_end(rest).ok_or("a string has no end")?),
            '<' if rest.starts_with("<<") => word(&mut tokens, rest, heredoc_end(rest).ok_or("a heredoc has no end")?),
            _ => {
                let end = rest.find(|c: char| c.is_whitespace() || "{}[]=,\"#".contains(c)).unwrap_or(rest.len());
                word(&mut tokens, rest, end)
            }
        };
        rest = &rest[length..];
    }
    Ok(tokens)
}

fn word(tokens: &mut Vec<Token>, rest: &str, end: usize) -> usize {
    tokens.push(Token::Word(rest[..end].to_owned()));
    end
}

fn comment(tokens: &mut Vec<Token>, rest: &str, end: Option<usize>) -> usize {
    let end = end.unwrap_or(rest.len());
    let follows = tokens.last().is_some_and(|last| *last != Token::Break);
    tokens.push(Token::Comment(rest[..end].trim_end().to_owned(), follows));
    end
}

/// Behind the closing quote; `${ … }` may hold quotes of its own.
fn string_end(rest: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '$' if chars.peek().is_some_and(|(_, next)| *next == '{') => {
                depth += 1;
                chars.next();
            }
            '}' => depth = depth.saturating_sub(1),
            '"' if depth == 0 => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Behind the line with the marker that the first line names.
fn heredoc_end(rest: &str) -> Option<usize> {
    let first = rest.find('\n')?;
    let marker = rest[2..first].trim_start_matches('-').trim();
    let mut at = first + 1;
    for line in rest[first + 1..].split('\n') {
        if line.trim() == marker {
            return Some(at + line.len());
        }
        at += line.len() + 1;
    }
    None
}

struct Reader<'t> {
    tokens: &'t [Token],
    position: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<&Token> {
        let token = self.tokens.get(self.position);
        self.position += 1;
        token
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.position)
    }

    /// Entries up to `end`, or to the end of the text.
    fn body(&mut self, depth: usize, end: Option<char>) -> Result<Vec<Item>, String> {
        let mut items = Vec::new();
        let mut comments = Vec::new();
        let mut breaks = 0;
        loop {
            match self.next().cloned() {
                None if end.is_none() => break,
                None => return Err("a brace is not closed".to_owned()),
                Some(Token::Sign(sign)) if Some(sign) == end => break,
                Some(Token::Break) => breaks += 1,
                Some(Token::Sign(',')) => {}
                Some(Token::Sign(sign)) => return Err(format!("{sign:?} stands where a key should")),
                Some(Token::Comment(text, _)) => comments.push(text),
                Some(Token::Word(first)) => {
                    let is_apart = breaks > 1 + comments.len();
                    items.push(self.item(first, std::mem::take(&mut comments), is_apart, depth)?);
                    breaks = 0;
                }
            }
        }
        if !comments.is_empty() {
            items.push(Item {
                comments,
                key: String::new(),
                value: String::new(),
                has_equals: false,
                trailing: None,
                is_apart: breaks > 1,
            });
        }
        Ok(items)
    }

    fn item(&mut self, first: String, comments: Vec<String>, is_apart: bool, depth: usize) -> Result<Item, String> {
        let mut key = first;
        let mut has_equals = false;
        let value = loop {
            match self.next().cloned() {
                Some(Token::Word(label)) if !has_equals => key = format!("{key} {label}"),
                Some(Token::Sign('=')) if !has_equals => has_equals = true,
                Some(Token::Word(value)) => break value,
                Some(Token::Sign('{')) => break self.braces(depth)?,
                Some(Token::Sign('[')) if has_equals => break self.list(depth)?,
                Some(Token::Break) if has_equals => {}
                _ => return Err(format!("{key} has no value")),
            }
        };
        let trailing = match self.peek() {
            Some(Token::Comment(text, true)) => Some(text.clone()),
            _ => None,
        };
        self.position += usize::from(trailing.is_some());
        Ok(Item { comments, key, value, has_equals, trailing, is_apart })
    }

    fn braces(&mut self, depth: usize) -> Result<String, String> {
        let items = self.body(depth + 1, Some('}'))?;
        if items.is_empty() {
            return Ok("{}".to_owned());
        }
        Ok(format!("{{\n{}\n{}}}", written(&items, depth + 1), indent(depth)))
    }

    /// A list stays on one line if it was on one, else every element gets its own.
    fn list(&mut self, depth: usize) -> Result<String, String> {
        let mut elements = Vec::new();
        let mut is_tall = false;
        loop {
            match self.next().cloned() {
                None => return Err("a bracket is not closed".to_owned()),
                Some(Token::Sign(']')) => break,
                Some(Token::Sign(',')) => {}
                Some(Token::Break) => is_tall = true,
                Some(Token::Word(word)) => elements.push((word, true)),
                Some(Token::Sign('[')) => elements.push((self.list(depth + 1)?, true)),
                Some(Token::Sign('{')) => elements.push((self.braces(depth + 1)?, true)),
                Some(Token::Comment(text, _)) => {
                    is_tall = true;
                    elements.push((text, false));
                }
                Some(Token::Sign(sign)) => return Err(format!("{sign:?} stands in a list")),
            }
        }
        if !is_tall || elements.is_empty() {
            let words: Vec<String> = elements.into_iter().map(|(word, _)| word).collect();
            return Ok(format!("[{}]", words.join(", ")));
        }
        let margin = indent(depth + 1);
        let lines: Vec<String> = elements
            .iter()
            .map(|(word, is_element)| format!("{margin}{word}{}", if *is_element { "," } else { "" }))
            .collect();
        Ok(format!("[\n{}\n{}]", lines.join("\n"), indent(depth)))
    }
}

impl Item {
    fn is_tall(&self) -> bool {
        self.value.contains('\n') || !self.comments.is_empty()
    }
}

fn indent(depth: usize) -> String {
    "  ".repeat(depth)
}

fn written(items: &[Item], depth: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut group = 0;
    for (position, item) in items.iter().enumerate() {
        let before = position.checked_sub(1).map(|at| &items[at]);
        let begins_group =
            before.is_none_or(|before| before.is_tall() || item.is_tall() || item.is_apart || !item.has_equals);
        if begins_group {
            lines.extend(before.map(|_| String::new()));
            group = key_width(&items[position..]);
        }
        lines.extend(item.comments.iter().map(|comment| format!("{}{comment}", indent(depth))));
        if !item.key.is_empty() {
            lines.push(format!("{}{}", indent(depth), entry(item, group)));
        }
    }
    lines.join("\n")
}

/// Width of the keys over neighbouring lines from the first item on.
fn key_width(items: &[Item]) -> usize {
    let run = items
        .iter()
        .enumerate()
        .take_while(|(position, item)| *position == 0 || !(item.is_tall() || item.is_apart || !item.has_equals));
    let is_tall = items.first().is_some_and(Item::is_tall);
    run.take(if is_tall { 1 } else { usize::MAX }).map(|(_, item)| item.key.chars().count()).max().unwrap_or(0)
}

fn entry(item: &Item, width: usize) -> String {
    let key = &item.key;
    let mut line =
        if item.has_equals { format!("{key:<width$} = {}", item.value) } else { format!("{key} {}", item.value) };
    if let Some(comment) = &item.trailing {
        line.push_str(&format!(" {comment}"));
    }
    line
}

#[cfg(test)]
mod tests;
