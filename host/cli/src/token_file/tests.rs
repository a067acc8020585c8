use std::os::unix::fs::PermissionsExt;

use super::TokenFile;
use crate::env::Environment;

fn token_file(dir: &tempfile::TempDir) -> TokenFile {
    let home = dir.path().to_str().expect("temporary paths are UTF-8");
    TokenFile::of(&Environment::of(&[("HOME", home)])).expect("HOME is set")
}

#[test]
fn a_token_comes_back_without_the_newline_an_editor_added() {
    let dir = tempfile::tempdir().expect("the test may write files");
    std::fs::write(dir.path().join(".vault-token"), " s.abc\n").expect("the test may write files");
    let token = token_file(&dir).load().expect("the file can be read").expect("it holds a token");
    assert_eq!(token.expose(), "s.abc");
}

#[test]
fn nobody_but_the_owner_may_read_a_stored_token() {
    let dir = tempfile::tempdir().expect("the test may write files");
    let file = token_file(&dir);
    file.store("one").expect("the file can be written");
    file.store("two").expect("the file can be replaced");
    let path = dir.path().join(".vault-token");
    let mode = std::fs::metadata(&path).expect("the file is there").permissions().mode();
    assert_eq!((mode & 0o777, std::fs::read_to_string(&path).expect("the file is there")), (0o600, "two".to_owned()));
}

#[test]
fn no_file_and_an_empty_file_hold_no_token() {
    let dir = tempfile::tempdir().expect("the test may write files");
    assert!(token_file(&dir).load().expect("no file is no error").is_none());
    std::fs::write(dir.path().join(".vault-token"), "\n").expect("the test may write files");
    assert!(token_file(&dir).load().expect("the file can be read").is_none());
}
