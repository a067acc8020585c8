//! The rows that tables of secrets and lists have.

use serde_json::{Map, Value};

use crate::client::{Auth, Secret, WrapInfo};
use crate::fault::Fault;
use crate::output::table;
use crate::span::Span;

/// Lease, token, wrapping and data of a secret, whichever it has.
pub(super) fn of_secret(secret: &Secret) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    if secret.lease_duration > 0 {
        let duration = Span::of_secs(secret.lease_duration).short();
        if secret.lease_id.is_empty() {
            push(&mut rows, "refresh_interval", duration);
        } else {
            push(&mut rows, "lease_id", secret.lease_id.clone());
            push(&mut rows, "lease_duration", duration);
            push(&mut rows, "lease_renewable", secret.renewable.to_string());
        }
    }
    if let Some(auth) = &secret.auth {
        push_auth(&mut rows, auth);
    }
    if let Some(wrap_info) = &secret.wrap_info {
        push_wrapping(&mut rows, wrap_info);
    }
    if let Some(data) = &secret.data {
        rows.extend(table::object_rows(data));
    }
    rows
}

fn push(rows: &mut Vec<(String, String)>, key: &str, value: String) {
    rows.push((key.to_owned(), value));
}

fn push_auth(rows: &mut Vec<(String, String)>, auth: &Auth) {
    if let Some(requirement) = &auth.mfa_requirement {
        return push_second_factor(rows, requirement);
    }
    let duration = if auth.lease_duration == 0 { "∞".to_owned() } else { Span::of_secs(auth.lease_duration).short() };
    push(rows, "token", auth.client_token.clone());
    push(rows, "token_accessor", auth.accessor.clone());
    push(rows, "token_duration", duration);
    push(rows, "token_renewable", auth.renewable.to_string());
    for (key, policies) in [
        ("token_policies", &auth.token_policies),
        ("identity_policies", &auth.identity_policies),
        ("policies", &auth.policies),
    ] {
        push(rows, key, table::quoted(policies.as_deref().unwrap_or_default()));
    }
    let mut metadata: Vec<_> = auth.metadata.iter().flatten().collect();
    metadata.sort_by_key(|(key, _)| *key);
    for (key, value) in metadata {
        push(rows, &format!("token_meta_{key}"), table::plain(value));
    }
}

/// There is no token yet, only what is still to be shown for one.
fn push_second_factor(rows: &mut Vec<(String, String)>, requirement: &Value) {
    let text = |value: &Value, key: &str| value.get(key).map(table::plain).unwrap_or_default();
    push(rows, "mfa_request_id", text(requirement, "mfa_request_id"));
    let constraints = requirement.get("mfa_constraints").and_then(Value::as_object);
    for (name, constraint) in constraints.into_iter().flatten() {
        for method in constraint.get("any").and_then(Value::as_array).into_iter().flatten() {
            let prefix = format!("mfa_constraint_{name}_{}", text(method, "type"));
            push(rows, &format!("{prefix}_id"), text(method, "id"));
            push(
                rows,
                &format!("{prefix}_uses_passcode"),
                method.get("uses_passcode").and_then(Value::as_bool).unwrap_or_default().to_string(),
            );
            let name = text(method, "name");
            if !name.is_empty() {
                push(rows, &format!("{prefix}_name"), name);
            }
        }
    }
}

fn push_wrapping(rows: &mut Vec<(String, String)>, wrap_info: &WrapInfo) {
    push(rows, "wrapping_token:", wrap_info.token.clone());
    push(rows, "wrapping_accessor:", wrap_info.accessor.clone());
    push(rows, "wrapping_token_ttl:", Span::of_secs(wrap_info.ttl).short());
    push(rows, "wrapping_token_creation_time:", go_time(&wrap_info.creation_time));
    push(rows, "wrapping_token_creation_path:", wrap_info.creation_path.clone());
    if !wrap_info.wrapped_accessor.is_empty() {
        push(rows, "wrapped_accessor:", wrap_info.wrapped_accessor.clone());
    }
}

/// An RFC 3339 time as Go prints one: `2026-01-02 03:04:05.6 +0000 UTC`.
fn go_time(rfc3339: &str) -> String {
    let Some((date, rest)) = rfc3339.split_once('T') else { return rfc3339.to_owned() };
    let zone_at = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
    let (time, zone) = rest.split_at(zone_at);
    match zone {
        "Z" => format!("{date} {time} +0000 UTC"),
        zone => {
            let offset = zone.replace(':', "");
            format!("{date} {time} {offset} {offset}")
        }
    }
}

/// The keys in order, with a column for every detail that any of them has.
pub(super) fn of_list(keys: &[Value], details: Option<&Map<String, Value>>) -> Result<Option<String>, Fault> {
    let mut names = Vec::with_capacity(keys.len());
    for key in keys {
        let name = key
            .as_str()
            .ok_or_else(|| Fault::Local(format!("Could not parse output: {} is not a string", table::plain(key))))?;
        names.push(name.to_owned());
    }
    if names.is_empty() {
        return Ok(None);
    }
    names.sort();
    let details = details.cloned().unwrap_or_default();
    let mut columns: Vec<String> =
        details.values().filter_map(Value::as_object).flat_map(|entry| entry.keys().cloned()).collect();
    columns.sort();
    columns.dedup();
    let header: Vec<&str> = std::iter::once("Keys").chain(columns.iter().map(String::as_str)).collect();
    let rows: Vec<Vec<String>> = names.into_iter().map(|name| row(name, &columns, &details)).collect();
    Ok(Some(table::with_header(&header, &rows)))
}

fn row(name: String, columns: &[String], details: &Map<String, Value>) -> Vec<String> {
    let Some(entry) = details.get(&name).and_then(Value::as_object) else { return vec![name] };
    let cells =
        columns.iter().map(|column| entry.get(column).map_or_else(String::new, |value| table::entry(column, value)));
    std::iter::once(name.clone()).chain(cells).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_still_to_be_shown_for_a_token_has_its_name() {
        let phone = json!({ "type": "totp", "id": "m", "uses_passcode": true, "name": "phone" });
        let nameless = json!({ "type": "totp", "id": "n", "uses_passcode": false, "name": "" });
        let constraints = json!({ "all": { "any": [phone] }, "bob": { "any": [nameless] } });
        let requirement = json!({ "mfa_request_id": "r", "mfa_constraints": constraints });
        let rows = of_secret(&Secret::of_auth(Auth { mfa_requirement: Some(requirement), ..Auth::default() }));
        let expected = [
            ("mfa_request_id", "r"),
            ("mfa_constraint_all_totp_id", "m"),
            ("mfa_constraint_all_totp_uses_passcode", "true"),
            ("mfa_constraint_all_totp_name", "phone"),
            ("mfa_constraint_bob_totp_id", "n"),
            ("mfa_constraint_bob_totp_uses_passcode", "false"),
        ];
        assert_eq!(rows, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }
}
