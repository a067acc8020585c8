//! `lease`: the leases of secrets that were made on demand.

use std::thread;
use std::time::Duration;

use serde_json::json;

use super::{Command, Group, Prints};
use crate::client::{Call, Client, ClientError};
use crate::fault::Fault;
use crate::flags::Flag;
use crate::progress::{self, Left};
use crate::session::Session;
use crate::wrap::wrap_padded;

pub(super) const GROUP: Group = Group {
    words: "lease",
    about: "Interact with leases",
    help: "Secrets that are made on demand live as long as their lease.\n\nLet one live longer:\n\n    $ bulkhead lease renew database/creds/readonly/2f6a614c",
};

pub(super) const LOOKUP: Command = Command {
    words: "lease lookup",
    about: "Look up the lease of a secret",
    usage: "[options] ID",
    help: "Shows when a lease was made and when it ends.\n\nLook one up:\n\n    $ bulkhead lease lookup database/creds/readonly/2f6a614c",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[],
    run: lookup,
};

pub(super) const RENEW: Command = Command {
    words: "lease renew",
    about: "Renew the lease of a secret",
    usage: "[options] ID",
    help: "Lets a secret live longer, up to its greatest TTL; the secret stays the same.\n\nAsk for an hour from now on:\n\n    $ bulkhead lease renew -increment=1h database/creds/readonly/2f6a614c",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[Flag::span("increment", "How long from now; the server need not agree.").alias("i")],
    run: renew,
};

pub(super) const REVOKE: Command = Command {
    words: "lease revoke",
    about: "Revoke leases and secrets",
    usage: "[options] ID",
    help: "Ends a lease and the secret with it: the server takes it back where it was made, trying\nagain for as long as that fails.\n\nEnd every lease of a role:\n\n    $ bulkhead lease revoke -prefix database/creds/readonly",
    prints: Prints::Lines,
    is_client: true,
    flags: &[
        Flag::switch("force", "Forget the leases even if the secrets cannot be taken back; needs -prefix.").alias("f"),
        Flag::switch("prefix", "End every lease whose ID begins with the argument."),
        Flag::switch(
            "progress",
            "Tell on stderr how many leases are left, also where that is no terminal; needs -prefix.",
        ),
        Flag::switch("sync", "Wait until it is done, and fail if it cannot be."),
    ],
    run: revoke,
};

/// How often it is looked whether leases are gone that the server goes on with. Source: ours.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The one lease ID.
fn id(session: &Session) -> Result<String, Fault> {
    match session.at_most(1)? {
        [id] => Ok(id.trim().to_owned()),
        _ => Err(Fault::Usage("Missing ID!".to_owned())),
    }
}

fn lookup(session: &Session) -> Result<u8, Fault> {
    let id = id(session)?;
    let client = session.client()?;
    let secret = client
        .secret(&Call::new("PUT", "sys/leases/lookup").body(&json!({ "lease_id": id })))
        .map_err(|error| Fault::request(format!("error looking up lease id {id}"), error))?;
    session.show_answer(secret, "")
}

fn renew(session: &Session) -> Result<u8, Fault> {
    let id = id(session)?;
    let increment = session.flags.span("increment").map_or(0, |span| span.secs().max(0));
    let client = session.client()?;
    let secret = client
        .secret(&Call::new("PUT", "sys/leases/renew").body(&json!({ "increment": increment, "lease_id": id })))
        .map_err(|error| Fault::request(format!("Error renewing {id}"), error))?;
    session.show_answer(secret, "")
}

fn revoke(session: &Session) -> Result<u8, Fault> {
    let id = session.one()?.trim().to_owned();
    let flags = &session.flags;
    let (force, prefix, sync) = (flags.switch("force"), flags.switch("prefix"), flags.switch("sync"));
    if force && !prefix {
        return Err(Fault::Usage("Specifying -force requires also specifying -prefix".to_owned()));
    }
    if flags.switch("progress") && !prefix {
        return Err(Fault::Usage("Specifying -progress requires also specifying -prefix".to_owned()));
    }
    let client = session.client()?.patient();
    if force {
        session.terminal.warn(&wrap_padded(
            "Warning! Force-removing leases can cause Bulkhead to become out of sync with secret engines!",
            0,
        ));
    }
    let (what, path) = match (force, prefix) {
        (true, _) => ("force revoking leases with prefix", format!("sys/leases/revoke-force/{id}")),
        (false, true) => ("revoking leases with prefix", format!("sys/leases/revoke-prefix/{id}")),
        (false, false) => ("revoking lease", "sys/leases/revoke".to_owned()),
    };
    let body = if prefix { json!({ "sync": sync }) } else { json!({ "lease_id": id, "sync": sync }) };
    let call = if force { Call::new("PUT", &path) } else { Call::new("PUT", &path).body(&body) };
    let left = |client: &Client| left_below(client, &id);
    let end = || end_all(&client, &call, (force, sync), &left);
    let ended = if prefix && !client.is_dry() {
        progress::shown(session, (flags.switch("progress"), "leases"), &left, end)
    } else {
        client.send(&call).map(drop)
    };
    ended.map_err(|error| Fault::request(format!("Error {what} {id}"), error))?;
    session.terminal.out(&match (force, sync, prefix) {
        (true, ..) => format!("Success! Force revoked any leases with prefix: {id}"),
        (_, true, true) => format!("Success! Revoked any leases with prefix: {id}"),
        (_, true, false) => format!("Success! Revoked lease: {id}"),
        _ => "All revocation operations queued successfully!".to_owned(),
    });
    Ok(0)
}

/// Has all leases of a prefix ended. A request has its time, and with many leases that is over first: the
/// server goes on without it, and so does this.
fn end_all(client: &Client, call: &Call<'_>, (force, sync): (bool, bool), left: Left<'_>) -> Result<(), ClientError> {
    loop {
        match client.send(call) {
            Err(error) if !error.says_it_goes_on() => return Err(error),
            // What is due stays due: to be told when it is over, it is asked once more.
            Err(_) if sync && !force => {}
            Err(error) if force => return until_none(client, left).ok_or(error),
            // It is queued, as it would be told.
            _ => return Ok(()),
        }
    }
}

/// Waits until there is none left; none where the server does not say how many there are.
fn until_none(client: &Client, left: Left<'_>) -> Option<()> {
    while left(client)? > 0 {
        thread::sleep(LOOK_EVERY);
    }
    Some(())
}

/// How many leases begin with this, if the server says so to this token.
fn left_below(client: &Client, prefix: &str) -> Option<u64> {
    let query = [("prefix".to_owned(), prefix.to_owned())];
    let told = client.secret(&Call::new("GET", "sys/leases/count").query(&query)).ok()??;
    told.data?.get("lease_count")?.as_u64()
}
