//! What `tests/regressions.md` promises: each of its rows is held by tests that are there, and each test that
//! says that it holds a row is in it. What must not live here: what a row is about.

use std::collections::{BTreeMap, BTreeSet};

use crate::holds;
use crate::text::{read, relative, root, tracked_files};

/// The last row.
const LAST: usize = 88;

/// What stands before a test that holds another side of a row than the guard is about.
const BESIDE: &str = "beside: ";

/// Where a test is: its file, and its name or the title of its case.
type Place = (String, String);

/// A row of the table.
struct Row {
    id: String,
    held: Vec<Place>,
    /// Whether one of them fails without the guard.
    is_watched: bool,
    waits: bool,
    seen: String,
}

/// The id that a comment begins with: `R-07: …`.
fn marked(comment: &str) -> Option<&str> {
    let (id, rest) = comment.split_at_checked(4)?;
    let number = id.strip_prefix("R-")?;
    (number.bytes().all(|digit| digit.is_ascii_digit()) && rest.starts_with(": ")).then_some(id)
}

/// The test or case that begins in a line, if one does.
fn named(line: &str, is_code: bool) -> Option<String> {
    let line = line.trim_start();
    if !is_code {
        return line.strip_prefix("- case: ").map(|title| title.trim_matches('\'').to_owned());
    }
    let (_, rest) = line.split_once("fn ")?;
    let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!line.starts_with("//") && !name.is_empty()).then_some(name)
}

/// Every marker of a file, with the test or case that follows it.
fn markers_of(path: &str, text: &str) -> Vec<(String, Place)> {
    let is_code = path.ends_with(".rs");
    let front = if is_code { "// " } else { "# " };
    let (mut found, mut open) = (Vec::new(), Vec::new());
    for line in text.lines() {
        if let Some(id) = line.trim_start().strip_prefix(front).and_then(marked) {
            open.push(id.to_owned());
        } else if !open.is_empty()
            && let Some(name) = named(line, is_code)
        {
            found.extend(open.drain(..).map(|id| (id, (path.to_owned(), name.clone()))));
        }
    }
    found.extend(open.into_iter().map(|id| (id, (path.to_owned(), "nothing".to_owned()))));
    found
}

fn markers() -> BTreeSet<(String, Place)> {
    let marks = |path: &String| path.ends_with(".rs") || path.starts_with("tests/api/") && path.ends_with(".yaml");
    let files = tracked_files().into_iter().map(|path| (relative(&path, &root()), path));
    files.filter(|(name, _)| marks(name)).flat_map(|(name, path)| markers_of(&name, &read(&path))).collect()
}

/// The rows of the table: id, what is forbidden, after what, held by, guard, seen to fail.
fn rows(table: &str) -> Vec<Row> {
    let lines = table.lines().filter(|line| line.starts_with("| R-"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 6, "a row has six cells: {line}");
        let each = || cells[3].split("<br>").map(str::trim);
        let held = each().filter_map(|one| {
            let (path, name) = one.strip_prefix(BESIDE).unwrap_or(one).strip_prefix('`')?.split_once("` ")?;
            Some((path.to_owned(), name.to_owned()))
        });
        let is_watched = each().any(|one| one.starts_with('`'));
        let waits = cells[3].contains("waits for: ");
        Row { id: cells[0].to_owned(), held: held.collect(), is_watched, waits, seen: cells[5].to_owned() }
    };
    lines.map(row).collect()
}

fn table() -> Vec<Row> {
    rows(&read(&root().join("tests/regressions.md")))
}

#[test]
fn every_row_is_there_once_and_in_its_place() {
    let ids: Vec<String> = table().into_iter().map(|row| row.id).collect();
    let expected: Vec<String> = (1..=LAST).map(|number| format!("R-{number:02}")).collect();
    assert_eq!(ids, expected);
}

#[test]
fn every_row_is_held_or_waits_for_what_it_is_about() {
    let mut broken = Vec::new();
    for row in table() {
        let (id, seen) = (&row.id, row.seen.as_str());
        match (row.held.is_empty(), row.waits) {
            (true, false) => broken.push(format!("{id}: name the test that holds it, or what it waits for")),
            (true, true) if !seen.is_empty() => broken.push(format!("{id}: there is nothing that could have failed")),
            (false, _) if seen != "yes" || !row.is_watched => {
                broken.push(format!("{id}: take its guard out, and see its test fail"))
            }
            _ => {}
        }
    }
    holds(&broken);
}

#[test]
fn each_test_that_a_row_names_says_so_and_each_that_says_so_is_named() {
    let named: BTreeSet<(String, Place)> =
        table().into_iter().flat_map(|row| row.held.into_iter().map(move |place| (row.id.clone(), place))).collect();
    let marked = markers();
    let told = |(id, (path, name)): &(String, Place)| format!("{id}: {path}: {name}");
    let unmarked = named.difference(&marked).map(|one| format!("{}: no comment above it has that id", told(one)));
    let unnamed = marked.difference(&named).map(|one| format!("{}: the table lacks it", told(one)));
    holds(&unmarked.chain(unnamed).collect::<Vec<_>>());
}

// no table and no branch of the arithmetic that splits a key goes by a secret byte.
#[test]
fn r85_no_table_is_indexed_by_a_byte_of_a_secret() {
    // What may stand in brackets: a place in a list, never a byte out of one.
    const PLACES: [&str; 8] = ["..usize::from(shares)", "0", "1..", "share_bytes - 1", "..n", "n", "at", "0; 255"];
    let path = root().join("host/barrier/src/shamir.rs");
    let code = crate::blank::code_only(&read(&path));
    let code = code.split("#[cfg(test)]").next().unwrap_or_default();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, _) in code.match_indices('[') {
        let before = code[..at].chars().next_back();
        let inside = code[at + 1..].split(']').next().unwrap_or_default();
        let indexes = before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ')' | ']'));
        if indexes {
            *counts.entry(inside).or_default() += 1;
        }
    }
    let others: Vec<String> =
        counts.keys().filter(|inside| !PLACES.contains(inside)).map(|inside| format!("[{inside}]")).collect();
    holds(&others);
    for word in ["match ", "while ", "TABLE", "LOG", "EXP"] {
        let arithmetic = &code[code.find("fn multiply").expect("the product is there")..];
        assert!(!arithmetic.contains(word), "{word} in the arithmetic");
    }
}

#[test]
fn markers_are_read_with_what_follows_them() {
    let code = "// R-07: no\n// more of it\n#[test]\nfn r07_a() {}\n// not R-08: this\nfn b() {}\n    // R-09: x\n    async fn c() {}\n";
    let place = |name: &str| ("x.rs".to_owned(), name.to_owned());
    assert_eq!(markers_of("x.rs", code), [("R-07".to_owned(), place("r07_a")), ("R-09".to_owned(), place("c"))]);
    let cases = markers_of("x.yaml", "# R-07: no\nserver: dev\n  - case: a b\n  # R-08: x\n  - case: 'c: d'\n");
    let names: Vec<_> = cases.iter().map(|(id, (_, name))| (id.as_str(), name.as_str())).collect();
    assert_eq!(names, [("R-07", "a b"), ("R-08", "c: d")]);
    assert_eq!(markers_of("x.rs", "// R-07: at the end").len(), 1);
    let read = rows("| R-01 | a | b | `x.rs` c<br>beside: `y.yaml` d e<br>waits for: f | g | yes |\n");
    assert_eq!((read[0].held.len(), read[0].is_watched, read[0].waits), (2, true, true));
    assert_eq!(read[0].held[1], ("y.yaml".to_owned(), "d e".to_owned()));
    assert!(!rows("| R-01 | a | b | beside: `x.rs` c | g | yes |\n")[0].is_watched);
}
