//! Host functions that can be tested without a guest.

use super::system::Line;
use crate::limits::{LOG_FIELDS_MAX, LOG_LINE_BYTES_MAX};

#[test]
fn a_log_line_has_a_bounded_number_of_bytes_and_fields() {
    let fields = vec![("n".repeat(100), "\u{202e}".repeat(100)); 100];
    let line = Line::new(&"m".repeat(3_000), &fields);
    assert_eq!(line.fields.len(), LOG_FIELDS_MAX);
    let bytes: usize = line.message.len() + line.fields.iter().map(|(n, v)| n.len() + v.len()).sum::<usize>();
    assert!(bytes <= LOG_LINE_BYTES_MAX, "{bytes} bytes");
}

#[test]
fn text_in_other_scripts_stays_as_it_is() {
    let line = Line::new("Grüße, 世界", &[]);
    assert_eq!(line.message, "Grüße, 世界");
}
