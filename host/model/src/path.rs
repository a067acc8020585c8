//! Request paths: decoded and checked once, at the rim, so that policies and engines
//! see the same bytes. What is ambiguous is refused rather than cleaned.

use crate::limits::{PATH_BYTES_MAX, PATH_SEGMENTS_MAX};

/// A canonical path below `/v1/`: percent-decoded once, no empty, `.` or `..`
/// segment, nothing that cannot be seen but plain spaces, no backslash, valid UTF-8, bounded. A slash at the
/// end is kept, since it is part of what LIST asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApiPath(String);

/// Why a path was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A percent sign without two hexadecimal digits.
    #[error("path has a broken percent-encoding")]
    Encoding,
    /// Not UTF-8 once decoded.
    #[error("path is not valid UTF-8")]
    NotUtf8,
    /// A control character, another one that cannot be seen, or a backslash.
    #[error("path contains a forbidden character")]
    Character,
    /// `.`, `..` or an empty segment.
    #[error("path contains an empty, \".\" or \"..\" segment")]
    Segment,
    /// Over [`PATH_BYTES_MAX`].
    #[error("path is too long")]
    Length,
    /// Over [`PATH_SEGMENTS_MAX`].
    #[error("path has more than {PATH_SEGMENTS_MAX} segments")]
    Segments,
}

impl ApiPath {
    /// Reads a path as it stood in the request line, without `/v1/`.
    ///
    /// # Errors
    /// [`PathError`]: the path is ambiguous or over a limit.
    pub fn decode(raw: &str) -> Result<Self, PathError> {
        // Decoding only shrinks, by a factor of three at most.
        if raw.len() > PATH_BYTES_MAX * 3 {
            return Err(PathError::Length);
        }
        let decoded = percent_decode(raw.as_bytes())?;
        Self::checked(String::from_utf8(decoded).map_err(|_| PathError::NotUtf8)?)
    }

    /// Takes a path that is already decoded.
    ///
    /// # Errors
    /// [`PathError`]: the path is ambiguous or over a limit.
    pub fn checked(text: String) -> Result<Self, PathError> {
        if text.len() > PATH_BYTES_MAX {
            return Err(PathError::Length);
        }
        let is_forbidden = |byte: u8| byte.is_ascii_control() || byte == b'\\';
        if text.bytes().any(is_forbidden) || !text.is_ascii() && !text.chars().all(is_printable) {
            return Err(PathError::Character);
        }
        let body = text.strip_suffix('/').unwrap_or(&text);
        let ambiguous = |segment: &str| matches!(segment, "" | "." | "..");
        if !body.is_empty() && body.split('/').any(ambiguous) || text == "/" {
            return Err(PathError::Segment);
        }
        if body.len() >= PATH_SEGMENTS_MAX && body.bytes().filter(|byte| *byte == b'/').count() >= PATH_SEGMENTS_MAX {
            return Err(PathError::Segments);
        }
        Ok(Self(text))
    }

    /// The path, without a slash in front.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it ends in a slash.
    #[must_use]
    pub fn is_folder(&self) -> bool {
        self.0.ends_with('/')
    }

    /// The path from the root, of one in a namespace whose path ends in a slash.
    #[must_use]
    pub fn below(&self, namespace: &str) -> Self {
        Self([namespace, &self.0].concat())
    }

    /// The path with a slash at its end: what LIST asks for.
    #[must_use]
    pub fn to_folder(&self) -> Self {
        if self.0.is_empty() || self.is_folder() { self.clone() } else { Self(format!("{}/", self.0)) }
    }
}

/// A text in lower case, sign by sign: what becomes of one does not depend on those around it, so
/// that the beginning of a text and the whole are lowered alike.
#[must_use]
pub fn lowered(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// Whether a reader can see it, as Go's `unicode.IsPrint` has it: two names that look alike must
/// not be two names because of something between their letters.
#[must_use]
pub fn is_printable(c: char) -> bool {
    // The standard library knows this, and shows it only in how it escapes a text. The letter in
    // front keeps a combining mark from being escaped for want of one.
    let mut buffer = [b'a'; 5];
    let end = 1 + c.encode_utf8(&mut buffer[1..]).len();
    let text = std::str::from_utf8(&buffer[..end]).unwrap_or_default();
    if c.is_ascii() { !c.is_ascii_control() } else { text.escape_debug().nth(1) == Some(c) }
}

fn percent_decode(raw: &[u8]) -> Result<Vec<u8>, PathError> {
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter();
    while let Some(&byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digit = |b: Option<&u8>| b.and_then(|b| char::from(*b).to_digit(16)).ok_or(PathError::Encoding);
        let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
        out.push(u8::try_from(high * 16 + low).expect("two hexadecimal digits fit a byte"));
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
