//! Names of users and roles, as paths of auth methods have them.

use crate::{Error, Request, Result, capture};

/// Longest name of a user or role, in bytes. Source: ours; a storage key has 4 KiB. Why:
/// names go into keys, lists, audit lines and display names.
pub const NAME_BYTES_MAX: usize = 1024;

/// How many policies, networks or pairs of metadata a login may give its token, and how long
/// each text may be, in bytes. Source: the host, which takes no longer answer.
const CARRIED_MAX: usize = 1_000;
const CARRIED_BYTES_MAX: usize = 16 * 1024;

/// Checks what a user or role is to give its tokens, when it is written: later each login would
/// fail.
///
/// # Errors
/// [`Error::InvalidRequest`] if it is more than an answer can carry.
pub fn carried<S: AsRef<str>>(what: &str, texts: impl IntoIterator<Item = S>) -> Result<()> {
    for (index, text) in texts.into_iter().enumerate() {
        if index >= CARRIED_MAX {
            return Err(Error::invalid(format!("more than {CARRIED_MAX} {what}")));
        }
        if text.as_ref().len() > CARRIED_BYTES_MAX {
            return Err(Error::invalid(format!("one of the {what} is longer than {CARRIED_BYTES_MAX} bytes")));
        }
    }
    Ok(())
}

/// Whether a text is a name: letters, digits and `_`, and inside also `-` and `.`.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let word = |letter: u8| letter.is_ascii_alphanumeric() || letter == b'_';
    let inner = |letter: u8| word(letter) || letter == b'-' || letter == b'.';
    let (Some(&first), Some(&last)) = (text.as_bytes().first(), text.as_bytes().last()) else { return false };
    word(first) && word(last) && text.bytes().all(inner)
}

/// Whether a reader can see it, as Go's `unicode.IsPrint` has it: two texts that look alike must
/// not be two because of something between their letters.
#[must_use]
pub fn is_printable(sign: char) -> bool {
    // The standard library knows this, and shows it only in how it escapes a text. The letter in
    // front keeps a combining mark from being escaped for want of one.
    let mut buffer = [b'a'; 5];
    let end = 1 + sign.encode_utf8(&mut buffer[1..]).len();
    let text = core::str::from_utf8(&buffer[..end]).unwrap_or_default();
    matches!(sign, ' '..='~') || !sign.is_ascii() && text.escape_debug().nth(1) == Some(sign)
}

/// What a path captured under this name, in lower case: `Ann` and `ann` are one user, in
/// storage, in answers and in the alias that lockouts are counted by.
///
/// # Errors
/// [`Error::NotFound`] if it is no name: no such path exists. [`Error::InvalidRequest`] if
/// it is longer than [`NAME_BYTES_MAX`].
pub fn folded(request: &Request, captured: &str) -> Result<String> {
    let name = capture(request, captured);
    if name.len() > NAME_BYTES_MAX {
        return Err(Error::invalid(format!("{captured} is longer than maximum of {NAME_BYTES_MAX} bytes")));
    }
    if is_name(name) { Ok(name.to_ascii_lowercase()) } else { Err(Error::NotFound) }
}

/// Policy names as they are compared: trimmed, lower case (sign by sign, as the host lowers them),
/// sorted, each once.
#[must_use]
pub fn policies<S: AsRef<str>>(names: &[S]) -> Vec<String> {
    let mut names: Vec<String> = names.iter().map(|name| lowered(name.as_ref().trim())).collect();
    names.retain(|name| !name.is_empty());
    names.sort();
    names.dedup();
    if names.iter().any(|name| name == "root") { vec!["root".to_owned()] } else { names }
}

fn lowered(name: &str) -> String {
    name.chars().flat_map(char::to_lowercase).collect()
}

/// Whether two lists grant the same; `default` is added by the host and does not count.
#[must_use]
pub fn same_policies(a: &[String], b: &[String]) -> bool {
    let counted = |names: &[String]| {
        let mut names = policies(names);
        names.retain(|name| name != "default");
        names
    };
    counted(a) == counted(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_of_word_characters_with_dots_and_dashes_inside() {
        for (text, expected) in [
            ("ann", true),
            ("A", true),
            ("a.b-c_d", true),
            ("", false),
            ("-a", false),
            ("a.", false),
            ("a b", false),
            ("a@b", false),
            ("ä", false),
            ("..", false),
        ] {
            assert_eq!(is_name(text), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_seen_is_what_the_host_takes_in_no_path() {
        for sign in ('\u{80}'..=char::MAX).chain(' '..='~').filter(|sign| !"/\\".contains(*sign)) {
            let in_path = bulkhead_model::path::ApiPath::checked(format!("a{sign}a")).is_ok();
            assert_eq!(is_printable(sign), in_path, "{:x}", u32::from(sign));
        }
        assert!(!['\n', '\u{7f}', '\0'].into_iter().any(is_printable));
    }

    #[test]
    fn no_more_is_taken_than_an_answer_carries() {
        let refused = |texts: &[String]| match carried("things", texts) {
            Ok(()) => String::new(),
            Err(Error::InvalidRequest(text)) => text,
            Err(other) => format!("{other:?}"),
        };
        assert_eq!(refused(&vec!["a".repeat(CARRIED_BYTES_MAX); CARRIED_MAX]), "");
        assert_eq!(refused(&vec![String::new(); CARRIED_MAX + 1]), "more than 1000 things");
        assert_eq!(refused(&["a".repeat(CARRIED_BYTES_MAX + 1)]), "one of the things is longer than 16384 bytes");
    }

    #[test]
    fn policies_are_compared_without_case_order_repetition_and_default() {
        let list = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        assert!(same_policies(&list("b, A,a"), &list("a,B,default")));
        assert!(!same_policies(&list("a"), &list("a,b")));
        assert_eq!(policies(&["x", "root"]), ["root"]);
    }
}
