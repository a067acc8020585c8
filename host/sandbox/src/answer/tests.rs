//! Rules for what guests return, at their edges.

use super::*;
use crate::limits::{ANSWER_HEADER_BYTES_MAX, ANSWER_HEADERS_MAX};

fn header(name: &str, value: &str) -> Result<(), Unsound> {
    headers(&[(name.to_owned(), value.to_owned())])
}

#[test]
fn data_is_one_object_and_nothing_after_it() {
    for good in ["{}", " {\"a\":[1,null]} ", "{\"a\":\"\\u00e9\"}"] {
        assert!(object(good.into()).is_ok(), "{good}");
    }
    for bad in ["", "null", "[]", "{}{}", "{},\"auth\":{}", "{\"a\":1", "{\"a\":\"\n\"}", "{'a':1}"] {
        assert!(object(bad.into()).is_err(), "{bad}");
    }
    assert!(object(b"{\"a\":\"\xff\"}".to_vec()).is_err());
}

#[test]
fn headers_that_could_end_early_or_frame_the_message_are_refused() {
    assert!(header("x-a", "b c;d=\"e\"").is_ok());
    for (name, value) in [
        ("x-a", "b\r\nc: d"),
        ("x-a", "b\0"),
        ("x-a", "b\u{e9}"),
        ("x a", "b"),
        ("x:a", "b"),
        ("", "b"),
        ("x-\u{e9}", "b"),
        ("Content-Length", "0"),
        ("SET-COOKIE", "a=b"),
        ("transfer-encoding", "chunked"),
    ] {
        assert!(header(name, value).is_err(), "{name}: {value:?}");
    }
}

#[test]
fn counts_and_lengths_hold_up_to_their_limits() {
    let one = ("x-a".to_owned(), "b".to_owned());
    assert!(headers(&vec![one.clone(); ANSWER_HEADERS_MAX]).is_ok());
    assert!(headers(&vec![one; ANSWER_HEADERS_MAX + 1]).is_err());
    assert!(header("x-a", &"b".repeat(ANSWER_HEADER_BYTES_MAX)).is_ok());
    assert!(header("x-a", &"b".repeat(ANSWER_HEADER_BYTES_MAX + 1)).is_err());
    assert!(record(vec![b' '; RECORD_JSON_BYTES_MAX]).is_ok());
    assert!(record(vec![b' '; RECORD_JSON_BYTES_MAX + 1]).is_err());
    assert!(status(200).is_ok() && status(599).is_ok());
    assert!(status(199).is_err() && status(600).is_err());
}

#[test]
fn an_errors_text_is_cut_between_characters() {
    let cut = error_text("é".repeat(ANSWER_TEXT_BYTES_MAX));
    assert_eq!(cut.len(), ANSWER_TEXT_BYTES_MAX);
    assert!(cut.chars().all(|c| c == 'é'));
}
