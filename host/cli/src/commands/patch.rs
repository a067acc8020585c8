//! `patch`: some fields of what is at a path.

use super::{Command, Prints, write};

pub(super) const COMMAND: Command = Command {
    words: "patch",
    about: "Patch data, configuration, and secrets",
    usage: "[options] PATH [DATA K=V...]",
    help: "Changes the given fields of what is at a path and leaves the others; values are given\nas for \"bulkhead write\".\n\nKeep five versions of a secret, whatever else is set for it:\n\n    $ bulkhead patch secret/metadata/foo max_versions=5",
    prints: Prints::Fields,
    is_client: true,
    flags: &[write::FORCE],
    run: |session| write::send(session, "PATCH"),
};
