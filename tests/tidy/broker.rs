//! The direction inside the broker: journey → step → book.

use syn::{Item, UseTree};

use crate::holds;
use crate::text::{Source, sources, uses};

const BOOKS: &str = "host/broker/src/book/";
const STEPS: &str = "host/broker/src/step/";

/// Modules of the broker that a book does not know: whoever walks over the books.
const ABOVE_BOOKS: &[&str] = &["journey", "step", "sys", "token", "visit", "mint", "guest", "node", "open"];

/// Modules of the broker that a step does not know.
const ABOVE_STEPS: &[&str] = &["journey"];

/// Books that use another one, and why. This list only shrinks.
const NEIGHBOURS: &[(&str, &str, &str)] = &[
    ("batch", "kept", "what was stored is read whether or not it has the last field"),
    ("batch", "tokens", "a batch token is a token's record, sealed instead of stored"),
    ("config", "namespaces", "it keeps the namespaces of one epoch, parsed"),
    ("config", "mounts", "it keeps the mount table of one epoch, parsed"),
    ("config", "policies", "it keeps the policies of one epoch, parsed"),
    ("config", "lease_quotas", "it keeps the quotas of one epoch, parsed"),
    ("config", "quotas", "it keeps the quotas of one epoch, parsed"),
    ("config", "registry", "it keeps the registered plugins of one epoch, parsed"),
    ("config", "settings", "it keeps the settings of one epoch, parsed"),
    ("jobs", "kept", "the type of secrets in records"),
    ("jobs", "leases", "jobs stand in the one list of what falls due"),
    ("leases", "kept", "the type of secrets in records"),
    ("leases", "tokens", "leases are found by the hash of their token"),
    ("lockouts", "kept", "how records are stored"),
    ("lockouts", "leases", "locks stand in the one list of what falls due"),
    ("mfa", "kept", "how records are stored"),
    ("mounts", "namespaces", "a mount is in one"),
    ("mounts", "registry", "it is a registered plugin that may serve a mount"),
    ("oidc", "kept", "how records are stored"),
    ("registry", "mounts", "a plugin is registered for one of the two tables of mounts"),
    ("removals", "jobs", "removals stand in the one list of what falls due"),
    ("removals", "leases", "it is leases that are removed"),
    ("removals", "tokens", "it is tokens that are removed"),
    ("tokens", "kept", "the type of secrets in records"),
    ("tokens", "leases", "tokens stand in the list of what falls due, and their end is their leases'"),
];

#[test]
fn books_know_nothing_above_them_and_steps_know_no_journey() {
    let mut broken = Vec::new();
    for source in sources() {
        let above = match &source.path {
            path if path.starts_with(BOOKS) => ABOVE_BOOKS,
            path if path.starts_with(STEPS) => ABOVE_STEPS,
            _ => continue,
        };
        for name in above.iter().filter(|name| mentions(&source, &["crate", name])) {
            broken.push(format!("{} must not know crate::{name}", source.path));
        }
    }
    holds(&broken);
}

#[test]
fn books_do_not_use_each_other_beyond_the_list_that_shrinks() {
    let files: Vec<Source> = sources().into_iter().filter(|source| source.path.starts_with(BOOKS)).collect();
    let names: Vec<&str> = files.iter().filter_map(book).collect();
    assert!(names.len() > 5, "only {} books found", names.len());
    let mut used = Vec::new();
    for source in &files {
        let Some(one) = book(source) else { continue };
        let others = names.iter().filter(|other| **other != one);
        let found =
            others.filter(|other| mentions(source, &["super", other]) || mentions(source, &["crate", "book", other]));
        used.extend(found.map(|other| (one, *other)));
    }
    let is_listed = |pair: &(&str, &str)| NEIGHBOURS.iter().any(|(one, other, _)| (*one, *other) == *pair);
    let new = used.iter().filter(|pair| !is_listed(pair));
    let mut broken: Vec<String> = new.map(|(one, other)| format!("book {one} must not use book {other}")).collect();
    let stale = NEIGHBOURS.iter().filter(|(one, other, _)| !used.contains(&(*one, *other)));
    broken.extend(stale.map(|(one, other, _)| format!("{one} no longer uses {other}: take it off NEIGHBOURS")));
    holds(&broken);
}

/// The book that a file is; a folder's own file is none.
fn book(source: &Source) -> Option<&str> {
    source.path.strip_prefix(BOOKS)?.strip_suffix(".rs").filter(|name| *name != "mod" && !name.contains('/'))
}

/// Whether a file imports from a module, or names it in its code.
fn mentions(source: &Source, module: &[&str]) -> bool {
    let file = syn::parse_file(&source.text).unwrap_or_else(|error| panic!("{}: {error}", source.path));
    let imports = file.items.iter().filter_map(|item| match item {
        Item::Use(item) => Some(paths(&item.tree)),
        _ => None,
    });
    let inline = format!("{}::", module.join("::"));
    imports.flatten().any(|path| path.iter().map(String::as_str).take(module.len()).eq(module.iter().copied()))
        || source.code_lines().any(|(_, line)| uses(line, &inline))
}

/// Every path that an import names.
fn paths(tree: &UseTree) -> Vec<Vec<String>> {
    let below = |name: String, inner: Vec<Vec<String>>| -> Vec<Vec<String>> {
        inner.into_iter().map(|path| [vec![name.clone()], path].concat()).collect()
    };
    match tree {
        UseTree::Path(path) => below(path.ident.to_string(), paths(&path.tree)),
        UseTree::Name(name) => vec![vec![name.ident.to_string()]],
        UseTree::Rename(name) => vec![vec![name.ident.to_string()]],
        UseTree::Glob(_) => vec![Vec::new()],
        UseTree::Group(group) => group.items.iter().flat_map(paths).collect(),
    }
}

#[test]
fn imports_are_found_in_groups_too() {
    let file = syn::parse_file("use super::{a::{self, B}, c as d}; use crate::step::*;").expect("Rust");
    let found: Vec<String> = file
        .items
        .iter()
        .filter_map(|item| if let Item::Use(item) = item { Some(paths(&item.tree)) } else { None })
        .flatten()
        .map(|path| path.join("::"))
        .collect();
    assert_eq!(found, ["super::a::self", "super::a::B", "super::c", "crate::step"]);
}
