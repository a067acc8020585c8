//! A second factor at a login: asked for where there is one way to show it and somebody to ask.

use serde_json::{Value, json};

use crate::client::{Call, Client, Secret};
use crate::fault::Fault;
use crate::session::Session;

/// How it is shown.
#[derive(Debug, PartialEq)]
struct Method<'a> {
    request_id: &'a str,
    id: &'a str,
    kind: &'a str,
    uses_passcode: bool,
}

/// The answer to a login, after a second factor was shown if that could be done here. If not, it
/// says as it came what is still to be shown.
pub(super) fn asked_for(session: &Session, client: &Client, secret: Secret) -> Result<Secret, Fault> {
    let requirement = secret.auth.as_ref().and_then(|auth| auth.mfa_requirement.as_ref());
    let is_asking = !session.flags.switch("non-interactive") && session.terminal.is_interactive();
    let Some(method) = requirement.and_then(only_method).filter(|_| is_asking) else { return Ok(secret) };
    session.terminal.warn("Initiating Interactive MFA Validation...");
    let mut passcode = String::new();
    if method.uses_passcode {
        let question = format!("Enter the passphrase for methodID {:?} of type {:?}:", method.id, method.kind);
        let answer = session.terminal.ask_secret(&question).map_err(|error| {
            Fault::Refused(format!(
                "failed to read passphrase: {error}. please validate the login by sending a request to sys/mfa/validate"
            ))
        })?;
        passcode.clone_from(answer.expose());
    } else {
        session.terminal.warn(
            "Asking Vault to perform MFA validation with upstream service. You should receive a push notification in \
             your authenticator app shortly",
        );
    }
    let body = json!({ "mfa_request_id": method.request_id, "mfa_payload": { method.id: [passcode] } });
    let answer = client
        .secret(&Call::new("POST", "sys/mfa/validate").body(&body))
        .map_err(|error| Fault::request("Error validating the second factor", error))?;
    answer.ok_or_else(|| Fault::Refused("Vault returned an empty secret".to_owned()))
}

/// The method, where there is one alone.
fn only_method(requirement: &Value) -> Option<Method<'_>> {
    let constraints = requirement.get("mfa_constraints")?.as_object()?;
    let mut any = constraints.values().map(|constraint| constraint.get("any").and_then(Value::as_array));
    let ([method], None) = (any.next()??.as_slice(), any.next()) else { return None };
    let text = |key: &str| method.get(key).and_then(Value::as_str);
    Some(Method {
        request_id: requirement.get("mfa_request_id")?.as_str()?,
        id: text("id")?,
        kind: text("type").unwrap_or_default(),
        uses_passcode: method.get("uses_passcode").and_then(Value::as_bool).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Method, only_method};

    fn requirement(constraints: Value) -> Value {
        json!({ "mfa_request_id": "r", "mfa_constraints": constraints })
    }

    #[test]
    fn one_method_alone_is_asked_for() {
        let phone = json!({ "type": "totp", "id": "m", "uses_passcode": true, "name": "phone" });
        let of = requirement(json!({ "a": { "any": [phone] } }));
        let expected = Method { request_id: "r", id: "m", kind: "totp", uses_passcode: true };
        assert_eq!(only_method(&of), Some(expected));
        for many in [
            json!({}),
            json!({ "a": { "any": [] } }),
            json!({ "a": { "any": [phone, phone] } }),
            json!({ "a": { "any": [phone] }, "b": { "any": [phone] } }),
            json!({ "a": { "any": [{ "type": "totp" }] } }),
        ] {
            assert_eq!(only_method(&requirement(many.clone())), None, "{many}");
        }
    }
}
