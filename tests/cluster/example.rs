//! The example with three nodes, word for word: what it prints is typed.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use bulkhead_tests::programs;

/// The script; it gets an end like any other, and ends its nodes.
struct Example(Child);

impl Drop for Example {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg("-TERM").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

/// The first of the ports the script takes, all of them free just now.
fn free_base() -> u16 {
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let mut bases = (0..200).map(|turn| 20_000 + ((std::process::id() + turn) % 200) as u16 * 40);
    bases.find(|base| [0, 1, 10, 11, 20, 21].iter().all(|more| is_free(&(base + more)))).expect("six free ports")
}

/// What it prints until it has said all.
fn instructions(script: &mut Child) -> Vec<String> {
    let output = BufReader::new(script.stdout.take().unwrap());
    let mut lines = Vec::new();
    for line in output.lines() {
        let line = line.unwrap();
        let last = line.contains("Ctrl-C ends");
        lines.push(line);
        if last {
            return lines;
        }
    }
    panic!("it ended:\n{}", lines.join("\n"));
}

#[test]
fn three_nodes_are_started_and_tried_as_the_example_says() {
    let mut script = Command::new(programs::root().join("examples/three-node/start.sh"));
    script.env("BULKHEAD", programs::bulkhead()).env("PORT", free_base().to_string()).stdout(Stdio::piped());
    let mut example = Example(script.spawn().unwrap());
    let lines = instructions(&mut example.0);
    let typed: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("    ")).collect();
    assert!(typed.len() >= 10, "{lines:#?}");
    // In a script of its own, aliases have to be asked for; every command has to succeed.
    let session = format!("shopt -s expand_aliases\nset -e\n{}", typed.join("\n"));
    let done = Command::new("bash").arg("-c").arg(&session).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{said}\n{}", String::from_utf8_lossy(&done.stderr));
    assert!(said.contains("s3cret") && said.contains("other"), "{said}");

    let folder = lines.last().unwrap().split_whitespace().last().unwrap().trim_end_matches('.').to_owned();
    assert!(Path::new(&folder).join("node1").is_dir(), "{folder}");
    drop(example);
    let deadline = Instant::now() + Duration::from_secs(10);
    while Path::new(&folder).exists() {
        assert!(Instant::now() < deadline, "{folder} is still there");
        thread::sleep(Duration::from_millis(50));
    }
}
