//! Which names a list shows: those whose path its caller may read, or list where it is a folder.
//! The path of a name is put together by a template, of the path that is listed and the name.
//! Source: OpenBao's `list_scan_response_keys_filter_path`, of whose template language here are
//! values, pipes and the functions that paths are made with.

/// A parsed template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysFilter(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Plain(String),
    /// A value, and what is done with it.
    Value(Source, Vec<Function>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Path,
    Key,
    Text(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Function {
    Replace {
        from: String,
        to: String,
    },
    Lowercase,
    Uppercase,
    /// To so many bytes at most.
    Truncate(usize),
}

/// A word between the braces.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    /// `.path`, `.key`.
    Field(String),
    Text(String),
    Number(usize),
    Name(String),
    Pipe,
}

impl KeysFilter {
    /// Reads a template.
    ///
    /// # Errors
    /// A text that says what is wrong, as the end of a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad = |what: String| format!("unable to compile template for list_scan_response_keys_filter_path: {what}");
        let filter = Self(pieces(text).map_err(bad)?);
        // As in OpenBao: it would show all names or none.
        if filter.path_of("path", "one") == filter.path_of("path", "two") {
            return Err("list_scan_response_keys_filter_path resulted in same path for two different keys".to_owned());
        }
        Ok(filter)
    }

    /// The path that decides whether this name is shown in a list of this path.
    #[must_use]
    pub fn path_of(&self, path: &str, key: &str) -> String {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Plain(text) => out.push_str(text),
                Piece::Value(source, functions) => {
                    let value = match source {
                        Source::Path => path,
                        Source::Key => key,
                        Source::Text(text) => text,
                    };
                    out.push_str(&functions.iter().fold(value.to_owned(), |value, function| function.of(value)));
                }
            }
        }
        out
    }
}

impl Function {
    fn of(&self, value: String) -> String {
        match self {
            Self::Replace { from, to } => value.replace(from.as_str(), to),
            Self::Lowercase => value.to_lowercase(),
            Self::Uppercase => value.to_uppercase(),
            Self::Truncate(bytes) => value[..value.floor_char_boundary(*bytes)].to_owned(),
        }
    }
}

fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, from)) = rest.split_once("{{") {
        let end = end_of(from).ok_or("unclosed action")?;
        let (mut inner, after) = (&from[..end], &from[end + 2..]);
        // `{{-` and `-}}` take the space beside them away.
        let before = match inner.strip_prefix("- ") {
            Some(trimmed) => {
                inner = trimmed;
                before.trim_end()
            }
            None => before,
        };
        rest = match inner.strip_suffix(" -") {
            Some(trimmed) => {
                inner = trimmed;
                after.trim_start()
            }
            None => after,
        };
        if !before.is_empty() {
            pieces.push(Piece::Plain(before.to_owned()));
        }
        pieces.push(value(&words(inner)?)?);
    }
    if !rest.is_empty() {
        pieces.push(Piece::Plain(rest.to_owned()));
    }
    Ok(pieces)
}

/// Where an action ends: at the first braces that stand in no text.
fn end_of(text: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (None, false);
    for (at, character) in text.char_indices() {
        match (quoted, character) {
            (Some('"'), '\\') if !escaped => escaped = true,
            (Some(quote), _) if quote == character && !escaped => quoted = None,
            (Some(_), _) => escaped = false,
            (None, '"' | '`') => quoted = Some(character),
            (None, '}') if text[at..].starts_with("}}") => return Some(at),
            _ => {}
        }
    }
    None
}

fn words(text: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '|' => {
                words.push(Word::Pipe);
                1
            }
            '"' => {
                let mut json = serde_json::Deserializer::from_str(rest).into_iter::<String>();
                let text = json.next().and_then(Result::ok).ok_or("unterminated quoted string")?;
                words.push(Word::Text(text));
                json.byte_offset()
            }
            '`' => {
                let (text, _) = rest[1..].split_once('`').ok_or("unterminated raw quoted string")?;
                words.push(Word::Text(text.to_owned()));
                text.len() + 2
            }
            _ => {
                let end = rest.find(|c: char| c.is_whitespace() || c == '|').unwrap_or(rest.len());
                words.push(bare(&rest[..end])?);
                end
            }
        };
        rest = rest[length..].trim_start();
    }
    Ok(words)
}

fn bare(word: &str) -> Result<Word, String> {
    if let Some(field) = word.strip_prefix('.') {
        return Ok(Word::Field(field.to_owned()));
    }
    if let Ok(number) = word.parse() {
        return Ok(Word::Number(number));
    }
    let is_name = word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_name { Ok(Word::Name(word.to_owned())) } else { Err(format!("unexpected {word:?}")) }
}

/// A value, perhaps with functions behind it; or a function with its value as the last word.
fn value(words: &[Word]) -> Result<Piece, String> {
    let mut commands = words.split(|word| *word == Word::Pipe);
    let first = commands.next().unwrap_or_default();
    let (first, mut functions) = match first {
        [Word::Name(name), arguments @ .., value] => (value, vec![function(name, arguments)?]),
        [value] => (value, Vec::new()),
        _ => return Err("an action is one value, or a function of one".to_owned()),
    };
    let source = match first {
        Word::Field(field) if field == "path" => Source::Path,
        Word::Field(field) if field == "key" => Source::Key,
        Word::Field(field) => return Err(format!("there is no value \".{field}\"")),
        Word::Text(text) => Source::Text(text.clone()),
        Word::Name(name) => return Err(format!("function {name:?} not defined")),
        Word::Number(_) | Word::Pipe => return Err("a number is no path".to_owned()),
    };
    for command in commands {
        let [Word::Name(name), arguments @ ..] = command else { return Err("a pipe leads to a function".to_owned()) };
        functions.push(function(name, arguments)?);
    }
    Ok(Piece::Value(source, functions))
}

fn function(name: &str, arguments: &[Word]) -> Result<Function, String> {
    match (name, arguments) {
        ("replace", [Word::Text(from), Word::Text(to)]) => Ok(Function::Replace { from: from.clone(), to: to.clone() }),
        ("lowercase", []) => Ok(Function::Lowercase),
        ("uppercase", []) => Ok(Function::Uppercase),
        ("truncate", [Word::Number(bytes @ 1..)]) => Ok(Function::Truncate(*bytes)),
        ("replace" | "lowercase" | "uppercase" | "truncate", _) => Err(format!("wrong arguments of {name:?}")),
        _ => Err(format!("function {name:?} not defined")),
    }
}

#[cfg(test)]
mod tests {
    use super::KeysFilter;

    fn path(template: &str) -> Result<String, String> {
        KeysFilter::parse(template).map(|filter| filter.path_of("secret/metadata/Dir/", "Key"))
    }

    #[test]
    fn a_template_puts_a_path_together() {
        for (template, expected) in [
            ("{{ .path }}{{ .key }}", "secret/metadata/Dir/Key"),
            ("{{.path}}{{.key}}/x", "secret/metadata/Dir/Key/x"),
            ("{{ .path | replace \"secret/metadata/\" \"secret/data/\" }}{{ .key }}", "secret/data/Dir/Key"),
            ("{{ replace `/` \"}}\" .path }}{{ .key }}", "secret}}metadata}}Dir}}Key"),
            ("a/{{ .path | truncate 6 | uppercase }}/{{ lowercase .key }}", "a/SECRET/key"),
            ("a {{- \"/\" -}} {{ .key }}", "a/Key"),
        ] {
            assert_eq!(path(template).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn what_is_no_template_is_refused() {
        let same = "list_scan_response_keys_filter_path resulted in same path for two different keys";
        let bad = |what: &str| format!("unable to compile template for list_scan_response_keys_filter_path: {what}");
        for (template, error) in [
            ("", same.to_owned()),
            ("{{ .path }}", same.to_owned()),
            ("{{ .key ", bad("unclosed action")),
            ("{{ foo .key }}", bad("function \"foo\" not defined")),
            ("{{ uuid }}{{ .key }}", bad("function \"uuid\" not defined")),
            ("{{ .nokey }}", bad("there is no value \".nokey\"")),
            ("{{ .key | replace \"a\" }}", bad("wrong arguments of \"replace\"")),
            ("{{ .key | truncate 0 }}", bad("wrong arguments of \"truncate\"")),
            ("{{ (.key) }}", bad("unexpected \"(.key)\"")),
            ("{{ }}{{ .key }}", bad("an action is one value, or a function of one")),
            ("{{ .key | \"a\" }}", bad("a pipe leads to a function")),
            ("{{ \"a }}", bad("unclosed action")),
        ] {
            assert_eq!(path(template), Err(error), "{template}");
        }
    }
}
