use bulkhead_model::limits::KEY_BYTES_MAX;

use super::*;

const SPACE: SpaceId = SpaceId([1; 16]);

#[test]
fn a_key_is_segments_with_single_slashes_between_them() {
    let table = [
        ("a", Ok(())),
        ("a/b/c", Ok(())),
        ("...", Ok(())),
        ("a b/ü", Ok(())),
        ("", Err(KeyError::Empty)),
        ("/", Err(KeyError::Empty)),
        ("/a", Err(KeyError::Empty)),
        ("a/", Err(KeyError::Empty)),
        ("a//b", Err(KeyError::Empty)),
        (".", Err(KeyError::Dots)),
        ("a/../b", Err(KeyError::Dots)),
        ("a\0", Err(KeyError::Nul)),
    ];
    for (path, expected) in table {
        assert_eq!(Key::leaf(SPACE, path).map(|_| ()), expected, "{path:?}");
    }
}

#[test]
fn a_key_has_a_longest_length() {
    assert!(Key::leaf(SPACE, &"x".repeat(KEY_BYTES_MAX)).is_ok());
    assert_eq!(Key::leaf(SPACE, &"x".repeat(KEY_BYTES_MAX + 1)), Err(KeyError::Length));
    assert!(Key::opaque(SPACE, &[0; KEY_BYTES_MAX]).is_ok());
    assert_eq!(Key::opaque(SPACE, &[0; KEY_BYTES_MAX + 1]), Err(KeyError::Length));
    assert_eq!(Key::opaque(SPACE, &[]), Err(KeyError::Empty));
}

#[test]
fn a_folder_is_the_root_or_ends_in_a_slash() {
    let table = [
        ("", Ok(())),
        ("a/", Ok(())),
        ("a/b/", Ok(())),
        ("a", Err(KeyError::NotFolder)),
        ("/", Err(KeyError::Empty)),
        ("a//", Err(KeyError::Empty)),
        ("../", Err(KeyError::Dots)),
    ];
    for (path, expected) in table {
        assert_eq!(Folder::new(SPACE, path).map(|_| ()), expected, "{path:?}");
    }
}

#[test]
fn debug_output_tells_the_space_but_not_the_name() {
    let key = Key::leaf(SPACE, "launch-codes").expect("a key");
    let folder = Folder::new(SPACE, "launch-codes/").expect("a folder");
    let text = format!("{key:?} {folder:?}");
    assert!(text.contains("0101") && !text.contains("launch"), "{text}");
}
