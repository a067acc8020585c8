//! `wasm-target`: a standard library for wasm32-unknown-unknown in the active
//! toolchain's sysroot. The air-gapped way is the shell script next to `src/`, since
//! it drives apt, dpkg and cargo and nothing else.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::shell::{Done, Failed, Tried, exists, read, run, say};
use crate::workspace;

/// The target of every guest.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// How long rustup may try. Why: behind a firewall that drops packets it would wait
/// for minutes before we could try the other way.
const RUSTUP_SECS_MAX: u64 = 120;

/// Makes `cargo build --target wasm32-unknown-unknown` work.
///
/// # Errors
/// Neither rustup nor Debian's sources could provide the target.
pub(crate) fn ensure() -> Done {
    if installed()? {
        return Ok(());
    }
    say(format_args!("installing the standard library for {TARGET}"));
    if exists("rustup") && rustup_adds()? && installed()? {
        return Ok(());
    }
    say("rustup cannot fetch it here: building it from Debian's rust-src (about 2 minutes)");
    let script = workspace::root().join("xtask/wasm-target.sh");
    run(Command::new("bash").arg(script).arg(TARGET))?;
    if installed()? { Ok(()) } else { Err(Failed::new(format!("{TARGET} is still missing after it was built"))) }
}

fn installed() -> Done<bool> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let sysroot = read(Command::new(rustc).args(["--print", "sysroot"]).current_dir(workspace::root()))?;
    let folder = format!("{}/lib/rustlib/{TARGET}/lib", sysroot.trim_end());
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(false) };
    Ok(entries.flatten().any(|entry| {
        let name = entry.file_name();
        name.to_str().is_some_and(|name| name.starts_with("libstd-") && name.ends_with(".rlib"))
    }))
}

fn rustup_adds() -> Done<bool> {
    let mut command = Command::new("rustup");
    command.args(["target", "add", TARGET]).current_dir(workspace::root());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().tried("starting rustup")?;
    let deadline = Instant::now() + Duration::from_secs(RUSTUP_SECS_MAX);
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().tried("waiting for rustup")? {
            return Ok(status.success());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    child.kill().tried("stopping rustup")?;
    child.wait().tried("waiting for rustup")?;
    Ok(false)
}
