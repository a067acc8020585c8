//! `operator`: commands for whoever runs the server.

pub(super) mod diagnose;
pub(super) mod init;
pub(super) mod key_status;
pub(super) mod raft;
pub(super) mod rotate;
pub(super) mod seal;
pub(super) mod snapshot;
pub(super) mod unseal;

use super::Group;

pub(super) const GROUP: Group = Group {
    words: "operator",
    about: "Perform operator-specific tasks",
    help: "Commands for whoever runs the server.\n\nInitialize a new server:\n\n    $ bulkhead operator init",
};
