//! Help texts, put together from the list of commands.

use crate::commands::{COMMANDS, Command, GROUPS, Group, Prints};
use crate::flags::{self, Flag};
use crate::wrap::wrap_padded;

/// Commands that people look for first.
const COMMON: [&str; 8] = ["read", "write", "delete", "list", "login", "server", "status", "unwrap"];

/// What there is.
pub(crate) fn overview() -> String {
    let mut entries: Vec<(&str, &str)> = COMMANDS
        .iter()
        .filter(|command| !command.words.contains(' '))
        .map(|command| (command.words, command.about))
        .collect();
    entries.extend(GROUPS.iter().filter(|group| !group.words.contains(' ')).map(|group| (group.words, group.about)));
    entries.sort_unstable();
    let common: Vec<_> =
        COMMON.iter().filter_map(|name| entries.iter().find(|(words, _)| words == name)).copied().collect();
    let others: Vec<_> = entries.iter().filter(|(words, _)| !COMMON.contains(words)).copied().collect();
    format!(
        "Usage: bulkhead <command> [args]\n\nCommon commands:\n{}\n\nOther commands:\n{}\n\n\"bulkhead <command> -h\" tells more about one of them. To try it all out:\n\n    $ bulkhead server -dev",
        aligned(&common),
        aligned(&others)
    )
}

/// What a group leads to.
pub(crate) fn of_group(group: &Group) -> String {
    let prefix = format!("{} ", group.words);
    let mut entries: Vec<(&str, &str)> =
        COMMANDS.iter().filter_map(|command| Some((command.words.strip_prefix(&prefix)?, command.about))).collect();
    entries.retain(|(words, _)| !words.contains(' '));
    entries.extend(GROUPS.iter().filter_map(|inner| Some((inner.words.strip_prefix(&prefix)?, inner.about))));
    entries.sort_unstable();
    format!(
        "Usage: bulkhead {} <subcommand> [options] [args]\n\n{}\n\nSubcommands:\n{}",
        group.words,
        indented(group.help),
        aligned(&entries)
    )
}

/// A command in full.
pub(crate) fn of_command(command: &Command) -> String {
    let mut text = format!("Usage: bulkhead {} {}", command.words, command.usage);
    text.truncate(text.trim_end().len());
    text.push_str("\n\n");
    text.push_str(&indented(command.help));
    let output: &[Flag] = match command.prints {
        Prints::Lines => &[],
        Prints::Formatted => &[flags::FORMAT],
        Prints::Fields => &[flags::FIELD, flags::FORMAT],
        Prints::Details => &[flags::FORMAT, flags::DETAILED],
    };
    let http: &[Flag] = if command.is_client { flags::HTTP } else { &[] };
    for (title, flags) in [("Command Options", command.flags), ("Output Options", output), ("HTTP Options", http)] {
        if !flags.is_empty() {
            text.push_str(&format!("\n\n{title}:\n\n{}", flags.iter().map(detail).collect::<Vec<_>>().join("\n\n")));
        }
    }
    text
}

fn detail(flag: &Flag) -> String {
    let mut text = flag.help.to_owned();
    if let Some(alias) = flag.alias {
        text.push_str(&format!(" This is aliased as \"-{alias}\"."));
    }
    if let Some(setting) = flag.env {
        text.push_str(&format!(" Also taken from BULKHEAD_{setting}, BAO_{setting} or VAULT_{setting}."));
    }
    format!("  -{}{}\n{}", flag.name, flag.example(), wrap_padded(&text, 6))
}

/// Help is written with two spaces in front of prose, which stand here once.
fn indented(text: &str) -> String {
    let lines = text.trim().lines().map(|line| if line.is_empty() { String::new() } else { format!("  {line}") });
    lines.collect::<Vec<_>>().join("\n")
}

fn aligned(entries: &[(&str, &str)]) -> String {
    let width = entries.iter().map(|(words, _)| words.len()).max().unwrap_or(0);
    entries.iter().map(|(words, about)| format!("    {words:<width$}    {about}")).collect::<Vec<_>>().join("\n")
}
