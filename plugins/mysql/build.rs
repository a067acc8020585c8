//! The tables for the curve of Ed25519 do not fit beside the stack into the initial memory that other
//! guests have.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32") {
        println!("cargo::rustc-link-arg-cdylib=--initial-memory=262144");
    }
}
