//! Rust types and functions generated from `wit/v1`. Nothing is written by hand here.
//!
//! The worlds are generated in parts, because a guest is an engine, an auth method, a seal or a
//! driver of databases: the imports, and the exports of each.
#![allow(unsafe_code, missing_docs, unreachable_pub, clippy::all)] // generated code: lifting and lowering of the canonical ABI

/// All imports of what is mounted. Those of a seal and of a driver are among them.
pub mod mounted {
    wit_bindgen::generate!({
        path: "../wit/v1",
        inline: "
            package bulkhead:sdk-imports;
            world imports-part {
                import bulkhead:plugin/types@1.0.0;
                import bulkhead:plugin/system@1.0.0;
                import bulkhead:plugin/digest@1.0.0;
                import bulkhead:plugin/storage@1.0.0;
                import bulkhead:plugin/cache@1.0.0;
                import bulkhead:plugin/effects@1.0.0;
                import bulkhead:plugin/keys@1.0.0;
                import bulkhead:plugin/net@1.0.0;
                import bulkhead:plugin/http@1.0.0;
                import bulkhead:plugin/identity@1.0.0;
                import bulkhead:plugin/files@1.0.0;
                import bulkhead:plugin/database-drivers@1.0.0;
            }
        ",
        world: "bulkhead:sdk-imports/imports-part",
        generate_all,
    });
}

/// The export `metadata`, which every guest has.
pub mod metadata {
    wit_bindgen::generate!({
        path: "../wit/v1",
        inline: "package bulkhead:sdk-metadata; world metadata-part { export bulkhead:plugin/metadata@1.0.0; }",
        world: "bulkhead:sdk-metadata/metadata-part",
        with: { "bulkhead:plugin/types@1.0.0": crate::bindings::mounted::bulkhead::plugin::types },
        pub_export_macro: true,
        export_macro_name: "export_metadata_part",
        default_bindings_module: "bulkhead_sdk::bindings::metadata",
    });
}

/// The export `lifecycle`, which what is mounted has.
pub mod lifecycle {
    wit_bindgen::generate!({
        path: "../wit/v1",
        inline: "package bulkhead:sdk-lifecycle; world lifecycle-part { export bulkhead:plugin/lifecycle@1.0.0; }",
        world: "bulkhead:sdk-lifecycle/lifecycle-part",
        with: { "bulkhead:plugin/types@1.0.0": crate::bindings::mounted::bulkhead::plugin::types },
        pub_export_macro: true,
        export_macro_name: "export_lifecycle_part",
        default_bindings_module: "bulkhead_sdk::bindings::lifecycle",
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

/// The export `sealer`.
pub mod sealer {
    wit_bindgen::generate!({
        path: "../wit/v1",
        inline: "package bulkhead:sdk-seal; world sealer-part { export bulkhead:plugin/sealer@1.0.0; }",
        world: "bulkhead:sdk-seal/sealer-part",
        with: { "bulkhead:plugin/types@1.0.0": crate::bindings::mounted::bulkhead::plugin::types },
        pub_export_macro: true,
        export_macro_name: "export_sealer_part",
        default_bindings_module: "bulkhead_sdk::bindings::sealer",
    });
}

/// The exports `driver-info` and `database`. What they speak of is of the same types as the
/// import `database-drivers`.
pub mod driver {
    wit_bindgen::generate!({
        path: "../wit/v1",
        inline: "
            package bulkhead:sdk-driver;
            world driver-part {
                export bulkhead:plugin/driver-info@1.0.0;
                export bulkhead:plugin/database@1.0.0;
            }
        ",
        world: "bulkhead:sdk-driver/driver-part",
        with: {
            "bulkhead:plugin/types@1.0.0": crate::bindings::mounted::bulkhead::plugin::types,
            "bulkhead:plugin/database-types@1.0.0": crate::bindings::mounted::bulkhead::plugin::database_types,
        },
        pub_export_macro: true,
        export_macro_name: "export_driver_part",
        default_bindings_module: "bulkhead_sdk::bindings::driver",
    });
}
