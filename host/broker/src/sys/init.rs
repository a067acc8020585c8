//! `sys/init`: makes a new cluster's keys.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::reply::Reply;
use bulkhead_model::request::{Body, Request};
use bulkhead_model::seam::seal::SealKind;
use serde_json::{Value, json};

use crate::fault::Fault;
use crate::fields::Fields;
use crate::node::{InitError, InitOptions, Node};
use crate::visit::bare;

/// What must be a number where it is sent.
const NUMBERS: [&str; 4] = ["secret_shares", "secret_threshold", "recovery_shares", "recovery_threshold"];

pub(crate) fn read(node: &Node) -> Result<Reply, Fault> {
    Ok(bare(200, &json!({ "initialized": node.seal_config()?.is_some() })))
}

/// The JSON object in a request's body.
pub(crate) fn fields(request: &Request) -> Result<Fields, Fault> {
    match &request.body {
        Body::Empty => Ok(Fields::default()),
        Body::Json(text) => match serde_json::from_slice(text.expose()) {
            Ok(Value::Object(map)) => Ok(Fields::new(map)),
            Ok(Value::Null) => Ok(Fields::default()),
            _ => Err(Fault::invalid("failed to decode JSON input: the body is not a JSON object")),
        },
        Body::Raw { .. } | Body::Unread(_) => Err(Fault::invalid("failed to decode JSON input: the body is not JSON")),
    }
}

/// Refuses a number of shares that is no number, in Go's words: who makes a cluster's keys should not
/// have to guess how it was read.
fn refuse_misfits(fields: &Fields) -> Result<(), Fault> {
    for name in NUMBERS {
        let sent = match fields.all().get(name) {
            None | Some(Value::Null) => continue,
            Some(Value::Number(number)) if number.is_i64() => continue,
            Some(Value::Number(number)) => format!("number {number}"),
            Some(Value::String(_)) => "string".to_owned(),
            Some(Value::Bool(_)) => "bool".to_owned(),
            Some(Value::Array(_)) => "array".to_owned(),
            Some(Value::Object(_)) => "object".to_owned(),
        };
        return Err(Fault::invalid(format!(
            "failed to decode JSON input: json: cannot unmarshal {sent} into Go struct field InitRequest.{name} of type int"
        )));
    }
    Ok(())
}

pub(crate) async fn write(node: &Arc<Node>, request: &Request) -> Result<Reply, Fault> {
    let fields = fields(request)?;
    refuse_misfits(&fields)?;
    let seal = node.parts.seals.kind();
    let (unseal, recovery) = (["secret_shares", "secret_threshold"], ["recovery_shares", "recovery_threshold"]);
    let (named, other) = if seal == SealKind::Shamir { (unseal, recovery) } else { (recovery, unseal) };
    for name in other {
        if fields.integer(name)?.is_some_and(|n| n != 0) {
            let (other, seal) = (other.join(","), seal.name());
            return Err(Fault::invalid(format!("parameters {other} not applicable to seal type {seal}")));
        }
    }
    let pgp =
        ["pgp_keys", "recovery_pgp_keys", "root_token_pgp_key"].iter().any(|name| match fields.all().get(*name) {
            Some(Value::Array(keys)) => !keys.is_empty(),
            Some(Value::String(key)) => !key.is_empty(),
            _ => false,
        });
    if pgp {
        return Err(Fault::invalid("PGP-encrypted key shares are not offered by this version: leave out the PGP keys"));
    }
    let number = |name: &str| Ok::<_, Fault>(u64::try_from(fields.integer(name)?.unwrap_or(0)).unwrap_or(0));
    let options = InitOptions { shares: number(named[0])?, threshold: number(named[1])?, root_token: None };
    let made = node.initialise(options).await.map_err(|error| match error {
        InitError::Storage(text) => Failure::new(FailureKind::Internal, text).into(),
        InitError::Seal(error) => Failure::new(FailureKind::Internal, InitError::Seal(error).to_string()).into(),
        other => Fault::invalid(other.to_string()),
    })?;
    let mut keys: Vec<String> = made.shares.iter().map(|share| hex::encode(share.expose())).collect();
    let mut keys_base64: Vec<String> = made.shares.iter().map(|share| STANDARD.encode(share.expose())).collect();
    let mut body = json!({ "keys": [], "keys_base64": [], "root_token": made.root_token.expose() });
    if seal == SealKind::Shamir || !keys.is_empty() {
        let prefix = if seal == SealKind::Shamir { "" } else { "recovery_" };
        body[format!("{prefix}keys")] = json!(keys);
        body[format!("{prefix}keys_base64")] = json!(keys_base64);
    }
    if let Err(failure) = node.unseal_by_key().await {
        // It goes on trying; what was made is to be told all the same.
        tracing::warn!(why = %failure, "the new cluster is not unsealed yet");
    }
    let reply = bare(200, &body);
    bulkhead_model::reply::wipe(&mut body);
    zeroize::Zeroize::zeroize(&mut keys);
    zeroize::Zeroize::zeroize(&mut keys_base64);
    Ok(reply)
}
