//! `policy fmt`: brings a policy file into the usual layout.

mod layout;

use bulkhead_model::policy::Policy;

use crate::commands::{Command, Prints};
use crate::fault::{Fault, plain_io};
use crate::session::Session;

pub(in crate::commands) const COMMAND: Command = Command {
    words: "policy fmt",
    about: "Format a policy on disk",
    usage: "[options] PATH",
    help: "Rewrites a policy file in the usual layout, comments kept. A file that is not a policy is\nleft alone and the mistake named.\n\nFormat ops.hcl:\n\n    $ bulkhead policy fmt ops.hcl",
    prints: Prints::Lines,
    is_client: true,
    flags: &[],
    run,
};

fn run(session: &Session) -> Result<u8, Fault> {
    let given = session.one()?.trim();
    let file = session.env.expanded(given);
    let path = file.display();
    let text = std::fs::read_to_string(&file)
        .map_err(|error| Fault::Local(format!("Error reading source file: open {path}: {}", plain_io(&error))))?;
    Policy::parse(&text).map_err(|error| Fault::Local(error.to_string()))?;
    let formatted = layout::format(&text).map_err(Fault::Local)?;
    // Whatever the layout does, it must not change what the policy says.
    let same = Policy::parse(&formatted).is_ok_and(|after| Policy::parse(&text).is_ok_and(|before| before == after));
    if !same {
        return Err(Fault::Local(format!(
            "Error printing result: {path} is left alone, because its layout could not be changed without its meaning"
        )));
    }
    std::fs::write(&file, formatted).map_err(|error| Fault::Local(format!("Error writing result: {path}: {error}")))?;
    session.terminal.out(&format!("Success! Formatted policy: {path}"));
    Ok(0)
}
