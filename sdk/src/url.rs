//! Parts of URLs, as configs of databases have them.

/// A text whose `%41` are signs again, and whose `+` are spaces where it is of a query; `None` if a
/// percent sign is not of an escape, or no text comes of it.
#[must_use]
pub fn percent_decoded(text: &str, plus_is_space: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                u8::try_from(high * 16 + low).ok()?
            }
            b'+' if plus_is_space => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_and_what_is_none_is_refused() {
        for (text, plus_is_space, decoded) in [
            ("a%20b%C3%A4+", false, Some("a b\u{e4}+")),
            ("a+b", true, Some("a b")),
            ("", true, Some("")),
            ("a%2", false, None),
            ("%zz", false, None),
            ("%ff", false, None),
        ] {
            assert_eq!(percent_decoded(text, plus_is_space).as_deref(), decoded, "{text}");
        }
    }
}
