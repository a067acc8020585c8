//! Filters of audit devices: any text is one or is refused, and one that is says the opposite of its denial.
#![no_main]

use bulkhead_model::audit_filter::{AuditFilter, Entry};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(filter) = AuditFilter::parse(text) else { return };
    let entry = Entry { mount_type: "kv", mount_point: "a/", namespace: "", operation: "read", path: "a/b" };
    if let Ok(denied) = AuditFilter::parse(&format!("not ({text})")) {
        assert_ne!(filter.takes(&entry), denied.takes(&entry), "a denial says the same");
    }
});
