use super::*;

fn sink(pairs: &[(&str, &str)], path: PathBuf) -> Result<Arc<dyn AuditSink>, String> {
    let options = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    make_for(&options, vec![PathBuf::from("/nonexistent/log"), path])
}

fn received(daemon: &UnixDatagram) -> String {
    let mut buffer = [0; 1024];
    let count = daemon.recv(&mut buffer).expect("a message");
    String::from_utf8_lossy(&buffer[..count]).into_owned()
}

#[tokio::test]
async fn a_line_is_a_message_with_facility_and_tag() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("log");
    let daemon = UnixDatagram::bind(&path).expect("a socket");
    let usual = sink(&[], path.clone()).expect("a device");
    usual.write(b"{\"a\":1}").await.expect("taken");
    let message = received(&daemon);
    assert!(message.starts_with("<38>") && message.ends_with(&format!(" vault[{}]: {{\"a\":1}}", std::process::id())));
    // `<38>`, then `Nov  5 17:04:05 `.
    assert_eq!((&message[7..8], &message[10..11], &message[13..14], &message[19..20]), (" ", " ", ":", " "));
    let other = sink(&[("facility", "local7"), ("tag", "mine")], path.clone()).expect("a device");
    other.write(b"x").await.expect("taken");
    assert!(received(&daemon).starts_with("<190>"));
    drop(daemon);
    std::fs::remove_file(&path).expect("removes the socket");
    let again = UnixDatagram::bind(&path).expect("a socket");
    usual.write(b"after").await.expect("taken by the daemon that was started anew");
    assert!(received(&again).ends_with(": after"));
}

#[tokio::test]
async fn without_a_daemon_no_line_is_taken() {
    let dir = tempfile::tempdir().expect("a directory");
    let sink = sink(&[], dir.path().join("log")).expect("a device");
    assert!(sink.write(b"x").await.expect_err("nobody listens").contains("No such file"));
}

#[test]
fn unusable_options_are_refused_with_a_reason() {
    for (pair, message) in [
        (("facility", "NOPE"), "invalid syslog facility: NOPE"),
        (("tag", "a b"), "tag \"a b\" is not a name of at most 32 letters"),
    ] {
        assert_eq!(sink(&[pair], PathBuf::new()).err().as_deref(), Some(message));
    }
}
