//! The PROXY protocol's header, which comes before anybody is known: any bytes are a header
//! within the bounds, none, or refused; and what is decided stays so, whatever else comes.
#![no_main]

use bulkhead_model::proxy_header::{BINARY_BYTES_MAX, Beginning, TEXT_BYTES_MAX, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let whole = read(bytes);
    match whole {
        Ok(Beginning::Header(length, _)) => {
            let most = if bytes[0] == b'P' { TEXT_BYTES_MAX } else { BINARY_BYTES_MAX };
            assert!(length <= bytes.len() && length <= most, "a header is longer than it may be");
        }
        Ok(Beginning::Undecided) => assert!(bytes.len() < BINARY_BYTES_MAX, "a header is waited for without end"),
        Ok(Beginning::Other) | Err(_) => {}
    }
    for so_far in 0..bytes.len() {
        let part = read(&bytes[..so_far]);
        assert!(part == Ok(Beginning::Undecided) || part == whole, "what was decided changed");
    }
});
