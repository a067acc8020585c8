//! `operator`: commands for whoever runs the server.

mod ceremony;
pub(super) mod diagnose;
pub(super) mod generate_root;
pub(super) mod init;
pub(super) mod key_status;
pub(super) mod raft;
pub(super) mod rotate;
pub(super) mod rotate_keys;
pub(super) mod seal;
pub(super) mod snapshot;
pub(super) mod unseal;
pub(super) mod validate_config;

use super::Group;

pub(super) const GROUP: Group = Group {
    words: "operator",
    about: "Perform operator-specific tasks",
    help: "Commands for whoever runs the server.\n\nInitialize a new server:\n\n    $ bulkhead operator init",
};

/// Commands whose exit codes 1 and 2 say something of what they looked at.
pub(super) const CHECKS: [&str; 2] = [diagnose::COMMAND.words, validate_config::COMMAND.words];
