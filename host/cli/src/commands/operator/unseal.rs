//! `operator unseal`: hands one key share to a sealed server.

use serde_json::json;

use crate::client::Call;
use crate::commands::{Command, Prints, status};
use crate::fault::Fault;
use crate::flags::Flag;
use crate::session::Session;
use crate::wrap::wrap_padded;

pub(in crate::commands) const COMMAND: Command = Command {
    words: "operator unseal",
    about: "Unseal the server",
    usage: "[options] [KEY]",
    help: "Hands one key share to a sealed server; with enough of them it opens. Without an\nargument it asks, which keeps the share out of the shell's history.\n\nHand over a share:\n\n    $ bulkhead operator unseal",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[
        Flag::switch("migrate", "The share is given to change to the seal of the config."),
        Flag::switch("reset", "Forget the shares handed over so far."),
    ],
    run,
};

fn run(session: &Session) -> Result<u8, Fault> {
    let given = session.at_most(1)?.first().map(|key| key.trim().to_owned());
    let client = session.client()?;
    if session.flags.switch("reset") {
        let body = json!({ "reset": true });
        let status = client
            .json(&Call::new("PUT", "sys/unseal").body(&body))
            .map_err(|error| Fault::request("Error resetting unseal process", error))?;
        return status::show(session, &client, &status);
    }
    let key = match given.filter(|key| !key.is_empty()) {
        Some(key) => key,
        None => ask(session)?,
    };
    let body = json!({ "key": key, "reset": false, "migrate": session.flags.switch("migrate") });
    let status = client
        .json(&Call::new("PUT", "sys/unseal").body(&body))
        .map_err(|error| Fault::request("Error unsealing", error))?;
    status::show(session, &client, &status)
}

fn ask(session: &Session) -> Result<String, Fault> {
    if session.flags.switch("non-interactive") {
        let text = "Refusing to read from stdin with -non-interactive specified; specify unseal key as an argument to this command";
        return Err(Fault::Local(wrap_padded(text, 0)));
    }
    let key = session.terminal.ask_secret("Unseal Key (will be hidden): ").map_err(|error| {
        let text = "An error occurred attempting to ask for an unseal key. Usually this is because it was piped into the command or there is no \
                    terminal (tty). If a terminal is not an option, the key can be given as the argument. The raw error was:";
        Fault::Local(format!("{}\n\n{error}", wrap_padded(text, 0)))
    })?;
    Ok(key.expose().clone())
}
