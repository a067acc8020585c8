use std::collections::BTreeSet;

use super::{COMMANDS, GROUPS, Target, find, format_of};
use crate::env::Environment;
use crate::help;
use crate::output::Format;

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn format(line: &str, env: &[(&str, &str)]) -> Option<Format> {
    format_of(&words(line), &Environment::of(env)).ok()
}

#[test]
fn the_longest_name_that_a_line_begins_with_is_meant() {
    assert!(
        matches!(find(&words("kv metadata get -mount=a b")), Target::Command(command, 3) if command.words == "kv metadata get")
    );
    assert!(matches!(find(&words("kv metadata")), Target::Group(group) if group.words == "kv metadata"));
    assert!(matches!(find(&words("read kv get")), Target::Command(command, 1) if command.words == "read"));
    assert!(matches!(find(&words("nope")), Target::Nothing));
}

#[test]
fn every_command_has_a_help_with_an_example() {
    for command in COMMANDS {
        assert!(
            command.help.contains(&format!("$ bulkhead {}", command.words)) || command.words == "status",
            "{}",
            command.words
        );
        assert!(
            help::of_command(command).starts_with(&format!("Usage: bulkhead {}", command.words)),
            "{}",
            command.words
        );
        assert!(help::of_command(command).lines().all(|line| line.chars().count() <= 100), "{}", command.words);
    }
    for group in GROUPS {
        assert!(group.help.contains("$ bulkhead"), "{}", group.words);
        assert!(help::of_group(group).contains("Subcommands:\n    "), "{}", group.words);
    }
}

#[test]
fn names_of_commands_and_flags_are_never_given_twice() {
    let names: BTreeSet<&str> =
        COMMANDS.iter().map(|command| command.words).chain(GROUPS.iter().map(|group| group.words)).collect();
    assert_eq!(names.len(), COMMANDS.len() + GROUPS.len());
    for command in COMMANDS {
        let flags = command.all_flags();
        let names: BTreeSet<&str> =
            flags.iter().map(|flag| flag.name).chain(flags.iter().filter_map(|flag| flag.alias)).collect();
        let count = flags.len() + flags.iter().filter(|flag| flag.alias.is_some()).count();
        assert_eq!(names.len(), count, "{}", command.words);
    }
}

#[test]
fn every_group_that_commands_name_exists() {
    for command in COMMANDS {
        if let Some((group, _)) = command.words.rsplit_once(' ') {
            assert!(GROUPS.iter().any(|known| known.words == group), "{}", command.words);
        }
    }
}

#[test]
fn the_format_may_stand_anywhere_and_the_environment_comes_last() {
    assert_eq!(format("-format=json x", &[]), Some(Format::Json));
    assert_eq!(format("x --format yaml", &[]), Some(Format::Yaml));
    assert_eq!(format("x", &[("VAULT_FORMAT", "json")]), Some(Format::Json));
    assert_eq!(format("x -format=table", &[("VAULT_FORMAT", "json")]), Some(Format::Table));
    assert_eq!(format("-- -format=json", &[]), Some(Format::Table));
    assert_eq!(format("-format=xml", &[]), None);
}
