//! `precompile FROM.wasm TO.plugin`: turns a component into what the host embeds. Run
//! by `cargo xtask plugins`; a program of its own, so that xtask need not link the
//! compiler. Nothing else belongs here.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bulkhead_sandbox::{Sandbox, SandboxLimits};

fn main() -> ExitCode {
    let paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [from, to] = paths.as_slice() else {
        eprintln!("usage: precompile FROM.wasm TO.plugin");
        return ExitCode::FAILURE;
    };
    match precompile(from, to) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("precompiling {}: {why}", from.display());
            ExitCode::FAILURE
        }
    }
}

fn precompile(from: &Path, to: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let wasm = std::fs::read(from)?;
    let compiled = Sandbox::new(SandboxLimits::default())?.precompile(&wasm)?;
    // The host's build is repeated when this file changes: leave an equal one alone.
    if !std::fs::read(to).is_ok_and(|old| old == compiled) {
        std::fs::write(to, compiled)?;
    }
    Ok(())
}
