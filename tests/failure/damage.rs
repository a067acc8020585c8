//! Bits flipped in files, files cut short, files gone. Each time: a clear error or
//! full recovery. Never fewer secrets than were acknowledged, and never wrong ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use bulkhead_tests::node::{Node, Start};
use bulkhead_tests::programs::Program;
use serde_json::json;

const SECRETS: usize = 40;

/// A folder with acknowledged secrets, and what opens it.
struct Original {
    node: Node,
}

/// What became of a damaged copy.
#[derive(Debug)]
enum Outcome {
    Refused(String),
    Recovered,
    /// The one that must not be.
    Silent(String),
}

fn original() -> Original {
    let mut node = Node::raft_open(Program::Bulkhead);
    node.put("sys/mounts/kv", &json!({"type": "kv", "options": {"version": "2"}}));
    for i in 0..SECRETS {
        node.put(&format!("kv/data/s{i}"), &json!({"data": {"v": value(i)}}));
    }
    // Half with an orderly end, so that state and log are both used; then more, and a crash.
    node.terminate();
    node.spawn();
    node.until_up();
    node.unseal();
    for i in SECRETS..2 * SECRETS {
        node.put(&format!("kv/data/s{i}"), &json!({"data": {"v": value(i)}}));
    }
    node.kill();
    Original { node }
}

fn value(i: usize) -> String {
    format!("value {i} {}", "y".repeat(20 + i * 13))
}

/// All files of a folder, with their paths below it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

impl Original {
    fn data(&self) -> PathBuf {
        self.node.path("data")
    }

    /// A copy of the folder, damaged, started and asked for all it ever acknowledged.
    fn with_damage(&self, file: &Path, damage: impl Fn(&Path)) -> Outcome {
        let mut copy = Node::prepare(Start::config(Program::Bulkhead));
        copy.write_config(&copy.raft_config());
        fs::remove_dir(copy.path("data")).unwrap();
        let copied = Command::new("cp")
            .args(["-a", "--sparse=always"])
            .arg(self.data())
            .arg(copy.path("data"))
            .status()
            .unwrap();
        assert!(copied.success());
        damage(&copy.path("data").join(file.strip_prefix(self.data()).unwrap()));
        copy.token.clone_from(&self.node.token);
        copy.spawn();
        let outcome = ask(&mut copy, &self.node.shares[0]);
        copy.kill();
        outcome
    }
}

fn ask(node: &mut Node, share: &str) -> Outcome {
    if let Some(refusal) = until_up_or_ended(node) {
        return refusal;
    }
    let unsealed = node.call("PUT", "sys/unseal", Some(&json!({"key": share})));
    if node.get("sys/seal-status").at("initialized") != json!(true) {
        return Outcome::Silent("it takes itself for a new server".to_owned());
    }
    if unsealed.status != 200 {
        return Outcome::Refused(unsealed.text());
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    while node.get("sys/health").status != 200 {
        if node.has_ended() || Instant::now() > deadline {
            return refusal_or_silence(node, "it never becomes active");
        }
        thread::sleep(Duration::from_millis(20));
    }
    read_all(node)
}

/// `None` once it answers; else how it ended.
fn until_up_or_ended(node: &mut Node) -> Option<Outcome> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if node.try_call("GET", "sys/seal-status", None).is_ok() {
            return None;
        }
        if node.has_ended() || Instant::now() > deadline {
            return Some(refusal_or_silence(node, "it neither starts nor says why"));
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// A refusal has words: what it says about the damage.
fn refusal_or_silence(node: &Node, otherwise: &str) -> Outcome {
    let said = node.output();
    let words = [
        "opening storage",
        "damage",
        "corrupt",
        "checksum",
        "broken",
        "truncat",
        "missing",
        "short",
        "lacks",
        "invalid",
        "does not match",
        "cannot",
        "torn",
        "gap",
    ];
    match said.lines().rev().find(|line| words.iter().any(|word| line.to_lowercase().contains(word))) {
        Some(line) => Outcome::Refused(line.to_owned()),
        None => Outcome::Silent(format!("{otherwise}: {said}")),
    }
}

fn read_all(node: &Node) -> Outcome {
    let mut refused = None;
    for i in 0..2 * SECRETS {
        let reply = node.get(&format!("kv/data/s{i}"));
        match reply.status {
            200 if reply.at("data.data.v") == json!(value(i)) => {}
            500.. => refused = Some(reply.text()),
            status => return Outcome::Silent(format!("secret {i} of {}: {status} {}", 2 * SECRETS, reply.text())),
        }
    }
    refused.map_or(Outcome::Recovered, Outcome::Refused)
}

/// Does damage to every file and collects what must not be.
fn judge(name: &str, per_file: impl Fn(&Original, &Path) -> Vec<(String, Outcome)>) {
    let original = original();
    let (mut refused, mut recovered, mut silent) = (0, 0, Vec::new());
    for file in files(&original.data()) {
        let short = file.strip_prefix(original.data()).unwrap().display().to_string();
        for (what, outcome) in per_file(&original, &file) {
            match outcome {
                Outcome::Refused(why) => {
                    refused += 1;
                    println!("{short}: {what}: refused: {why}");
                }
                Outcome::Recovered => recovered += 1,
                Outcome::Silent(how) => silent.push(format!("{short}: {what}: {how}")),
            }
        }
    }
    println!("{name}: {refused} refused, {recovered} recovered in full");
    assert!(silent.is_empty(), "{} silent losses:\n  {}", silent.len(), silent.join("\n  "));
    assert!(refused + recovered > 0);
}

/// Offsets that hold something, spread over the file.
fn telling_offsets(file: &Path) -> Vec<usize> {
    const OFFSETS_PER_FILE: usize = 6;
    let bytes = fs::read(file).unwrap();
    let written: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at] != 0).collect();
    let step = (written.len() / OFFSETS_PER_FILE).max(1);
    written.iter().copied().step_by(step).take(OFFSETS_PER_FILE + 1).collect()
}

#[test]
fn a_flipped_bit_in_any_file_is_an_error_or_does_not_matter() {
    judge("flipped bits", |original, file| {
        let flip = |at: usize| {
            original.with_damage(file, |path| {
                let mut bytes = fs::read(path).unwrap();
                bytes[at] ^= 1 << (at % 8);
                fs::write(path, bytes).unwrap();
            })
        };
        telling_offsets(file).into_iter().map(|at| (format!("bit of byte {at}"), flip(at))).collect()
    });
}

#[test]
fn a_file_cut_short_is_an_error_or_does_not_matter() {
    judge("cut files", |original, file| {
        let written = telling_offsets(file).last().map_or(0, |at| at + 1);
        let cut = |to: usize| {
            original.with_damage(file, |path| {
                fs::File::options().write(true).open(path).unwrap().set_len(to as u64).unwrap()
            })
        };
        let lengths = if written == 0 { vec![] } else { vec![0, written / 2, written - 1] };
        lengths.into_iter().map(|to| (format!("cut to {to} bytes"), cut(to))).collect()
    });
}

#[test]
fn a_missing_file_is_an_error_or_does_not_matter() {
    judge("missing files", |original, file| {
        vec![("removed".to_owned(), original.with_damage(file, |path| fs::remove_file(path).unwrap()))]
    });
}
