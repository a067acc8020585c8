//! A look over raw JSON before anything parses it: well formed, an object, bounded in
//! depth and in number of strings and values, no name twice. One pass without recursion, and
//! no memory that grows with the text beyond what the bounds allow. The error texts
//! follow Go's, because Vault's clients see those.

mod scan;

/// Why a text is not an object that may be parsed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not UTF-8. Go would put replacement characters in, and so change a secret.
    #[error("invalid UTF-8")]
    NotUtf8,
    /// The text ends too soon.
    #[error("unexpected EOF")]
    End,
    /// A character where it may not stand.
    #[error("invalid character {} {place}", quoted(*found))]
    Character {
        /// The character.
        found: char,
        /// Where it stands, in Go's words.
        place: &'static str,
    },
    /// Something else where `true`, `false` or `null` began.
    #[error("invalid character {} in literal {word} (expecting {})", quoted(*found), quoted(*expected))]
    Literal {
        /// The character.
        found: char,
        /// The word that began.
        word: &'static str,
        /// The character that belongs there.
        expected: char,
    },
    /// Nothing between a colon and the end of the object.
    #[error("missing value after object key")]
    NoValue,
    /// Something other than a string where a member's name belongs.
    #[error("object member name must be a string")]
    Name,
    /// JSON, but not an object.
    #[error("json: cannot unmarshal {0} into Go value of type map[string]interface {{}}")]
    NotObject(&'static str),
    /// A backslash before something else than an escape.
    #[error("invalid escape sequence `\\{0}` in string")]
    Escape(char),
    /// Half of a surrogate pair.
    #[error("invalid surrogate pair in string")]
    Surrogate,
    /// A number that no double can hold.
    #[error("json: cannot unmarshal number into Go value of type float64")]
    NumberRange,
    /// The same name twice in one object: which one counts would be a matter of the parser.
    #[error("duplicate object member name")]
    Duplicate,
    /// A name that the parser would take for an instruction.
    #[error("object member name is reserved")]
    Reserved,
    /// Nested too deep.
    #[error("exceeded max depth")]
    Depth,
    /// Too many strings, counting names and values.
    #[error("exceeded maximum number of strings")]
    Strings,
    /// Too many values, counting members and elements of every kind.
    #[error("exceeded maximum number of values")]
    Values,
}

/// With these names serde_json hands numbers and unparsed text on to itself. In a text from
/// outside one would be parsed a second time, past every bound, or be one thing to one reader
/// and another to the next.
const RESERVED: &str = "$serde_json::private::";

/// Whether a member's name, unescaped, is one that no text from outside may have.
pub fn is_reserved(name: impl IntoIterator<Item = char>) -> bool {
    let mut name = name.into_iter();
    RESERVED.chars().all(|expected| name.next() == Some(expected))
}

impl JsonError {
    /// Whether the text may be good JSON, but costs too much.
    #[must_use]
    pub fn is_complexity(&self) -> bool {
        matches!(self, Self::Strings | Self::Values)
    }
}

/// A character as Go quotes it in these texts.
fn quoted(found: char) -> String {
    match found {
        '\'' => r"'\''".to_owned(),
        '\\' => r"'\\'".to_owned(),
        '\n' | '\t' | '\r' => format!("'{}'", found.escape_default()),
        c if u32::from(c) < 0x20 || c == '\u{7f}' => format!("'\\x{:02x}'", u32::from(c)),
        c => format!("'{c}'"),
    }
}

/// What a text may hold.
#[derive(Clone, Copy)]
pub struct Bounds {
    /// Most levels of objects and arrays.
    pub depth_max: usize,
    /// Most strings, names included.
    pub strings_max: usize,
    /// Most values of any kind in all objects and arrays together.
    pub values_max: usize,
}

/// Checks that the bytes are one JSON object within the bounds.
///
/// # Errors
/// [`JsonError`], at the first fault.
pub fn check_object(bytes: &[u8], bounds: Bounds) -> Result<(), JsonError> {
    let text = std::str::from_utf8(bytes).map_err(|_| JsonError::NotUtf8)?;
    scan::Scan::new(text, bounds).object()
}

#[cfg(test)]
mod tests;
