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
