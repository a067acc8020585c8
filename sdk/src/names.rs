//! Names of users and roles, as paths of auth methods have them.

use crate::{Error, Request, Result, capture};

/// Longest name of a user or role, in bytes. Source: ours; a storage key has 4 KiB. Why:
/// names go into keys, lists, audit lines and display names.
pub const NAME_BYTES_MAX: usize = 1024;

/// Whether a text is a name: letters, digits and `_`, and inside also `-` and `.`.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let word = |letter: u8| letter.is_ascii_alphanumeric() || letter == b'_';
    let inner = |letter: u8| word(letter) || letter == b'-' || letter == b'.';
    let (Some(&first), Some(&last)) = (text.as_bytes().first(), text.as_bytes().last()) else { return false };
    word(first) && word(last) && text.bytes().all(inner)
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
    fn policies_are_compared_without_case_order_repetition_and_default() {
        let list = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        assert!(same_policies(&list("b, A,a"), &list("a,B,default")));
        assert!(!same_policies(&list("a"), &list("a,b")));
        assert_eq!(policies(&["x", "root"]), ["root"]);
    }
}
