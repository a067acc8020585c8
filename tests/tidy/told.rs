//! What files and tests say of themselves, and what the repository says of its commands.

use crate::holds;
use crate::text::{Source, read, root, sources};

#[test]
fn every_source_file_opens_with_what_lives_in_it() {
    // A tests.rs holds the tests of the module it is named under, and nothing else.
    let told = |source: &Source| source.text.starts_with("//!") || source.path.ends_with("/tests.rs");
    let silent = sources().into_iter().filter(|source| !told(source));
    holds(&silent.map(|source| format!("{} does not open with //!", source.path)).collect::<Vec<_>>());
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
fn the_readme_names_the_commands_that_ci_runs() {
    let (readme, ci) = (read(&root().join("README.md")), read(&root().join(".ci/run")));
    for command in ["cargo xtask dev", "cargo xtask test"] {
        assert!(readme.contains(command), "README.md does not name `{command}`");
    }
    assert!(ci.contains("cargo xtask test"), ".ci/run does not run the README's test command");
}
