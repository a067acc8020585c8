//! Rust types and functions generated from `wit/v1`. Nothing is written by hand here.
//!
//! The worlds are generated in three parts, because a guest is either an engine or an
//! auth method: the imports with the exports both share, and one export each.
#![allow(unsafe_code, missing_docs, unreachable_pub, clippy::all)] // generated code: lifting and lowering of the canonical ABI

/// All imports, and the exports `metadata` and `lifecycle`.
pub mod mounted {
    wit_bindgen::generate!({
        path: "../wit/v1",
        world: "bulkhead:plugin/mounted",
        pub_export_macro: true,
        export_macro_name: "export_mounted",
        default_bindings_module: "bulkhead_sdk::bindings::mounted",
    });
}

/// The export `engine`.
pub mod engine {
    wit_bindgen::generate!({
        path: "../wit/v1",
        inline: "package bulkhead:sdk-engine; world engine-part { export bulkhead:plugin/engine@1.0.0; }",
        world: "bulkhead:sdk-engine/engine-part",
        with: { "bulkhead:plugin/types@1.0.0": crate::bindings::mounted::bulkhead::plugin::types },
        pub_export_macro: true,
        export_macro_name: "export_engine_part",
        default_bindings_module: "bulkhead_sdk::bindings::engine",
    });
}

/// The export `authenticator`.
pub mod authenticator {
    wit_bindgen::generate!({
        path: "../wit/v1",
        inline: "package bulkhead:sdk-auth; world authenticator-part { export bulkhead:plugin/authenticator@1.0.0; }",
        world: "bulkhead:sdk-auth/authenticator-part",
        with: { "bulkhead:plugin/types@1.0.0": crate::bindings::mounted::bulkhead::plugin::types },
        pub_export_macro: true,
        export_macro_name: "export_authenticator_part",
        default_bindings_module: "bulkhead_sdk::bindings::authenticator",
    });
}
