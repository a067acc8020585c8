//! `print token`: the token that commands use.

use super::{Command, Group, Prints};

pub(super) const GROUP: Group = Group {
    words: "print",
    about: "Print what this program would use",
    help: "Prints settings as they are after flags, environment and files.\n\nPrint the token:\n\n    $ bulkhead print token",
};

pub(super) const COMMAND: Command = Command {
    words: "print token",
    about: "Print the token currently in use",
    usage: "[options]",
    help: "Prints the token that commands use: the one in the environment, else the stored one.\n\nSee which token is in use:\n\n    $ bulkhead print token",
    // As the peers have it: a token is the same in every format.
    prints: Prints::Formatted,
    is_client: false,
    flags: &[],
    run: |session| {
        let token = session.token()?;
        session.terminal.out(token.as_ref().map_or("", |token| token.expose()));
        Ok(0)
    },
};
