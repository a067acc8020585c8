use proptest::prelude::*;

use super::*;
use crate::raft::{Entry, log_id};

fn append(payload: Vec<u8>) -> Request {
    let entry =
        Entry { log_id: log_id(3, 7, 12), payload: openraft::EntryPayload::Normal(Payload(Bytes::from(payload))) };
    Request::Append(AppendRequest {
        vote: Vote::new_committed(3, 7),
        prev_log_id: Some(log_id(3, 7, 11)),
        entries: vec![entry],
        leader_commit: Some(log_id(3, 7, 10)),
    })
}

#[test]
fn a_request_is_read_as_it_was_written() {
    let bytes = encode(&append(vec![5; 3000]));
    let Some(Request::Append(read)) = request(&bytes) else { panic!() };
    assert_eq!(read.entries.len(), 1);
    assert_eq!(encode(&Request::Append(read)), bytes);
}

/// Nodes of two versions talk to each other while one of them is upgraded.
#[test]
fn what_is_asked_and_answered_keeps_its_bytes() {
    let asked = [
        (Request::ReadIndex, "0104"),
        (Request::Greet(About::default()), "0105000000"),
        (Request::SnapshotBegin { bytes: 1 }, "010601"),
        (Request::SnapshotChunk { offset: 1, crc: 2, content: Payload(Bytes::from_static(b"c")) }, "010701020163"),
        (Request::Ask(Payload(Bytes::from_static(b"q"))), "01090171"),
        (Request::ReadIndexSeconded, "010a"),
        (Request::Second, "010b"),
    ];
    for (asked, bytes) in asked {
        assert_eq!(hex(&encode(&asked)), bytes);
    }
    assert!(hex(&encode(&append(Vec::new()))).starts_with("0100"));
    let answered = [
        (Response::ReadIndex(5), "010305"),
        (Response::Greet(About::default()), "0104000000"),
        (Response::SnapshotTaken, "0105"),
        (Response::NotLeader, "0107"),
        (Response::Refused(String::new()), "010800"),
        (Response::Told(Payload(Bytes::from_static(b"t"))), "01090174"),
        (Response::Seconded(true), "010a01"),
    ];
    for (answered, bytes) in answered {
        assert_eq!(hex(&encode(&answered)), bytes);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn another_version_and_what_is_cut_off_are_not_read() {
    let mut bytes = encode(&append(vec![5; 30])).to_vec();
    for end in 0..bytes.len() {
        assert!(request(&bytes[..end]).is_none(), "cut at {end}");
    }
    bytes.push(0);
    assert!(request(&bytes).is_none(), "one byte too many");
    bytes.pop();
    bytes[0] = 2;
    assert!(request(&bytes).is_none());
}

#[test]
fn a_node_does_not_talk_at_length_about_itself() {
    let about = About { name: "n".repeat(TEXT_BYTES_MAX + 1), ..About::default() };
    assert!(request(&encode(&Request::Greet(about))).is_none());
}

proptest! {
    #[test]
    fn whatever_comes_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut versioned = vec![VERSION];
        versioned.extend_from_slice(&bytes);
        let _ = (request(&bytes), request(&versioned), response(&versioned));
    }
}
