//! The one list of commands, and the way from a command line to one of them.

mod audit;
mod auth;
mod completion;
mod delete;
mod kv;
mod lease;
mod list;
mod login;
mod mounts;
mod namespace;
mod operator;
mod patch;
mod path_help;
mod plugin;
mod policy;
mod print_token;
mod read;
mod remount;
mod secrets;
mod server;
mod status;
mod token;
mod unwrap;
mod version;
mod version_history;
mod write;

use crate::env::Environment;
use crate::fault::{EXIT_LOCAL, Fault};
use crate::flags::{self, Flag, Parsed};
use crate::help;
use crate::output::Format;
use crate::session::{self, Session};
use crate::terminal::Terminal;

/// Exit code for a command that does not exist, as shells use it.
const EXIT_UNKNOWN: u8 = 127;

/// Which of the shared output flags a command has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prints {
    /// Lines that need no format.
    Lines,
    /// `-format`.
    Formatted,
    /// `-format` and `-field`.
    Fields,
    /// `-format` and `-detailed`.
    Details,
}

/// A command. Its file holds one of these and the function that runs it.
pub(crate) struct Command {
    /// The words that name it.
    pub(crate) words: &'static str,
    /// What it does, for the list.
    pub(crate) about: &'static str,
    /// What follows its words.
    pub(crate) usage: &'static str,
    /// What it does, at length, with an example.
    pub(crate) help: &'static str,
    /// Its output flags.
    pub(crate) prints: Prints,
    /// Whether it speaks to a server, and so has the flags for that.
    pub(crate) is_client: bool,
    /// Its own flags.
    pub(crate) flags: &'static [Flag],
    /// Runs it; the exit code is its answer.
    pub(crate) run: fn(&Session) -> Result<u8, Fault>,
}

/// Words that lead to other commands and do nothing by themselves.
pub(crate) struct Group {
    /// The words.
    pub(crate) words: &'static str,
    /// What the commands are about.
    pub(crate) about: &'static str,
    /// The same at length, with an example.
    pub(crate) help: &'static str,
}

/// Every command there is.
pub(crate) const COMMANDS: &[&Command] = &[
    &audit::DISABLE,
    &audit::ENABLE,
    &audit::LIST,
    &auth::DISABLE,
    &auth::ENABLE,
    &auth::help::COMMAND,
    &auth::LIST,
    &auth::MOVE,
    &auth::TUNE,
    &completion::COMMAND,
    &delete::COMMAND,
    &kv::delete::COMMAND,
    &kv::destroy::COMMAND,
    &kv::enable_versioning::COMMAND,
    &kv::get::COMMAND,
    &kv::list::COMMAND,
    &kv::metadata::DELETE,
    &kv::metadata::GET,
    &kv::metadata::PATCH,
    &kv::metadata::PUT,
    &kv::patch::COMMAND,
    &kv::put::COMMAND,
    &kv::rollback::COMMAND,
    &kv::list::SCAN,
    &kv::undelete::COMMAND,
    &lease::LOOKUP,
    &lease::RENEW,
    &lease::REVOKE,
    &list::COMMAND,
    &login::COMMAND,
    &namespace::CREATE,
    &namespace::DELETE,
    &namespace::LIST,
    &namespace::LOCK,
    &namespace::LOOKUP,
    &namespace::PATCH,
    &namespace::SCAN,
    &namespace::UNLOCK,
    &operator::diagnose::COMMAND,
    &operator::generate_root::COMMAND,
    &operator::init::COMMAND,
    &operator::key_status::COMMAND,
    &operator::raft::MEMBERS,
    &operator::raft::GET_CONFIG,
    &operator::raft::SET_CONFIG,
    &operator::raft::STATE,
    &operator::raft::JOIN,
    &operator::raft::LIST_PEERS,
    &operator::raft::REMOVE_PEER,
    &operator::raft::PROMOTE,
    &operator::raft::DEMOTE,
    &operator::snapshot::INSPECT,
    &operator::snapshot::RESTORE,
    &operator::snapshot::SAVE,
    &operator::rotate_keys::REKEY,
    &operator::rotate::COMMAND,
    &operator::rotate_keys::ROTATE_KEYS,
    &operator::seal::COMMAND,
    &operator::raft::STEP_DOWN,
    &operator::unseal::COMMAND,
    &operator::validate_config::COMMAND,
    &patch::COMMAND,
    &path_help::COMMAND,
    &plugin::DEREGISTER,
    &plugin::grants::GRANT,
    &plugin::grants::GRANTS,
    &plugin::INFO,
    &plugin::intents::COMMAND,
    &plugin::LIST,
    &plugin::REGISTER,
    &plugin::RELOAD,
    &plugin::grants::REVOKE,
    &policy::DELETE,
    &policy::explain::COMMAND,
    &policy::fmt::COMMAND,
    &policy::LIST,
    &policy::READ,
    &policy::test::COMMAND,
    &policy::WRITE,
    &print_token::COMMAND,
    &read::COMMAND,
    &list::SCAN,
    &secrets::DISABLE,
    &secrets::ENABLE,
    &secrets::LIST,
    &secrets::MOVE,
    &secrets::TUNE,
    &server::COMMAND,
    &status::COMMAND,
    &token::CAPABILITIES,
    &token::create::COMMAND,
    &token::LOOKUP,
    &token::RENEW,
    &token::REVOKE,
    &unwrap::COMMAND,
    &version::COMMAND,
    &version_history::COMMAND,
    &write::COMMAND,
];

/// Every group of commands.
pub(crate) const GROUPS: &[&Group] = &[
    &audit::GROUP,
    &auth::GROUP,
    &kv::GROUP,
    &kv::metadata::GROUP,
    &lease::GROUP,
    &namespace::GROUP,
    &operator::GROUP,
    &operator::raft::GROUP,
    &operator::raft::AUTOPILOT_GROUP,
    &operator::snapshot::GROUP,
    &plugin::GROUP,
    &policy::GROUP,
    &print_token::GROUP,
    &secrets::GROUP,
    &token::GROUP,
];

/// What the first words of a command line lead to.
enum Target {
    Command(&'static Command, usize),
    Group(&'static Group),
    Nothing,
}

/// Runs the command line `words`; the result is the exit code.
pub(crate) fn run(words: &[String], env: Environment) -> u8 {
    let terminal = Terminal::new(false);
    if matches!(words, [only] if matches!(only.as_str(), "-v" | "-version" | "--version")) {
        terminal.out(&crate::version::line());
        return 0;
    }
    let wants_help =
        words.iter().take_while(|word| *word != "--").any(|word| matches!(word.as_str(), "-h" | "-help" | "--help"));
    match find(words) {
        Target::Command(command, _) if wants_help => {
            terminal.out(&help::of_command(command));
            0
        }
        Target::Command(command, skip) => run_command(command, &words[skip..], env),
        Target::Group(group) if wants_help => {
            terminal.out(&help::of_group(group));
            0
        }
        Target::Group(group) => {
            help_on_stderr(&help::of_group(group));
            EXIT_LOCAL
        }
        Target::Nothing if wants_help && words.iter().all(|word| word.starts_with('-')) => {
            terminal.out(&help::overview());
            0
        }
        Target::Nothing => unknown(words, &terminal),
    }
}

fn unknown(words: &[String], terminal: &Terminal) -> u8 {
    // Flags alone, or nothing but what is behind `--`: no command was named at all.
    let names_one = words.iter().take_while(|word| *word != "--").any(|word| !word.starts_with('-'));
    match words.first().filter(|_| names_one) {
        Some(first) if first.starts_with('-') => {
            terminal.error("Invalid flags before the subcommand. If these flags are for the subcommand, please put them after the subcommand.");
            EXIT_LOCAL
        }
        Some(first) => {
            help_on_stderr(&help::overview());
            terminal.error(&format!("\nThere is no command {first:?}."));
            EXIT_UNKNOWN
        }
        None => {
            help_on_stderr(&help::overview());
            EXIT_UNKNOWN
        }
    }
}

fn help_on_stderr(text: &str) {
    eprintln!("{text}");
}

/// The command or group with the most words that the line begins with.
fn find(words: &[String]) -> Target {
    let begins_with = |name: &str| {
        let mut count = 0;
        let fits = name.split(' ').all(|part| {
            count += 1;
            words.get(count - 1).is_some_and(|word| word == part)
        });
        fits.then_some(count)
    };
    if let Some((command, count)) = COMMANDS
        .iter()
        .filter_map(|command| Some((*command, begins_with(command.words)?)))
        .max_by_key(|(_, count)| *count)
    {
        return Target::Command(command, count);
    }
    let group =
        GROUPS.iter().filter_map(|group| Some((*group, begins_with(group.words)?))).max_by_key(|(_, count)| *count);
    group.map_or(Target::Nothing, |(group, _)| Target::Group(group))
}

impl Command {
    /// Every flag the command has, its own first.
    pub(crate) fn all_flags(&self) -> Vec<Flag> {
        let mut all = self.flags.to_vec();
        match self.prints {
            Prints::Lines => {}
            Prints::Formatted => all.push(flags::FORMAT),
            Prints::Fields => all.extend([flags::FIELD, flags::FORMAT]),
            Prints::Details => all.extend([flags::FORMAT, flags::DETAILED]),
        }
        if self.is_client {
            all.extend_from_slice(flags::HTTP);
        }
        all
    }
}

fn run_command(command: &Command, words: &[String], env: Environment) -> u8 {
    let parsed = flags::parse(&command.all_flags(), words, &env);
    let is_quiet =
        parsed.as_ref().is_ok_and(|flags| flags.switch("output-curl-string") || flags.switch("output-policy"));
    let terminal = Terminal::new(is_quiet);
    let result = parsed.map_err(Fault::Usage).and_then(|flags| {
        let format = format_of(words, &env)?;
        warn_of_late_flags(&flags, format, &terminal);
        if format == Format::Raw && command.words != "read" {
            return Err(Fault::Local("This command does not support the -format=raw option.".to_owned()));
        }
        let is_detailed = flags.switch("detailed");
        (command.run)(&Session { flags, format, is_detailed, env, terminal: Terminal::new(is_quiet) })
    });
    let terminal = Terminal::new(false);
    let ends_dry = is_quiet && command.is_client;
    match result {
        Ok(0) if ends_dry => {
            terminal.error("This command sends no request that could be printed.");
            EXIT_LOCAL
        }
        Ok(code) => code,
        Err(fault) => report(&fault, command, &terminal),
    }
}

/// The format asked for anywhere on the line, as the peers read it: `-format` may also
/// stand behind the arguments.
fn format_of(words: &[String], env: &Environment) -> Result<Format, Fault> {
    let mut named = None;
    let mut words = words.iter().take_while(|word| *word != "--");
    while let Some(word) = words.next() {
        let body = word.strip_prefix("--").or_else(|| word.strip_prefix('-'));
        match body.and_then(|body| body.strip_prefix("format")) {
            Some("") => named = words.next().cloned(),
            Some(rest) => named = rest.strip_prefix('=').map(str::to_owned).or(named),
            None => {}
        }
    }
    let name = named.filter(|name| !name.is_empty()).or_else(|| env.setting("FORMAT").map(str::to_owned));
    match name {
        None => Ok(Format::Table),
        Some(name) => {
            Format::named(&name).ok_or_else(|| Fault::Local(format!("Invalid output format: {}", name.to_lowercase())))
        }
    }
}

/// A flag behind the arguments is taken for an argument, which surprises people.
fn warn_of_late_flags(flags: &Parsed, format: Format, terminal: &Terminal) {
    const ANYWHERE: [&str; 4] = ["output-curl-string", "output-policy", "format", "detailed"];
    let late: Vec<&str> = flags
        .arguments
        .iter()
        .map(String::as_str)
        .filter(|word| word.starts_with('-') && *word != "-")
        .filter(|word| !ANYWHERE.contains(&word.trim_start_matches('-').split('=').next().unwrap_or_default()))
        .collect();
    if !late.is_empty() && format == Format::Table {
        terminal.warn(&format!(
            "Command flags must be provided before positional arguments. The following arguments will not be parsed as flags: [{}]",
            late.join(",")
        ));
    }
}

/// Says why a command stopped and what to do next.
fn report(fault: &Fault, command: &Command, terminal: &Terminal) -> u8 {
    if let Some(text) = fault.dry_run() {
        terminal.out(text);
        return 0;
    }
    terminal.error(&fault.to_string());
    if let Some(error) = fault.client_error() {
        session::warn_of(terminal, &error.warnings());
    }
    let hint = match fault {
        Fault::Usage(_) => Some(format!("\"bulkhead {} -h\" shows how it is used.", command.words)),
        fault => fault.client_error().and_then(crate::client::ClientError::hint),
    };
    if let Some(hint) = hint {
        terminal.error(&format!("\n{hint}"));
    }
    match fault {
        // As there: what 1 and 2 say of a node, a mistyped flag must not.
        Fault::Usage(_) if operator::CHECKS.contains(&command.words) => operator::diagnose::EXIT_USAGE,
        fault => fault.exit_code(),
    }
}

#[cfg(test)]
mod tests;
