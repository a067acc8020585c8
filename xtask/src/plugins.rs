//! `plugins`: guests become components, and the official ones machine code.
//!
//! Three steps, each skipped while its inputs are the same: cargo builds core modules
//! into its own target folder, the component encoder wraps them, and a small program
//! that links the sandbox precompiles what the host will embed.

use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::shell::{Done, Failed, Tried, cargo, say};
use crate::wasm_target::{self, TARGET};
use crate::workspace::{self, Guest, Profile, build_program, files_below, guests_dir, write_if_changed};

/// What `cargo xtask plugins` can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Precompile with a compiler built in the release profile (the default)
    #[arg(long, conflicts_with = "dev")]
    release: bool,
    /// Precompile with a compiler built in the dev profile: the same code, one build less
    #[arg(long)]
    dev: bool,
}

/// Runs the command.
///
/// # Errors
/// A guest does not build, does not fit its world, or does not compile.
pub(crate) fn run(options: &Options) -> Done {
    wasm_target::ensure()?;
    build(if options.dev { Profile::Dev } else { Profile::Release })
}

/// Brings target/guests up to date.
///
/// # Errors
/// As for [`run`].
pub(crate) fn build(profile: Profile) -> Done {
    let guests = workspace::guests()?;
    let names: Vec<&str> = guests.iter().map(|guest| guest.short.as_str()).collect();
    say(format_args!("building guests: {}", names.join(", ")));
    compile(&guests)?;
    std::fs::create_dir_all(guests_dir()).tried("creating target/guests")?;
    for guest in &guests {
        encode(guest)?;
    }
    let official: Vec<&Guest> = guests.iter().filter(|guest| guest.official).collect();
    remove_strangers(&official)?;
    precompile(&official, profile)
}

/// The host embeds every precompiled file it finds: a plugin that has left the
/// repository must leave the folder too.
fn remove_strangers(official: &[&Guest]) -> Done {
    for path in files_below(&guests_dir()) {
        let known = official.iter().any(|guest| path == path_of(guest, "plugin"));
        if path.extension().is_some_and(|end| end == "plugin") && !known {
            std::fs::remove_file(&path).tried(format_args!("removing {}", path.display()))?;
        }
    }
    Ok(())
}

fn build_dir() -> PathBuf {
    workspace::root().join("target/guests-build")
}

fn compile(guests: &[Guest]) -> Done {
    crate::shell::run(&mut for_guests("build", guests))
}

/// Lints the guests as they are built for the sandbox: what is only in them there is not
/// seen when they are linted with the host.
///
/// # Errors
/// There is a warning.
pub(crate) fn lint() -> Done {
    wasm_target::ensure()?;
    crate::shell::run(for_guests("clippy", &workspace::guests()?).args(["--", "-D", "warnings"]))
}

fn for_guests(verb: &str, guests: &[Guest]) -> Command {
    let mut command = cargo();
    command.args([verb, "--locked", "--profile", "guest", "--target", TARGET, "--lib"]);
    command.arg("--target-dir").arg(build_dir());
    for guest in guests {
        command.args(["--package", &guest.package]);
    }
    // Flags meant for the host (coverage, native CPU) must not reach the guests, whose
    // own come from .cargo/config.toml.
    command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    command
}

/// Turns a core module into a component.
fn encode(guest: &Guest) -> Done {
    let built = build_dir().join(TARGET).join("guest").join(&guest.module);
    let module = std::fs::read(&built).tried(format_args!("reading {}", built.display()))?;
    let stripped = strip(&module).ok_or_else(|| Failed::new(format!("{} is no core module", built.display())))?;
    let component = wit_component::ComponentEncoder::default()
        .validate(true)
        .module(&stripped)
        .and_then(|encoder| encoder.encode())
        .map_err(|error| Failed::new(format!("{} does not fit its world: {error:#}", guest.package)))?;
    let path = guests_dir().join(format!("{}.wasm", guest.short));
    let changed = write_if_changed(&path, &component)?;
    let state = if changed { "written" } else { "unchanged" };
    println!("    {:<16} {:>6} KiB  {state}", guest.short, component.len().div_ceil(1024));
    Ok(())
}

/// Removes every custom section but the world, which the encoder needs: names and
/// producer notes are half of a small guest and say nothing that the sources do not.
fn strip(module: &[u8]) -> Option<Vec<u8>> {
    const HEADER_BYTES: usize = 8;
    const CUSTOM: u8 = 0;
    let mut kept = module.get(..HEADER_BYTES)?.to_vec();
    let mut at = HEADER_BYTES;
    while at < module.len() {
        let (size, digits) = leb128(module.get(at + 1..)?)?;
        let body = at + 1 + digits;
        let end = body.checked_add(size)?;
        let section = module.get(body..end)?;
        if module[at] != CUSTOM || custom_name(section)?.starts_with(b"component-type") {
            kept.extend_from_slice(&module[at..end]);
        }
        at = end;
    }
    Some(kept)
}

fn custom_name(section: &[u8]) -> Option<&[u8]> {
    let (length, digits) = leb128(section)?;
    section.get(digits..digits.checked_add(length)?)
}

/// An unsigned number of at most 32 bits, and how many bytes it took.
fn leb128(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0u64;
    for (place, byte) in bytes.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, place + 1));
        }
    }
    None
}

/// Compiles the official guests for the host to embed.
fn precompile(guests: &[&Guest], profile: Profile) -> Done {
    let compiler = compiler_digest()?;
    let mut stale = Vec::new();
    for guest in guests {
        let stamp = stamp_of(guest, &compiler)?;
        let files = [path_of(guest, "plugin"), path_of(guest, "stamp")];
        let fresh = files[0].is_file() && std::fs::read_to_string(&files[1]).is_ok_and(|old| old == stamp);
        if !fresh {
            stale.push((*guest, stamp));
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    say("building the guests' compiler (wasmtime takes minutes, the first time)");
    build_program(profile, "precompile")?;
    for (guest, stamp) in stale {
        let (from, to) = (path_of(guest, "wasm"), path_of(guest, "plugin"));
        run_precompiler(profile, &from, &to)?;
        write_if_changed(&path_of(guest, "stamp"), stamp.as_bytes())?;
        let size = std::fs::metadata(&to).tried(format_args!("reading {}", to.display()))?.len();
        println!("    {:<16} {:>6} KiB  precompiled", guest.short, size.div_ceil(1024));
    }
    Ok(())
}

fn run_precompiler(profile: Profile, from: &Path, to: &Path) -> Done {
    crate::shell::run(Command::new(profile.binary("precompile")).arg(from).arg(to))
}

fn path_of(guest: &Guest, extension: &str) -> PathBuf {
    guests_dir().join(format!("{}.{extension}", guest.short))
}

fn stamp_of(guest: &Guest, compiler: &str) -> Done<String> {
    let path = path_of(guest, "wasm");
    let component = std::fs::read(&path).tried(format_args!("reading {}", path.display()))?;
    Ok(format!("{} {compiler}\n", hex::encode(Sha256::digest(component))))
}

/// What decides the machine code beside the component: the sandbox's settings and the
/// versions of everything it links.
fn compiler_digest() -> Done<String> {
    let root = workspace::root();
    let mut digest = Sha256::new();
    for input in ["Cargo.lock", "rust-toolchain.toml", "host/sandbox"] {
        for path in files_below(&root.join(input)) {
            digest.update(path.strip_prefix(&root).unwrap_or(&path).as_os_str().as_encoded_bytes());
            digest.update(std::fs::read(&path).tried(format_args!("reading {}", path.display()))?);
        }
    }
    Ok(hex::encode(digest.finalize()))
}

#[cfg(test)]
mod tests;
