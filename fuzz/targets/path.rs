//! Request paths: whatever the request line holds, what is accepted is canonical.
#![no_main]

use bulkhead_model::limits::PATH_BYTES_MAX;
use bulkhead_model::path::ApiPath;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|raw: &str| {
    let Ok(path) = ApiPath::decode(raw) else { return };
    let text = path.as_str();
    assert!(text.len() <= PATH_BYTES_MAX, "an accepted path is over its limit");
    assert!(!text.chars().any(|c| c.is_control() || c == '\\'), "an accepted path holds a forbidden character");
    let body = text.strip_suffix('/').unwrap_or(text);
    let hidden = body.split('/').any(|segment| matches!(segment, "" | "." | ".."));
    assert!(body.is_empty() || !hidden, "an accepted path holds a segment that others would clean away");
    assert!(text != "/", "the folder of nothing is spelled as nothing");

    // Canonical: to check it again changes nothing, and to encode and decode it neither.
    assert!(ApiPath::checked(text.to_owned()).is_ok_and(|again| again == path), "checking is not idempotent");
    let encoded: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
    if encoded.len() <= PATH_BYTES_MAX * 3 {
        assert!(ApiPath::decode(&encoded).is_ok_and(|again| again == path), "decoding is not injective");
    }
    assert!(path.to_folder().as_str().is_empty() || path.to_folder().is_folder(), "a folder lacks its slash");
});
