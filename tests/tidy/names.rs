//! Names and words that only some files may hold, or none.

use crate::holds;
use crate::text::{HOSTILE, Source, has_word, sources, texts, uses};

/// Files that may hold `unsafe`; each says in its header why it must.
const UNSAFE_FILES: &[&str] =
    &["host/cli/src/terminal/echo.rs", "host/sandbox/src/trusted.rs", "sdk/src/allocator.rs", "sdk/src/randomness.rs"];

/// Names that only some files of a room may use: the text, the files (a part of their
/// path), the folder the rule is about, and why.
const CONFINED: &[(&str, &[&str], &str, &str)] = &[
    ("lsm_tree::", &["host/ledger/src/disk"], "host/", "the store can be swapped in one place"),
    ("openraft::", &["host/ledger/"], "host/", "consensus can be swapped in one room"),
    (
        "rustls::",
        &["/tls.rs", "/tls/", "/error.rs", "/tests/"],
        "host/",
        "TLS settings are reviewed in one file of a room",
    ),
    ("hyper::", &["host/api/", "host/cli/"], "host/", "HTTP ends at the rim"),
    ("aws_lc_rs::aead", &["host/barrier/"], "host/", "only the barrier encrypts"),
    (
        // A guest's own status is encoded, and the site outside the API has its pages.
        "StatusCode::",
        &["host/api/src/status.rs", "host/api/src/encode.rs", "host/api/src/site.rs", "/tests.rs", "/tests/"],
        "host/api/",
        "status codes are chosen in one file",
    ),
    ("SystemTime::now", &["host/server/", "host/cli/"], "host/", "the clock is an argument"),
    ("Utc::now", &[], "host/", "the clock is an argument"),
    ("now_utc()", &["host/server/", "host/cli/"], "host/", "the clock is an argument"),
    ("thread_rng", &[], "host/", "randomness is an argument"),
    (
        "std::process::Command",
        &["host/cli/", "/build.rs", "/tests.rs", "/tests/"],
        "host/",
        "the server never starts a program",
    ),
];

/// Words that mark unfinished work or name somebody's machine; split, because this file
/// is checked as well.
const FORBIDDEN: &[&str] = &[
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("db", "g!("),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("HA", "CK"),
    concat!("/wo", "rk/"),
    concat!("/tmp/ba", "sh"),
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
];

#[test]
fn names_stay_in_their_files() {
    let mut broken = Vec::new();
    for source in sources() {
        for (name, files, folder, why) in CONFINED {
            if !source.path.starts_with(folder) || files.iter().any(|file| source.path.contains(file)) {
                continue;
            }
            for (number, _) in source.code_lines().filter(|(_, line)| uses(line, name)) {
                broken.push(format!("{}:{number}: {name} does not belong here: {why}", source.path));
            }
        }
    }
    holds(&broken);
}

#[test]
fn unsafe_code_is_in_named_files_only() {
    let mut broken = Vec::new();
    let mut found = Vec::new();
    for source in sources().into_iter().filter(|source| !source.path.starts_with(HOSTILE)) {
        let lines: Vec<usize> =
            source.code_lines().filter(|(_, line)| has_word(line, "unsafe")).map(|(number, _)| number).collect();
        if lines.is_empty() {
            continue;
        }
        if !UNSAFE_FILES.contains(&source.path.as_str()) {
            broken.push(format!("{}:{}: unsafe code outside the named files", source.path, lines[0]));
        }
        if !source.text.contains("SAFETY") {
            broken.push(format!("{}: unsafe code without a SAFETY comment", source.path));
        }
        found.push(source.path);
    }
    for stale in UNSAFE_FILES.iter().filter(|path| !found.iter().any(|found| found == *path)) {
        broken.push(format!("{stale} holds no unsafe code: take it off UNSAFE_FILES"));
    }
    holds(&broken);
}

// no secret is compared by `==` on its bytes.
#[test]
fn secrets_are_compared_in_constant_time() {
    let mut broken = Vec::new();
    // The client compares its own token with what its own user typed: nobody to tell.
    let exempt = |source: &Source| source.is_test() || source.path.starts_with("host/cli/");
    for source in sources().into_iter().filter(|source| !exempt(source)) {
        for (number, line) in source.code_lines() {
            let left = line.contains(".expose() ==") || line.contains(".expose() !=");
            let right = ["== ", "!= "].iter().any(|operator| {
                line.split(operator).skip(1).any(|rest| {
                    let operand = rest.split([' ', ')', ',', '{']).next().unwrap_or_default();
                    operand.ends_with(".expose(")
                })
            });
            if left || right {
                broken.push(format!(
                    "{}:{number}: compares an exposed secret; Hidden has a constant-time ==",
                    source.path
                ));
            }
        }
    }
    holds(&broken);
}

#[test]
fn no_text_holds_a_forbidden_word() {
    let mut broken = Vec::new();
    for (path, text) in texts() {
        for (number, line) in text.lines().enumerate() {
            for word in FORBIDDEN.iter().filter(|word| uses(line, word)) {
                broken.push(format!("{path}:{}: {word}", number + 1));
            }
        }
    }
    holds(&broken);
}
