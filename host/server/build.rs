//! Puts the official plugins into the binary, and notes what it was built from. Both
//! are left out rather than guessed: without `cargo xtask plugins` there are none, and
//! outside a git checkout there is no commit.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    embed_guests();
    note_origin();
}

/// Writes `guests.rs`: the name and bytes of every precompiled plugin.
fn embed_guests() {
    println!("cargo::rerun-if-env-changed=BULKHEAD_GUESTS_DIR");
    let given = std::env::var_os("BULKHEAD_GUESTS_DIR").map(PathBuf::from);
    let dir = given.unwrap_or_else(|| workspace().join("target").join("guests"));
    // Cargo watches the folder only if it exists; it would build anew each time otherwise.
    let _ = std::fs::create_dir_all(&dir);
    println!("cargo::rerun-if-changed={}", dir.display());
    let entries = std::fs::read_dir(&dir).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "plugin")).collect();
    files.sort();
    if files.is_empty() {
        println!("cargo::warning=built without official plugins; run `cargo xtask build`");
    }
    let mut code = String::from("pub(crate) static GUESTS: &[(&str, &[u8])] = &[\n");
    for file in &files {
        println!("cargo::rerun-if-changed={}", file.display());
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        let _ = writeln!(code, "    ({name:?}, include_bytes!({:?})),", file.display().to_string());
    }
    code.push_str("];\n");
    let out = std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    std::fs::write(Path::new(&out).join("guests.rs"), code).expect("OUT_DIR can be written");
}

fn workspace() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    Path::new(&here).join("..").join("..")
}

/// Commit and time. The time is `SOURCE_DATE_EPOCH` if it is set, else the commit's, so
/// that the same source makes the same binary.
fn note_origin() {
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    let head = workspace().join(".git").join("HEAD");
    if head.exists() {
        println!("cargo::rerun-if-changed={}", head.display());
    }
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    let epoch = std::env::var("SOURCE_DATE_EPOCH").ok().or_else(|| git(&["log", "-1", "--format=%ct"]));
    let secs = epoch
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()));
    println!("cargo::rustc-env=BULKHEAD_SERVER_COMMIT={commit}");
    println!("cargo::rustc-env=BULKHEAD_SERVER_BUILT={}", rfc3339(secs));
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").current_dir(workspace()).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// Seconds since 1970 as a date and time in UTC, by Howard Hinnant's civil calendar.
fn rfc3339(secs: u64) -> String {
    let (days, rest) = (secs / 86_400 + 719_468, secs % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}
