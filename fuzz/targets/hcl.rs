//! Configuration and policy text, native HCL and its JSON form: any text is read or
//! refused at a place within it, without a panic, an overflow or a hang.
#![no_main]

use bulkhead_model::hcl::parse;
use bulkhead_model::policy::Policy;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(error) = parse(text) {
        let lines = u32::try_from(text.matches('\n').count() + 1).unwrap_or(u32::MAX);
        assert!(error.line >= 1 && error.line <= lines, "an error names a line that the text lacks");
        assert!(error.column >= 1, "columns count from 1");
    }
    // Policies have rules of their own on top of the syntax.
    let _ = Policy::parse(text);
});
