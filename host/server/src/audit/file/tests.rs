use super::*;

fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn make(pairs: &[(&str, &str)]) -> Result<Arc<dyn AuditSink>, String> {
    super::make(&options(pairs))
}

#[tokio::test]
async fn lines_are_appended_to_a_file_that_only_its_owner_reads() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("audit.log");
    let sink = make(&[("file_path", path.to_str().expect("UTF-8"))]).expect("opens");
    sink.write(b"{\"a\":1}").await.expect("writes");
    sink.write(b"{\"b\":2}").await.expect("writes");
    assert_eq!(std::fs::read_to_string(&path).expect("reads"), "{\"a\":1}\n{\"b\":2}\n");
    assert_eq!(std::fs::metadata(&path).expect("exists").permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn after_reopening_lines_go_to_a_new_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let (path, moved) = (dir.path().join("audit.log"), dir.path().join("audit.log.1"));
    let sink = make(&[("file_path", path.to_str().expect("UTF-8")), ("mode", "0640")]).expect("opens");
    sink.write(b"one").await.expect("writes");
    std::fs::rename(&path, &moved).expect("moves");
    sink.write(b"two").await.expect("writes");
    sink.reopen().expect("reopens");
    sink.write(b"three").await.expect("writes");
    assert_eq!(std::fs::read_to_string(&moved).expect("reads"), "one\ntwo\n");
    assert_eq!(std::fs::read_to_string(&path).expect("reads"), "three\n");
    assert_eq!(std::fs::metadata(&path).expect("exists").permissions().mode() & 0o777, 0o640);
}

#[test]
fn unusable_options_are_refused_with_a_reason() {
    for (pairs, message) in [
        (&[][..], "file_path is required"),
        (&[("file_path", "/x"), ("mode", "0755")], "mode \"0755\" makes the audit file executable"),
        (&[("file_path", "/x"), ("mode", "rw")], "mode \"rw\" is not an octal number"),
        (&[("file_path", "/x"), ("mode", "4600")], "mode \"4600\" holds more than permissions"),
        (&[("file_path", "/nonexistent/x")], "opening /nonexistent/x: No such file or directory (os error 2)"),
    ] {
        assert_eq!(make(pairs).err().as_deref(), Some(message));
    }
}

#[test]
fn an_executable_file_is_refused_where_its_mode_is_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("run.sh");
    std::fs::write(&path, "").expect("writes");
    std::fs::set_permissions(&path, Permissions::from_mode(0o700)).expect("changes the mode");
    assert!(make(&[("file_path", path.to_str().expect("UTF-8")), ("mode", "0000")]).is_err());
}

#[tokio::test]
async fn a_full_disk_is_an_error() {
    let sink = make(&[("file_path", "/dev/full")]).expect("opens");
    assert!(sink.write(b"x").await.expect_err("the device is full").contains("No space left"));
}

#[tokio::test]
async fn discard_takes_everything() {
    make(&[("file_path", "discard")]).expect("opens").write(b"x").await.expect("takes it");
}

#[tokio::test]
async fn a_deleted_file_is_made_anew_and_one_moved_away_is_kept() {
    let dir = tempfile::tempdir().expect("a directory");
    let (path, moved) = (dir.path().join("audit.log"), dir.path().join("audit.log.1"));
    let sink = make(&[("file_path", path.to_str().expect("UTF-8"))]).expect("opens");
    sink.write(b"one").await.expect("writes");
    std::fs::rename(&path, &moved).expect("moves");
    sink.write(b"two").await.expect("writes");
    assert!(!path.exists());
    std::fs::remove_file(&moved).expect("deletes");
    sink.write(b"three").await.expect("writes");
    assert_eq!(std::fs::read_to_string(&path).expect("reads"), "three\n");
    std::fs::remove_dir_all(dir.path()).expect("deletes the folder too");
    assert!(sink.write(b"four").await.expect_err("there is nowhere to write to").contains("No such file"));
}
