//! The dependency rules of deny.toml: licences, bans, sources, and known
//! vulnerabilities where their database can be fetched.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::shell::{Done, exists, run, say};
use crate::workspace;

/// The release we install where there is none. Pinned, because a new release brings
/// new checks at a time that nobody chose.
const VERSION: &str = "0.20.2";

/// Checks everything that can be checked here.
///
/// # Errors
/// A rule is broken, or cargo-deny cannot be installed.
pub(crate) fn check() -> Done {
    let program = ensure()?;
    let deny = || {
        let mut command = Command::new(&program);
        command.current_dir(workspace::root());
        command
    };
    run(deny().args(["--workspace", "check", "--hide-inclusion-graph", "licenses", "bans", "sources"]))?;
    say("fetching the advisory database");
    let fetched = deny().args(["fetch", "db"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if fetched.is_ok_and(|status| status.success()) {
        return run(deny().args(["--workspace", "check", "--disable-fetch", "advisories"]));
    }
    // Not an error, because a machine without a way out could then never pass; but
    // never silent, because "ok" would otherwise claim too much.
    println!("\n  WARNING: the advisory database cannot be fetched here.");
    println!("  WARNING: known vulnerabilities (advisories) were NOT checked.\n");
    Ok(())
}

fn ensure() -> Done<PathBuf> {
    let tools = workspace::root().join("target/tools");
    let cached = tools.join("bin/cargo-deny");
    for program in [cached.clone(), PathBuf::from("cargo-deny")] {
        if exists(&program) {
            return Ok(program);
        }
    }
    say(format_args!("installing cargo-deny {VERSION} into target/tools (minutes, once)"));
    let mut install = crate::shell::cargo();
    // It runs for seconds: to build it with optimisation would take longer than that saves.
    install.args(["install", "--locked", "--debug", "cargo-deny", "--version", VERSION, "--root"]).arg(tools);
    run(&mut install)?;
    Ok(cached)
}
