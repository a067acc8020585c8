use std::io::pipe;
use std::os::fd::OwnedFd;
use std::sync::mpsc::channel;
use std::thread;

use rustix::fs::{CWD, FileType, mknodat};

use super::*;

fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn make(pairs: &[(&str, &str)]) -> Result<Arc<dyn AuditSink>, String> {
    super::make(&options(pairs), &Room::default())
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
    sink.reopen().await.expect("reopens");
    sink.write(b"three").await.expect("writes");
    assert_eq!(std::fs::read_to_string(&moved).expect("reads"), "one\ntwo\n");
    assert_eq!(std::fs::read_to_string(&path).expect("reads"), "three\n");
    assert_eq!(std::fs::metadata(&path).expect("exists").permissions().mode() & 0o777, 0o640);
}

// nor is one made so.
#[test]
fn unusable_options_are_refused_with_a_reason() {
    for (pairs, message) in [
        (&[][..], "file_path is required"),
        (&[("file_path", "/x"), ("mode", "0755")], "mode \"0755\" makes the audit file executable"),
        (&[("file_path", "/x"), ("mode", "rw")], "mode \"rw\" is not an octal number"),
        (&[("file_path", "/x"), ("mode", "4600")], "mode \"4600\" holds more than permissions"),
        (&[("file_path", "/dev/null/x")], "opening /dev/null/x: Not a directory (os error 20)"),
    ] {
        assert_eq!(make(pairs).err().as_deref(), Some(message));
    }
}

// no audit file can be executed.
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

/// A pipe with a name.
fn named_pipe(dir: &Path) -> PathBuf {
    let path = dir.join("pipe");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("makes a pipe");
    path
}

#[test]
fn a_pipe_that_nobody_reads_is_refused_instead_of_waited_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = named_pipe(dir.path());
    let (done, made) = channel();
    let text = path.to_str().expect("UTF-8").to_owned();
    thread::spawn(move || done.send(make(&[("file_path", &text)]).err()));
    let refused = made.recv_timeout(Duration::from_secs(20)).expect("it does not wait for a reader");
    assert_eq!(refused, Some(format!("opening {}: nobody reads this pipe", path.display())));
}

#[tokio::test]
async fn a_pipe_whose_reader_pauses_costs_one_wait_and_loses_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = named_pipe(dir.path());
    let reader = File::from(
        rustix::fs::open(&path, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty()).expect("opens without a writer"),
    );
    let given = options(&[("file_path", path.to_str().expect("UTF-8"))]);
    let sink = make_within(&given, &Room::default(), Duration::from_millis(200)).expect("opens");
    let large = "x".repeat(1 << 20);
    let refused = sink.write(large.as_bytes()).await.expect_err("more than fits into a pipe");
    assert!(refused.ends_with("did not answer in time"), "{refused}");
    // Until its thread has noted that nobody waits any more, a line may wait as well.
    while !sink.write(b"late").await.is_err_and(|refused| refused.ends_with("hangs")) {}

    fcntl_setfl(&reader, OFlags::empty()).expect("it waits from now on");
    let read = thread::spawn(move || io::read_to_string(reader).expect("reads to the end"));
    while sink.write(b"after").await.is_err() {
        tokio::task::yield_now().await;
    }
    drop(sink);
    let read = read.join().expect("it reads");
    let read = read.strip_prefix(&format!("{large}\n")).and_then(|rest| rest.strip_suffix("after\n"));
    assert!(read.is_some_and(|between| between.lines().all(|line| line == "late")), "{:?}", read.map(str::len));
}

#[test]
fn lines_that_fit_count_and_the_one_that_was_cut_off_is_begun_anew() {
    let (mut reader, writer) = pipe().expect("a pipe");
    let file = File::from(OwnedFd::from(writer));
    fcntl_setfl(&file, OFlags::NONBLOCK).expect("it fails where it would wait");
    let mut open = Opened { file, is_file: true, torn: false };
    let (first, second) = ("a".repeat(40_000), "b".repeat(40_000));
    let lines = [first.as_bytes(), second.as_bytes(), b"c"];
    assert_eq!(open.append(&lines).expect("the first fits"), 1);
    assert_eq!(open.append(&lines[1..]).expect_err("there is no room").kind(), ErrorKind::WouldBlock);
    let mut room = vec![0; 1 << 16];
    reader.read_exact(&mut room).expect("makes room");
    assert_eq!(open.append(&lines[1..]).expect("both fit"), 2);
    drop(open);
    let mut text = String::from_utf8(room).expect("UTF-8");
    reader.read_to_string(&mut text).expect("reads the rest");
    let cut = "b".repeat((1 << 16) - first.len() - 1);
    assert_eq!(text.lines().collect::<Vec<_>>(), [&first, &cut, &second, "c"]);
}

#[tokio::test]
async fn after_a_crash_within_a_line_the_next_one_begins_anew() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("audit.log");
    for (there, text) in [("{\"a\":", "{\"a\":\nx\n"), ("{}\n", "{}\nx\n"), ("", "x\n")] {
        std::fs::write(&path, there).expect("writes");
        let sink = make(&[("file_path", path.to_str().expect("UTF-8"))]).expect("opens");
        sink.write(b"x").await.expect("writes");
        assert_eq!(std::fs::read_to_string(&path).expect("reads"), text);
    }
}

#[test]
fn a_file_that_may_not_be_read_is_still_cut_off_where_its_writer_knows_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("audit.log");
    std::fs::write(&path, "{\"a\":").expect("writes");
    let place = Place::Path(path.clone(), Some(0o200));
    let open = Opened { torn: true, ..place.open(None).expect("opens") };
    let about = |path: &Path| std::fs::metadata(path).expect("exists");
    let unreadable = || Err(ErrorKind::PermissionDenied.into());
    assert!(is_torn(unreadable(), &about(&path), Some(&open)));
    assert!(!is_torn(unreadable(), &about(dir.path()), Some(&open)), "that is another one");
    assert!(!is_torn(Ok(b'\n'), &about(&path), Some(&open)), "others mended it");

    let mut appender = Appender { place, open, is_suspect: true, _on: None };
    appender.carry(b"x", Instant::now()).expect("writes");
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("changes the mode");
    assert_eq!(std::fs::read_to_string(&path).expect("reads"), "{\"a\":\nx\n");
}

#[tokio::test]
async fn lines_that_come_at_once_are_all_there_in_their_order() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("audit.log");
    let sink = make(&[("file_path", path.to_str().expect("UTF-8"))]).expect("opens");
    let lines: Vec<String> = (0..300).map(|number| number.to_string()).collect();
    let mut writes = tokio::task::JoinSet::new();
    for line in lines.clone() {
        let sink = Arc::clone(&sink);
        writes.spawn(async move { sink.write(line.as_bytes()).await });
    }
    assert!(writes.join_all().await.iter().all(Result::is_ok));
    let text = std::fs::read_to_string(&path).expect("reads");
    assert_eq!(text.lines().collect::<Vec<_>>(), lines);
}
