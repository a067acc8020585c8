//! The laws of this repository that a program can check. What lives here: rules about
//! the text of the sources and manifests, each with its reason. What must not: rules
//! the compiler or clippy enforces already, and anything that runs the product.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Longest file, in lines. Why: over it, a file is about more than one noun.
const FILE_LINES_MAX: usize = 800;

/// Longest function, in lines. Why: over it, the order of the steps is hidden in them.
const FUNCTION_LINES_MAX: usize = 70;

/// Most parameters of a function. Why: over it, some of them are one thing.
const PARAMETERS_MAX: usize = 5;

/// Files over the law, with their present size. This list only shrinks: an entry must
/// say the size the file has now.
const LONG_FILES: &[(&str, usize)] = &[];

/// Functions over the law, with their present size. Shrinks likewise.
const LONG_FUNCTIONS: &[(&str, &str, usize)] = &[];

/// Functions with more parameters than the law allows. Shrinks likewise.
const WIDE_FUNCTIONS: &[(&str, &str, usize)] = &[];

/// Files that may hold `unsafe`; each says in its header why it must.
const UNSAFE_FILES: &[&str] = &["host/cli/src/terminal/echo.rs", "host/sandbox/src/trusted.rs", "sdk/src/allocator.rs"];

/// Guests that misbehave on purpose: laws about sound code do not hold in them.
const HOSTILE: &str = "host/sandbox/tests/guests/";

/// Which of our packages a package may depend on. The direction is cli → server →
/// the others → model; only the server meets the ledger and the sandbox; what
/// runs in the sandbox knows nothing of the host.
const ROOMS: &[(&str, &[&str])] = &[
    ("host/model", &[]),
    ("host/barrier", &["bulkhead-model"]),
    ("host/ledger", &["bulkhead-model"]),
    ("host/ledger/histogram", &[]),
    ("host/sandbox", &["bulkhead-model"]),
    ("host/broker", &["bulkhead-barrier", "bulkhead-model"]),
    ("host/api", &["bulkhead-model"]),
    (
        "host/server",
        &[
            "bulkhead-api",
            "bulkhead-barrier",
            "bulkhead-broker",
            "bulkhead-ledger",
            "bulkhead-model",
            "bulkhead-sandbox",
        ],
    ),
    ("host/cli", &["bulkhead-model", "bulkhead-server"]),
    ("sdk", &["bulkhead-sdk-derive"]),
    ("sdk/derive", &[]),
    ("tests", &["bulkhead-server"]),
    ("xtask", &[]),
];

/// What a guest may depend on.
const GUEST: &[&str] = &["bulkhead-sdk"];

/// Crates that stay in their rooms, so that replacing one is the work of one room.
const VENDORS: &[(&str, &[&str])] = &[
    ("aes-siv", &["host/barrier"]),
    ("cap-std", &["host/sandbox", "host/server"]),
    ("clap", &["host/cli", "xtask"]),
    ("clap_complete", &["host/cli"]),
    ("hyper", &["host/api", "host/cli", "tests", "xtask"]),
    ("hyper-util", &["host/api", "host/cli", "tests", "xtask"]),
    ("lsm-tree", &["host/ledger"]),
    ("openraft", &["host/ledger"]),
    ("rcgen", &["host/ledger", "tests"]),
    ("rustls", &["host/api", "host/cli", "host/ledger", "tests"]),
    ("tokio-rustls", &["host/api", "host/cli", "host/ledger"]),
    ("vsss-rs", &["host/barrier"]),
    ("wasmtime", &["host/sandbox"]),
    ("wit-bindgen", &["sdk"]),
    ("wit-component", &["host/sandbox", "xtask"]),
];

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
fn rooms_depend_only_in_their_direction() {
    let mut broken = Vec::new();
    for manifest in manifests() {
        let allowed = allowed_rooms(&manifest.folder);
        for name in manifest.dependencies.iter().filter(|name| name.starts_with("bulkhead")) {
            if !allowed.contains(&name.as_str()) {
                broken.push(format!("{} must not depend on {name}", manifest.folder));
            }
        }
    }
    holds(&broken);
}

#[test]
fn vendor_crates_stay_in_their_rooms() {
    let mut broken = Vec::new();
    for manifest in manifests().into_iter().filter(|manifest| !manifest.folder.starts_with(HOSTILE)) {
        for name in &manifest.dependencies {
            let rooms = VENDORS.iter().find(|(vendor, _)| vendor == name).map(|(_, rooms)| rooms);
            if rooms.is_some_and(|rooms| !rooms.contains(&manifest.folder.as_str())) {
                broken.push(format!("{} must not depend on {name}", manifest.folder));
            }
        }
    }
    holds(&broken);
}

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
fn every_source_file_opens_with_what_lives_in_it() {
    // A tests.rs holds the tests of the module it is named under, and nothing else.
    let told = |source: &Source| source.text.starts_with("//!") || source.path.ends_with("/tests.rs");
    let silent = sources().into_iter().filter(|source| !told(source));
    holds(&silent.map(|source| format!("{} does not open with //!", source.path)).collect::<Vec<_>>());
}

#[test]
fn files_are_short_or_on_the_list_that_shrinks() {
    let long: BTreeMap<String, usize> = sources()
        .into_iter()
        .map(|source| (source.path, source.text.lines().count()))
        .filter(|(_, lines)| *lines > FILE_LINES_MAX)
        .collect();
    let listed = LONG_FILES.iter().map(|(path, lines)| ((*path).to_owned(), *lines)).collect();
    holds(&differences(&long, &listed, "LONG_FILES", "lines"));
}

#[test]
fn functions_are_short_or_on_the_list_that_shrinks() {
    let long = functions_where(|function| (function.lines > FUNCTION_LINES_MAX).then_some(function.lines));
    holds(&differences(&long, &listed(LONG_FUNCTIONS), "LONG_FUNCTIONS", "lines"));
}

#[test]
fn functions_take_few_parameters_or_are_on_the_list_that_shrinks() {
    let wide = functions_where(|function| (function.parameters > PARAMETERS_MAX).then_some(function.parameters));
    holds(&differences(&wide, &listed(WIDE_FUNCTIONS), "WIDE_FUNCTIONS", "parameters"));
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

#[test]
fn an_ignored_test_says_why() {
    let mut broken = Vec::new();
    for source in sources() {
        for (number, _) in source.code_lines().filter(|(_, line)| line.trim() == "#[ignore]") {
            broken.push(format!("{}:{number}: write #[ignore = \"the reason\"]", source.path));
        }
    }
    holds(&broken);
}

#[test]
fn names_of_tests_are_sentences() {
    let mut broken = Vec::new();
    for source in sources() {
        let lines: Vec<(usize, &str)> = source.code_lines().collect();
        for pair in lines.windows(2) {
            let marked = pair[0].1.trim_start().starts_with("#[test]");
            let name = pair[1].1.trim_start().strip_prefix("fn ").unwrap_or_default();
            if marked && name.starts_with("test_") {
                broken.push(format!("{}:{}: name the rule, without test_", source.path, pair[1].0));
            }
        }
    }
    holds(&broken);
}

#[test]
fn released_wit_never_changes() {
    let wit = root().join("wit");
    let pinned = |version: &str| wit.join(format!("{version}.sha256")).is_file();
    let versions = fs::read_dir(&wit).expect("wit/ is there").flatten().filter(|entry| entry.path().is_dir());
    let versions: Vec<String> = versions.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    assert!(!versions.is_empty(), "wit/ holds no version");
    let loose = versions.iter().filter(|version| !pinned(version));
    let mut broken: Vec<String> = loose.map(|v| format!("wit/{v} is not pinned: cargo xtask freeze-wit {v}")).collect();
    for pinned in files_below(&wit).iter().filter(|path| path.extension().is_some_and(|end| end == "sha256")) {
        let name = pinned.file_stem().expect("a pinned file has a name").to_string_lossy().into_owned();
        let list = read(pinned);
        for file in files_below(&wit.join(&name)) {
            let file = relative(&file, &wit);
            if !list.lines().any(|line| line.ends_with(&format!("  {file}"))) {
                broken.push(format!("wit/{file} was added to the released {name}: it belongs in a new version"));
            }
        }
        let mut check = Command::new("sha256sum");
        check.args(["--check", "--strict", "--quiet"]).arg(pinned).current_dir(&wit);
        let checked = check.output().expect("sha256sum is part of every Linux");
        if !checked.status.success() {
            broken.push(format!("released WIT has changed: {}", String::from_utf8_lossy(&checked.stdout).trim_end()));
        }
    }
    holds(&broken);
}

#[test]
fn the_readme_names_the_commands_that_ci_runs() {
    let (readme, ci) = (read(&root().join("README.md")), read(&root().join(".ci/run")));
    for command in ["cargo xtask dev", "cargo xtask test"] {
        assert!(readme.contains(command), "README.md does not name `{command}`");
    }
    assert!(ci.contains("cargo xtask test"), ".ci/run does not run the README's test command");
}

/// Fails with every breach at once: one at a time would cost a build each.
fn holds(broken: &[String]) {
    assert!(broken.is_empty(), "{} breaches:\n  {}", broken.len(), broken.join("\n  "));
}

fn allowed_rooms(folder: &str) -> &'static [&'static str] {
    if ["plugins/", "examples/", HOSTILE].iter().any(|guests| folder.starts_with(guests)) {
        return GUEST;
    }
    let room = ROOMS.iter().find(|(room, _)| *room == folder);
    room.unwrap_or_else(|| panic!("{folder} is a package without a place in ROOMS")).1
}

fn listed(list: &[(&str, &str, usize)]) -> BTreeMap<String, usize> {
    list.iter().map(|(path, name, size)| (format!("{path}: fn {name}"), *size)).collect()
}

fn functions_where(measure: impl Fn(&Function) -> Option<usize>) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for source in sources() {
        for function in functions(&source.code) {
            if let Some(size) = measure(&function) {
                found.insert(format!("{}: fn {}", source.path, function.name), size);
            }
        }
    }
    found
}

/// What is over the law and not on the list, on the list and not over the law, or of
/// another size than listed.
fn differences(
    found: &BTreeMap<String, usize>,
    listed: &BTreeMap<String, usize>,
    list: &str,
    unit: &str,
) -> Vec<String> {
    let mut all = Vec::new();
    for (what, size) in found {
        match listed.get(what) {
            None => all.push(format!("{what} has {size} {unit}: split it by noun")),
            Some(old) if old < size => {
                all.push(format!("{what} grew from {old} to {size} {unit}: {list} only shrinks"))
            }
            Some(old) if old > size => all.push(format!("{what} shrank to {size} {unit}: lower its entry in {list}")),
            Some(_) => {}
        }
    }
    let stale = listed.keys().filter(|what| !found.contains_key(*what));
    all.extend(stale.map(|what| format!("{what} keeps the law now: take it off {list}")));
    all
}

/// A Rust file.
struct Source {
    path: String,
    text: String,
    /// The text with comments, strings and characters blanked out.
    code: String,
}

impl Source {
    fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().enumerate().map(|(place, line)| (place + 1, line))
    }

    fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs")
            || self.path.contains("/tests/")
            || ["tests/", "fuzz/"].iter().any(|folder| self.path.starts_with(folder))
    }
}

fn sources() -> Vec<Source> {
    let files = tracked_files().into_iter().filter(|path| path.extension().is_some_and(|end| end == "rs"));
    let sources: Vec<Source> = files
        .map(|path| {
            let text = read(&path);
            Source { path: relative(&path, &root()), code: code_only(&text), text }
        })
        .collect();
    assert!(sources.len() > 20, "only {} sources found: the laws would hold for nothing", sources.len());
    sources
}

/// Every text of the repository that somebody wrote by hand.
fn texts() -> Vec<(String, String)> {
    const ENDINGS: [&str; 9] = ["rs", "toml", "md", "sh", "wit", "yaml", "yml", "py", "hcl"];
    let written = |path: &PathBuf| match path.extension() {
        Some(end) => ENDINGS.iter().any(|ending| end == *ending),
        None => path.starts_with(root().join(".ci")),
    };
    tracked_files().into_iter().filter(written).map(|path| (relative(&path, &root()), read(&path))).collect()
}

fn tracked_files() -> Vec<PathBuf> {
    const FOLDERS: [&str; 11] =
        [".cargo", ".ci", "docs", "examples", "fuzz", "host", "plugins", "sdk", "tests", "wit", "xtask"];
    let folders = FOLDERS.iter().flat_map(|folder| files_below(&root().join(folder)));
    let top = ["Cargo.toml", "README.md", "deny.toml", "rust-toolchain.toml"].iter().map(|file| root().join(file));
    folders.chain(top.filter(|path| path.is_file())).collect()
}

/// A package of ours.
struct Manifest {
    folder: String,
    /// Of every kind: build and test dependencies point in the same direction.
    dependencies: Vec<String>,
}

fn manifests() -> Vec<Manifest> {
    let files = tracked_files().into_iter().filter(|path| path.ends_with("Cargo.toml"));
    let inner = files.filter(|path| path.parent() != Some(&root()) && !path.starts_with(root().join("fuzz")));
    let manifests: Vec<Manifest> = inner
        .map(|path| {
            let folder = path.parent().expect("a manifest is in a folder");
            Manifest { folder: relative(folder, &root()), dependencies: dependencies(&read(&path)) }
        })
        .collect();
    assert!(manifests.len() > 10, "only {} manifests found", manifests.len());
    manifests
}

fn dependencies(manifest: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut inside = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            inside = section.ends_with("dependencies");
            // The long form: one table a dependency.
            if let Some((_, name)) = section.split_once("dependencies.") {
                names.push(name.to_owned());
            }
        } else if inside && line.starts_with(|first: char| first.is_ascii_alphabetic()) {
            let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
            names.push(name.to_owned());
        }
    }
    names
}

/// A function's name and size.
struct Function {
    name: String,
    lines: usize,
    parameters: usize,
}

/// Every function with a body.
fn functions(code: &str) -> Vec<Function> {
    let mut found = Vec::new();
    let mut rest = 0;
    while let Some(at) = code[rest..].find("fn ").map(|at| at + rest) {
        rest = at + 3;
        let starts_word = !code[..at].ends_with(|last: char| last.is_alphanumeric() || last == '_');
        let name: String = code[rest..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if !starts_word || name.is_empty() {
            continue;
        }
        let Some(open) = body_start(code, rest) else { continue };
        let close = closing(code, open);
        let lines = code[at..close].matches('\n').count() + 1;
        found.push(Function { name, lines, parameters: parameters(&code[rest..open]) });
    }
    found
}

/// Where a function's body opens, unless it is a declaration.
fn body_start(code: &str, from: usize) -> Option<usize> {
    let mut depth = 0i32;
    for (place, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b';' if depth == 0 => return None,
            b'{' if depth == 0 => return Some(place),
            _ => {}
        }
    }
    None
}

fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0i32;
    for (place, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return place;
        }
    }
    code.len()
}

/// How many parameters a signature has, `self` not counted.
fn parameters(signature: &str) -> usize {
    let mut depth = 0i32;
    let mut list = String::new();
    let mut before = ' ';
    // Angle brackets before the list are generics; `->` closes nothing.
    for c in signature.chars() {
        match c {
            '(' | '[' | '<' => depth += 1,
            ')' | ']' => depth -= 1,
            '>' if before != '-' => depth -= 1,
            _ => {}
        }
        if list.is_empty() && c == '(' && depth == 1 {
            list.push(' ');
        } else if !list.is_empty() {
            if depth == 0 {
                break;
            }
            // Commas within types do not separate parameters.
            list.push(if depth > 1 && c == ',' { ' ' } else { c });
        }
        before = c;
    }
    let is_self = |part: &str| matches!(part.trim_start_matches(['&', ' ']).trim_start_matches("mut "), "self");
    list.split(',').map(str::trim).filter(|part| !part.is_empty() && !is_self(part)).count()
}

/// Whether a line uses a name that is not the end of a longer one.
fn uses(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + name.len()..].chars().next();
        let inside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let open_start = !name.starts_with(|first: char| first.is_alphanumeric());
        let open_end = !name.ends_with(|last: char| last.is_alphanumeric());
        (open_start || !inside(before)) && (open_end || !inside(after))
    })
}

fn has_word(line: &str, word: &str) -> bool {
    uses(line, word)
}

/// The same text with comments, strings and characters turned into spaces, so that
/// braces and words in them do not count. Line breaks stay.
fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(bytes, at);
        if end == at {
            out.push(bytes[at]);
            at += 1;
        } else {
            out.extend(bytes[at..end].iter().map(|byte| if *byte == b'\n' { b'\n' } else { b' ' }));
            at = end;
        }
    }
    String::from_utf8(out).expect("only ASCII was put in, in place of whole literals")
}

/// Where the comment or literal ends that starts here; `at` itself if none does.
fn literal_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    if rest.starts_with(b"//") {
        return at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    }
    if rest.starts_with(b"/*") {
        return at + position(rest, b"*/").map_or(rest.len(), |end| end + 2);
    }
    let starts_word = at == 0 || !(bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    if starts_word && let Some(end) = raw_string_end(rest) {
        return at + end;
    }
    match rest[0] {
        b'"' => at + quoted_end(rest, b'"'),
        // A lifetime has no closing quote after one character.
        b'\'' if rest.get(1) == Some(&b'\\') => at + quoted_end(rest, b'\''),
        b'\'' => {
            let width = rest.get(1).map_or(1, |first| match first {
                0x00..=0x7f => 1,
                0x80..=0xdf => 2,
                0xe0..=0xef => 3,
                _ => 4,
            });
            if rest.get(1 + width) == Some(&b'\'') { at + width + 2 } else { at }
        }
        _ => at,
    }
}

fn quoted_end(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn raw_string_end(rest: &[u8]) -> Option<usize> {
    let prefix = if rest.starts_with(b"br") { 2 } else { usize::from(rest.starts_with(b"r")) };
    if prefix == 0 {
        return None;
    }
    let hashes = rest[prefix..].iter().take_while(|byte| **byte == b'#').count();
    let open = prefix + hashes;
    if rest.get(open) != Some(&b'"') {
        return None;
    }
    let close = [b"\"".as_slice(), &vec![b'#'; hashes]].concat();
    Some(position(&rest[open + 1..], &close).map_or(rest.len(), |end| open + 1 + end + close.len()))
}

fn position(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the repository").to_path_buf()
}

fn relative(path: &Path, base: &Path) -> String {
    path.strip_prefix(base).unwrap_or(path).to_string_lossy().into_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("reading {}: {error}", path.display()))
}

/// All files below a folder, without what cargo and Python leave behind.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a folder can be read").path()).collect();
    paths.retain(|path| !path.ends_with("target") && !path.ends_with("__pycache__"));
    paths.sort();
    let deeper = |path: PathBuf| if path.is_dir() { files_below(&path) } else { vec![path] };
    paths.into_iter().flat_map(deeper).collect()
}

#[test]
fn blanking_out_spares_code_and_line_breaks() {
    let text = "let a = \"fn b() {\"; // fn c() {\nlet d = r#\"\"}\"#; let e = '{'; fn f<'a>(g: &'a str) {}\n";
    let code = code_only(text);
    assert_eq!(code.len(), text.len());
    assert_eq!(code.matches('\n').count(), 2);
    let found = functions(&code);
    assert_eq!(found.iter().map(|function| function.name.as_str()).collect::<Vec<_>>(), ["f"]);
    assert_eq!(found[0].parameters, 1);
}

#[test]
fn parameters_are_counted_without_self_and_without_commas_of_types() {
    assert_eq!(
        parameters("f<A: Fn(u8, u8) -> u8, B>(&mut self, a: A, b: HashMap<u8, (u8, u8)>) -> Result<u8, u8> "),
        2
    );
    assert_eq!(parameters("f() "), 0);
}
