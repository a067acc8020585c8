//! `token create`: makes a token.

use serde_json::{Map, Value, json};

use crate::client::Call;
use crate::commands::{Command, Prints};
use crate::fault::Fault;
use crate::flags::Flag;
use crate::session::Session;

pub(in crate::commands) const COMMAND: Command = Command {
    words: "token create",
    about: "Create a new token",
    usage: "[options]",
    help: "Makes a token as a child of the one in use: it ends when that one does. Without -policy\nit has the same policies.\n\nMake one that ends in an hour and may do what \"ops\" allows:\n\n    $ bulkhead token create -ttl=1h -policy=ops",
    prints: Prints::Fields,
    is_client: true,
    flags: &[
        Flag::text("display-name", "A name for people; it shows in the audit log."),
        Flag::text("entity-alias", "Alias of the entity that the token belongs to; needs -role."),
        Flag::span("explicit-max-ttl", "How long it can live at most, however often it is renewed."),
        Flag::text("id", "The token itself, instead of a random one; needs sudo."),
        Flag::pairs("metadata", "Note that shows in the audit log, as key=value; may be given many times."),
        Flag::switch("no-default-policy", "Leave out the policy \"default\"."),
        Flag::switch("orphan", "Make it without a parent, so that it ends by itself; needs sudo."),
        Flag::span("period", "Renewing it sets its TTL to this, for ever; needs sudo."),
        Flag::list("policy", "Policy it has; may be given many times."),
        Flag::switch("renewable", "Whether it can be renewed. The default is true."),
        Flag::text("role", "Role that says what it may be; it can overrule the other flags."),
        Flag::span("ttl", "How long it lives until it is renewed."),
        Flag::text("type", "\"service\" (the default) or \"batch\"."),
        Flag::int("use-limit", "How many requests it is good for; 0 is any number."),
    ],
    run,
};

fn run(session: &Session) -> Result<u8, Fault> {
    session.at_most(0)?;
    let body = Value::Object(body(session));
    let path = match session.flags.text("role") {
        Some(role) => format!("auth/token/create/{role}"),
        None => "auth/token/create".to_owned(),
    };
    let client = session.client()?;
    let secret = client
        .secret(&Call::new("POST", &path).body(&body))
        .map_err(|error| Fault::request("Error creating token", error))?;
    session.show_answer(secret, "")
}

/// What the flags say; what the peers leave out when it says nothing is left out.
fn body(session: &Session) -> Map<String, Value> {
    let flags = &session.flags;
    let text = |flag: &str| flags.text(flag).unwrap_or_default();
    let kind = flags.text("type").unwrap_or("service");
    let is_renewable = flags.tristate("renewable").unwrap_or(true) && kind != "batch";
    let mut body = Map::new();
    let mut add = |key: &str, value: Value, is_said: bool| {
        if is_said {
            body.insert(key.to_owned(), value);
        }
    };
    add("id", json!(text("id")), flags.text("id").is_some());
    add("policies", json!(flags.list("policy")), flags.given("policy"));
    add("meta", json!(flags.pairs("metadata")), flags.given("metadata"));
    add("ttl", json!(session.span("ttl")), true);
    add("explicit_max_ttl", json!(session.span("explicit-max-ttl")), true);
    add("period", json!(session.span("period")), true);
    add("no_parent", json!(true), flags.switch("orphan"));
    add("no_default_policy", json!(true), flags.switch("no-default-policy"));
    add("display_name", json!(text("display-name")), true);
    add("num_uses", json!(flags.int("use-limit").unwrap_or(0)), true);
    add("renewable", json!(is_renewable), true);
    add("type", json!(kind), true);
    add("entity_alias", json!(text("entity-alias")), true);
    body
}
