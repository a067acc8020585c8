//! Devices that hang, or fail for a while: they cost a bounded wait, others go on, the log
//! tells it once, and the server can be told to read its files again, and to end.

use std::fs::{self, File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use bulkhead_tests::http::Reply;
use bulkhead_tests::node::{DEV_ROOT, Node, Start};
use bulkhead_tests::programs::Program;
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use rustix::process::Signal;
use serde_json::json;

/// More than what a pipe holds, in one line of the device that hashes nothing.
const LARGE: usize = 1 << 17;

/// Longest that a request may take beside a device that hangs; it has 5 s for itself.
const WAIT_MAX: Duration = Duration::from_secs(20);

fn enable_file(node: &Node, name: &str, path: &Path) -> Reply {
    let options = json!({"file_path": path, "log_raw": "true"});
    node.call("PUT", &format!("sys/audit/{name}"), Some(&json!({"type": "file", "options": options})))
}

fn make_pipe(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("making a pipe");
}

/// Opens a pipe that nobody writes to yet.
fn reader(path: &Path) -> File {
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).expect("a flag");
    OpenOptions::new().read(true).custom_flags(nonblocking).open(path).expect("opening a pipe")
}

/// Reads what is there until nothing more comes.
fn drained(reader: &mut File) -> String {
    let (mut text, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    let mut quiet = Instant::now();
    while quiet.elapsed() < Duration::from_millis(500) {
        match reader.read(&mut buffer) {
            Ok(count) if count > 0 => {
                text.extend_from_slice(&buffer[..count]);
                quiet = Instant::now();
            }
            _ => thread::sleep(Duration::from_millis(5)),
        }
    }
    String::from_utf8(text).expect("UTF-8")
}

fn count(node: &Node, told: &str) -> usize {
    node.output().matches(told).count()
}

#[test]
fn a_pipe_that_nobody_reads_is_refused_and_holds_up_nobody() {
    let node = Node::dev(Program::Bulkhead);
    make_pipe(&node.path("pipe"));
    let reply = enable_file(&node, "p", &node.path("pipe"));
    assert_eq!(reply.status, 400, "{}", reply.text());
    assert!(reply.text().contains("nobody reads this pipe"), "{}", reply.text());
    assert_eq!(node.get("sys/mounts").status, 200);
}

// a device that hangs keeps no request.
#[test]
fn beside_a_device_that_hangs_requests_are_answered_and_it_gets_its_lines_later() {
    let mut node = Node::dev(Program::Bulkhead);
    make_pipe(&node.path("pipe"));
    let mut pipe = reader(&node.path("pipe"));
    assert_eq!(enable_file(&node, "pipe", &node.path("pipe")).status, 204);
    assert_eq!(enable_file(&node, "file", &node.path("audit.log")).status, 204);
    let began = Instant::now();
    let body = json!({"data": {"large": "x".repeat(LARGE)}});
    thread::scope(|scope| {
        for i in 0..8 {
            let (node, body) = (&node, &body);
            scope.spawn(move || node.put(&format!("secret/data/s{i}"), body));
        }
    });
    assert!(began.elapsed() < WAIT_MAX, "it took {:?}", began.elapsed());
    let began = Instant::now();
    for _ in 0..20 {
        assert_eq!(node.get("sys/mounts").status, 200);
    }
    assert!(began.elapsed() < Duration::from_secs(5), "nobody waits for it again: {:?}", began.elapsed());
    assert_eq!(count(&node, "audit device takes no lines"), 1, "{}", node.output());

    let mut text = drained(&mut pipe);
    let reply = node.get("sys/mounts");
    text.push_str(&drained(&mut pipe));
    assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "a line is torn");
    assert_eq!(text.matches(reply.at("request_id").as_str().unwrap()).count(), 2, "it takes lines again");
    assert_eq!(count(&node, "audit device takes lines again"), 1, "{}", node.output());

    // Full once more: neither its files' reading again nor the end waits for the pipe.
    node.put("secret/data/last", &body);
    node.signal(Signal::HUP);
    let began = Instant::now();
    assert!(node.terminate().success(), "{}", node.output());
    assert!(began.elapsed() < WAIT_MAX, "it took {:?}", began.elapsed());
}

#[test]
fn standard_output_that_nobody_reads_costs_requests_but_not_the_end() {
    let mut start = Start::dev(Program::Bulkhead);
    start.prefix = ["sh", "-c", "exec \"$@\" > {dir}/pipe", "sh"].map(str::to_owned).to_vec();
    let mut node = Node::prepare(start);
    make_pipe(&node.path("pipe"));
    let _unread = reader(&node.path("pipe"));
    node.token = DEV_ROOT.to_owned();
    node.spawn();
    node.until_up();
    node.until("the development mounts are there", |node| node.get("sys/mounts").at("data").get("secret/").is_some());
    let enabled = node.call("PUT", "sys/audit/out", Some(&json!({"type": "file", "options": {"file_path": "stdout"}})));
    assert_eq!(enabled.status, 204, "{}", enabled.text());
    let refused = (0..10_000).map(|_| node.get("sys/mounts")).find(|reply| reply.status != 200);
    let refused = refused.expect("the pipe is full some time");
    assert!(refused.status == 500 && refused.text().contains("no audit device took"), "{}", refused.text());
    let began = Instant::now();
    assert!(node.terminate().success());
    assert!(began.elapsed() < WAIT_MAX, "it took {:?}", began.elapsed());
}

#[test]
fn the_log_tells_when_a_device_begins_to_fail_and_when_it_takes_lines_again() {
    let node = Node::dev(Program::Bulkhead);
    fs::create_dir(node.path("logs")).unwrap();
    assert_eq!(enable_file(&node, "f", &node.path("logs/audit.log")).status, 204);
    fs::remove_dir_all(node.path("logs")).unwrap();
    for _ in 0..3 {
        assert_eq!(node.get("sys/mounts").status, 500);
    }
    fs::create_dir(node.path("logs")).unwrap();
    assert_eq!(node.get("sys/mounts").status, 200);
    assert_eq!(count(&node, "audit device takes no lines"), 1, "{}", node.output());
    assert_eq!(count(&node, "audit device takes lines again"), 1, "{}", node.output());
}
