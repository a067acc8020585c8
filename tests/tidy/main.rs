//! The laws of this repository that a program can check. What lives here: rules about
//! the text of the sources and manifests, each with its reason. What must not: rules
//! the compiler or clippy enforces already, and anything that runs the product.

mod blank;
mod broker;
mod function;
mod names;
mod regressions;
mod rooms;
mod size;
mod text;
mod told;
mod types;
mod wit;

use std::collections::BTreeMap;

/// Fails with every breach at once: one at a time would cost a build each.
pub(crate) fn holds(broken: &[String]) {
    assert!(broken.is_empty(), "{} breaches:\n  {}", broken.len(), broken.join("\n  "));
}

/// What is over the law and not on the list, on the list and not over the law, or of
/// another size than listed.
pub(crate) fn differences(
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
