//! `version`: which build this is.

use super::{Command, Prints};

pub(super) const COMMAND: Command = Command {
    words: "version",
    about: "Print the version of this program",
    usage: "[options]",
    help: "Prints the version of this program, which is not necessarily the server's.\n\nPrint the version:\n\n    $ bulkhead version",
    // As the peers have it: a line is the same in every format.
    prints: Prints::Formatted,
    is_client: false,
    flags: &[],
    run: |session| {
        session.terminal.out(&crate::version::line());
        Ok(0)
    },
};
