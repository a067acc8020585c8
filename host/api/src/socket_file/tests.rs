use super::*;

fn at(path: &Path) -> SocketFile {
    SocketFile { path: path.to_owned(), ..SocketFile::default() }
}

fn mode_of(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("is there").permissions().mode() & 0o777
}

#[tokio::test]
async fn a_socket_is_there_with_its_mode_while_it_is_listened_at() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("s");
    let bound = SocketFile { mode: Some(0o640), ..at(&path) }.bind().await.expect("binds");
    assert_eq!(mode_of(&path), 0o640);
    drop(bound);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_socket_at_which_somebody_answers_stays_his() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("s");
    let _held = at(&path).bind().await.expect("binds");
    let error = at(&path).bind().await.err().expect("is taken");
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::AddrInUse, "another process listens there"));
    UnixStream::connect(&path).await.expect("still answers");
}

#[tokio::test]
async fn a_socket_that_was_left_behind_is_replaced() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("s");
    drop(std::os::unix::net::UnixListener::bind(&path).expect("binds"));
    assert!(path.exists(), "nobody removed it");
    let _bound = at(&path).bind().await.expect("binds");
    UnixStream::connect(&path).await.expect("answers");
}

#[tokio::test]
async fn a_file_of_another_kind_is_left_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("s");
    fs::write(&path, "dear to somebody").expect("writes");
    std::os::unix::fs::symlink(&path, dir.path().join("link")).expect("links");
    for path in [path.clone(), dir.path().join("link")] {
        let error = at(&path).bind().await.err().expect("is no socket");
        assert_eq!(error.to_string(), "there is a file that is no socket");
    }
    assert_eq!(fs::read_to_string(&path).expect("is there"), "dear to somebody");
}

#[tokio::test]
async fn a_file_that_took_its_place_is_not_removed() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("s");
    let bound = at(&path).bind().await.expect("binds");
    fs::rename(&path, dir.path().join("old")).expect("renames");
    fs::write(&path, "another").expect("writes");
    drop(bound);
    assert!(path.exists());
}
