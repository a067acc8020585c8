//! `completion`: scripts that let shells complete commands and flags. They are made from
//! the one list of commands, so they never lag behind it.

use super::{COMMANDS, Command, GROUPS, Prints};
use crate::fault::Fault;
use crate::session::Session;

pub(super) const COMMAND: Command = Command {
    words: "completion",
    about: "Print a shell completion script",
    usage: "bash|zsh|fish",
    help: "Prints a script that lets a shell complete commands and flags.\n\nUse it in bash from now on:\n\n    $ bulkhead completion bash >> ~/.bash_completion",
    prints: Prints::Lines,
    is_client: false,
    flags: &[],
    run,
};

fn run(session: &Session) -> Result<u8, Fault> {
    let script = match session.one()? {
        "bash" => bash(),
        // zsh runs bash's completions, which spares a second script that could differ.
        "zsh" => format!("autoload -U +X bashcompinit && bashcompinit\n{}", bash()),
        "fish" => fish(),
        other => return Err(Fault::Usage(format!("There is no completion for {other:?}: choose bash, zsh or fish"))),
    };
    session.terminal.out(script.trim_end());
    Ok(0)
}

/// What can follow each sequence of words.
fn table() -> Vec<(String, Vec<String>)> {
    let all = || COMMANDS.iter().map(|command| command.words).chain(GROUPS.iter().map(|group| group.words));
    let mut table = Vec::new();
    for prefix in std::iter::once("").chain(GROUPS.iter().map(|group| group.words)) {
        let rest = |words: &'static str| {
            if prefix.is_empty() { Some(words) } else { words.strip_prefix(prefix)?.strip_prefix(' ') }
        };
        let mut next: Vec<String> =
            all().filter_map(rest).filter(|rest| !rest.is_empty() && !rest.contains(' ')).map(str::to_owned).collect();
        next.sort();
        next.dedup();
        table.push((prefix.to_owned(), next));
    }
    for command in COMMANDS {
        let flags = command
            .all_flags()
            .iter()
            .map(|flag| format!("-{}{}", flag.name, if flag.example().is_empty() { "" } else { "=" }))
            .collect();
        table.push((command.words.to_owned(), flags));
    }
    table
}

fn bash() -> String {
    let cases: Vec<String> =
        table().into_iter().map(|(prefix, next)| format!("    {prefix:?}) words={:?};;", next.join(" "))).collect();
    format!(
        "_bulkhead() {{\n  local word path=\"\" words=\"\"\n  for word in \"${{COMP_WORDS[@]:1:COMP_CWORD-1}}\"; do\n    case \"$word\" in -*|*/*|*=*) ;; *) path=\"$path $word\";; esac\n  done\n  \
         case \"${{path# }}\" in\n{}\n  esac\n  COMPREPLY=($(compgen -W \"$words\" -- \"${{COMP_WORDS[COMP_CWORD]}}\"))\n  \
         [[ ${{COMPREPLY[0]}} == *= ]] && compopt -o nospace\n}}\ncomplete -o default -F _bulkhead bulkhead\n",
        cases.join("\n")
    )
}

fn fish() -> String {
    let mut script = String::new();
    for (prefix, next) in table() {
        let condition = match prefix.as_str() {
            "" => "__fish_use_subcommand".to_owned(),
            prefix => prefix
                .split(' ')
                .map(|word| format!("__fish_seen_subcommand_from {word}"))
                .collect::<Vec<_>>()
                .join("; and "),
        };
        for word in next {
            let option = match word.strip_prefix('-') {
                Some(flag) => format!("-o {}", flag.trim_end_matches('=')),
                None => format!("-f -a {word}"),
            };
            script.push_str(&format!("complete -c bulkhead -n '{condition}' {option}\n"));
        }
    }
    script
}
