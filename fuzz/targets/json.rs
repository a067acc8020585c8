//! The limits on JSON bodies, checked before the parser runs: what passes them, the
//! parser survives and the limits hold; what the parser takes, they do not call broken.
#![no_main]

use bulkhead_model::json::{Bounds, JsonError, check_object};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// Small, so that the fuzzer reaches the limits with short inputs.
const BOUNDS: Bounds = Bounds { depth_max: 8, strings_max: 16, values_max: 24 };

fuzz_target!(|body: &[u8]| {
    let checked = check_object(body, BOUNDS);
    let parsed = serde_json::from_slice::<Value>(body);
    match (checked, parsed) {
        (Ok(()), Ok(value)) => {
            assert!(value.is_object(), "a body that is no object passed");
            // The parser drops repeated names, so these are lower bounds.
            assert!(depth(&value) <= BOUNDS.depth_max, "a body deeper than the limit passed");
            assert!(strings(&value) <= BOUNDS.strings_max, "a body with too many strings passed");
            assert!(values(&value) <= BOUNDS.values_max, "a body with too many values passed");
        }
        (Err(error), Ok(value)) if value.is_object() => {
            // The parser keeps numbers as text, so one beyond every double passes it.
            let stricter = error.is_complexity() || matches!(error, JsonError::Depth | JsonError::NumberRange);
            assert!(
                stricter || has_repeated_names(body, &value),
                "a body that the parser reads was called broken: {error}"
            );
        }
        _ => {}
    }
});

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn strings(value: &Value) -> usize {
    match value {
        Value::String(_) => 1,
        Value::Array(items) => items.iter().map(strings).sum(),
        Value::Object(members) => members.len() + members.values().map(strings).sum::<usize>(),
        _ => 0,
    }
}

/// How many values are in it.
fn values(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(|item| 1 + values(item)).sum(),
        Value::Object(members) => members.values().map(|member| 1 + values(member)).sum(),
        _ => 0,
    }
}

/// Whether the parser saw fewer names than the text has colons outside strings: a
/// stricter check may refuse such a body.
fn has_repeated_names(body: &[u8], value: &Value) -> bool {
    fn names(value: &Value) -> usize {
        match value {
            Value::Array(items) => items.iter().map(names).sum(),
            Value::Object(members) => members.len() + members.values().map(names).sum::<usize>(),
            _ => 0,
        }
    }
    let (mut colons, mut inside, mut escaped) = (0, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if inside => escaped = true,
            b'"' => inside = !inside,
            b':' if !inside => colons += 1,
            _ => {}
        }
    }
    colons > names(value)
}
