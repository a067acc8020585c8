//! `sys/init`: makes a new cluster's keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::{Body, Request};
use serde_json::json;

use crate::fault::Fault;
use crate::fields::Fields;
use crate::node::{InitError, InitOptions, Node};
use crate::visit::bare;

pub(crate) fn read(node: &Node) -> Result<Reply, Fault> {
    Ok(bare(200, &json!({ "initialized": node.seal_config()?.is_some() })))
}

/// The JSON object in a request's body.
pub(crate) fn fields(request: &Request) -> Result<Fields, Fault> {
    match &request.body {
        Body::Empty => Ok(Fields::default()),
        Body::Json(text) => match serde_json::from_slice(text.expose()) {
            Ok(serde_json::Value::Object(map)) => Ok(Fields::new(map)),
            Ok(serde_json::Value::Null) => Ok(Fields::default()),
            _ => Err(Fault::invalid("failed to decode JSON input: the body is not a JSON object")),
        },
        Body::Raw { .. } | Body::Unread(_) => Err(Fault::invalid("failed to decode JSON input: the body is not JSON")),
    }
}

pub(crate) async fn write(node: &Node, request: &Request) -> Result<Reply, Fault> {
    let fields = fields(request)?;
    for name in ["recovery_shares", "recovery_threshold"] {
        if fields.integer(name)?.is_some_and(|n| n != 0) {
            return Err(Fault::invalid(
                "parameters recovery_shares,recovery_threshold not applicable to seal type shamir",
            ));
        }
    }
    let pgp = ["pgp_keys", "root_token_pgp_key"].iter().any(|name| match fields.all().get(*name) {
        Some(serde_json::Value::Array(keys)) => !keys.is_empty(),
        Some(serde_json::Value::String(key)) => !key.is_empty(),
        _ => false,
    });
    if pgp {
        return Err(Fault::invalid("PGP-encrypted key shares are not offered by this version: leave out the PGP keys"));
    }
    let number = |name: &str| Ok::<_, Fault>(u64::try_from(fields.integer(name)?.unwrap_or(0)).unwrap_or(0));
    let options =
        InitOptions { shares: number("secret_shares")?, threshold: number("secret_threshold")?, root_token: None };
    let made = node.initialise(options).await.map_err(|error| match error {
        InitError::Storage(text) => {
            Fault::Answer(bulkhead_model::failure::Failure::new(bulkhead_model::failure::FailureKind::Internal, text))
        }
        other => Fault::invalid(other.to_string()),
    })?;
    let mut keys: Vec<String> = made.shares.iter().map(|share| hex::encode(share.expose())).collect();
    let mut keys_base64: Vec<String> = made.shares.iter().map(|share| STANDARD.encode(share.expose())).collect();
    let mut body = json!({ "keys": keys, "keys_base64": keys_base64, "root_token": made.root_token.expose() });
    let reply = bare(200, &body);
    bulkhead_model::reply::wipe(&mut body);
    zeroize::Zeroize::zeroize(&mut keys);
    zeroize::Zeroize::zeroize(&mut keys_base64);
    Ok(reply)
}
