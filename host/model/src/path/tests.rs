use proptest::prelude::*;

use super::*;

/// CVE-2026-3605: dots were taken out before the path was decoded, and climbed out of a policy.
// a path that could mean another one is refused before anybody decides about it.
#[test]
fn ambiguous_paths_are_refused_in_every_spelling() {
    for raw in [
        "kv/..",
        "kv/../x",
        "kv/%2e%2e/x",
        "kv/%2E./x",
        "kv/..%2fx",
        "kv/./x",
        "kv//x",
        "//x",
        "/x",
        "kv/%2f/x",
        "kv/a\\b",
        "kv/a%5cb",
        "kv/a%00b",
        "kv/%c0%ae%c0%ae/x",
        "kv/%zz",
        "kv/%2",
        "kv/a%0ab",
        "/",
    ] {
        assert!(ApiPath::decode(raw).is_err(), "{raw} was let through");
    }
}

/// CVE-2026-3605, likewise.
// what is decoded once is not decoded again.
#[test]
fn a_path_is_decoded_exactly_once() {
    assert_eq!(ApiPath::decode("kv/%252e%252e").expect("is plain").as_str(), "kv/%2e%2e");
    assert_eq!(ApiPath::decode("kv/a%20b;c/").expect("is plain").as_str(), "kv/a b;c/");
}

#[test]
fn a_path_over_the_limit_is_refused() {
    assert!(ApiPath::decode(&"a".repeat(PATH_BYTES_MAX)).is_ok());
    assert_eq!(ApiPath::decode(&"a".repeat(PATH_BYTES_MAX + 1)), Err(PathError::Length));
}

#[test]
fn a_path_of_too_many_segments_is_refused() {
    let path = |segments: usize| ApiPath::decode(&vec!["a"; segments].join("/"));
    assert!(path(PATH_SEGMENTS_MAX).is_ok());
    assert!(ApiPath::decode(&format!("{}/", vec!["a"; PATH_SEGMENTS_MAX].join("/"))).is_ok(), "a folder has no more");
    assert_eq!(path(PATH_SEGMENTS_MAX + 1), Err(PathError::Segments));
}

/// Go's `unicode.IsPrint`, by category: Cc, Cf, Zl, Zp, Zs, Co and Cn are none of it, but for the space.
#[test]
fn what_cannot_be_seen_is_refused() {
    for hidden in [
        '\u{7f}',
        '\u{85}',
        '\u{a0}',
        '\u{ad}',
        '\u{378}',
        '\u{600}',
        '\u{180e}',
        '\u{200b}',
        '\u{200f}',
        '\u{2028}',
        '\u{2029}',
        '\u{202e}',
        '\u{2066}',
        '\u{3000}',
        '\u{e000}',
        '\u{feff}',
        '\u{ffff}',
        '\u{e0001}',
        '\u{10ffff}',
    ] {
        assert_eq!(ApiPath::checked(format!("kv/a{hidden}b")), Err(PathError::Character), "{hidden:?}");
    }
    // Letters, marks, numbers, punctuation, symbols; marks also where nothing is before them.
    for seen in
        ['é', 'ß', 'λ', '漢', '\u{301}', '\u{fe0f}', '\u{e0100}', '½', '«', '\'', '"', '€', '😀', '\u{fffd}', ' ']
    {
        assert!(ApiPath::checked(format!("kv/{seen}")).is_ok(), "{seen:?}");
        assert!(ApiPath::checked(format!("{seen}/é")).is_ok(), "{seen:?}");
    }
}

/// Percent-encodes everything but the slash, so that decoding must give it back.
fn encode(text: &str) -> String {
    text.bytes().map(|b| if b == b'/' { "/".to_owned() } else { format!("%{b:02X}") }).collect()
}

proptest! {
    #[test]
    fn canonicalisation_is_idempotent(raw in "\\PC{0,40}") {
        if let Ok(path) = ApiPath::decode(&raw) {
            prop_assert_eq!(ApiPath::checked(path.as_str().to_owned()), Ok(path));
        }
    }

    #[test]
    fn canonicalisation_is_injective_after_decoding(text in "[a-z%. ;+*é]{1,8}(/[a-z%. ;+*é]{1,8}){0,4}/?") {
        match (ApiPath::checked(text.clone()), ApiPath::decode(&encode(&text))) {
            (Ok(plain), Ok(decoded)) => prop_assert_eq!(plain, decoded),
            (Err(plain), Err(decoded)) => prop_assert_eq!(plain, decoded),
            _ => prop_assert!(false, "encoding changed the verdict"),
        }
    }
}
