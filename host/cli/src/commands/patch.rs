//! `patch`: some fields of what is at a path.

use super::{Command, Prints, write};

pub(super) const COMMAND: Command = Command {
    words: "patch",
    about: "Patch data, configuration, and secrets",
    usage: "[options] PATH [DATA K=V...]",
    help: "Changes the given fields of what is at a path and leaves the others; values are given\nas for \"bulkhead write\".\n\nChange one field of a role:\n\n    $ bulkhead patch pki/roles/example allow_localhost=false",
    prints: Prints::Fields,
    is_client: true,
    flags: &[write::FORCE],
    run: |session| write::send(session, "PATCH"),
};
