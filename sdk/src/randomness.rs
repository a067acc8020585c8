//! The host's randomness for crates that ask the crate `getrandom` for it. On
//! `wasm32-unknown-unknown` there is no system to ask; `.cargo/config.toml` has it call a function
//! that the guest defines by `random_from_host!`. Other guests have none, and
//! so do not import the host's digests for nothing.

/// Defines the function that `getrandom` calls. To be called once, in a guest's crate that has
/// `getrandom` as a dependency.
#[macro_export]
macro_rules! random_from_host {
    () => {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code)] // the name and the form are getrandom's
        const _: () = {
            #[unsafe(no_mangle)]
            unsafe extern "Rust" fn __getrandom_v03_custom(
                into: *mut u8,
                bytes: usize,
            ) -> Result<(), getrandom::Error> {
                const BYTES_MAX: usize = 65_536;
                if bytes > BYTES_MAX {
                    return Err(getrandom::Error::UNSUPPORTED);
                }
                #[allow(clippy::cast_possible_truncation)] // bounded above
                let random = $crate::bindings::mounted::bulkhead::plugin::digest::random(bytes as u32);
                if random.len() != bytes {
                    return Err(getrandom::Error::UNEXPECTED);
                }
                // SAFETY: getrandom hands over a place for that many bytes, and it is not the new vector's.
                unsafe { core::ptr::copy_nonoverlapping(random.as_ptr(), into, bytes) };
                Ok(())
            }
        };
    };
}
