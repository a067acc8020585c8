//! `policy explain`: asks a server whether policies allow a request, and by which rule.

use serde_json::{Value, json};

use crate::client::Call;
use crate::commands::{Command, Prints};
use crate::fault::{EXIT_REMOTE, Fault};
use crate::flags::Flag;
use crate::session::Session;

pub(in crate::commands) const COMMAND: Command = Command {
    words: "policy explain",
    about: "Tell whether policies allow a request, and by which rule",
    usage: "[options] [TOKEN|POLICIES] OPERATION PATH",
    help: "Tells whether a token, or policies with these names, may do something, which rule decides,\nand of which policies it is. Without either it is about the token in use. The exit code is 0\nwhere it is allowed, 2 where it is not, and 1 if nobody can be asked.\n\nAsk about the token in use:\n\n    $ bulkhead policy explain update secret/data/app\n\nAsk about two policies together:\n\n    $ bulkhead policy explain default,app read secret/data/app",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[
        Flag::switch("token", "The first argument is a token, though it does not begin like one."),
        Flag::switch("accessor", "The first argument is the accessor of a token."),
        Flag::pairs("parameter", "Parameter of the request, as name=value; may be given many times."),
    ],
    run: |session| run(session).map_err(Fault::of_check),
};

fn run(session: &Session) -> Result<u8, Fault> {
    let arguments = session.at_most(3)?;
    let (whose, rest) = match arguments {
        [operation, path] => (None, (operation, path)),
        [whose, operation, path] => (Some(whose.trim()), (operation, path)),
        _ => return Err(Fault::Usage("Not enough arguments (expected OPERATION and PATH)".to_owned())),
    };
    let mut body = json!({ "operation": rest.0.trim(), "path": rest.1.trim() });
    if let Some(whose) = whose {
        let is_token =
            session.flags.switch("token") || ["s.", "b.", "hvs.", "hvb."].iter().any(|start| whose.starts_with(start));
        let field = if session.flags.switch("accessor") {
            "accessor"
        } else if is_token {
            "token"
        } else {
            "policies"
        };
        body[field] = whose.into();
    }
    let wrap_ttl = session.flags.span("wrap-ttl");
    if let Some(span) = wrap_ttl {
        body["wrap_ttl"] = span.secs().into();
    }
    let parameters = session.flags.pairs("parameter");
    let parameters = parameters.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
    body["parameters"] = Value::Object(parameters.collect());
    let client = session.client()?;
    let answer = client
        .secret(&Call::new("POST", "sys/policies/explain").body(&body))
        .map_err(|error| Fault::request("Error explaining the policies", error))?;
    let told = answer.and_then(|secret| secret.data).map_or(Value::Null, Value::Object);
    if session.is_table() {
        for line in lines(&told) {
            session.terminal.out(&line);
        }
    } else {
        session.show_value(&told)?;
    }
    Ok(if told["allowed"] == json!(true) { 0 } else { EXIT_REMOTE })
}

/// The answer in words.
fn lines(told: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| {
        let all = value.as_array().into_iter().flatten().filter_map(Value::as_str);
        all.collect::<Vec<_>>().join(", ")
    };
    let word = if told["allowed"] == json!(true) { "allowed" } else { "denied" };
    let mut lines = vec![format!("{word}: {}", text(&told["reason"]))];
    if let Some(rule) = told.get("rule").filter(|rule| !rule.is_null()) {
        lines.push(format!("path {:?} [{}]", text(&rule["path"]), list(&rule["capabilities"])));
        for policy in rule["policies"].as_array().into_iter().flatten() {
            lines.push(format!("  in policy {:?} [{}]", text(&policy["name"]), list(&policy["capabilities"])));
        }
    }
    let templated = list(&told["templated"]);
    if !templated.is_empty() {
        lines.push(format!("without the rules that depend on who asks, in {templated}: ask about a token"));
    }
    lines
}
