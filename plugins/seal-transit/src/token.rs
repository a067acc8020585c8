//! The token that the seal shows: renewed once half of its time is gone.

use bulkhead_sdk::Result;
use serde_json::{Value, json};

use crate::server::Server;

/// Renews the token if it is time to. Gives what the operator should know; nothing, if all is well.
pub(crate) fn keep(server: &Server<'_>) -> String {
    match kept(server) {
        Ok(None) => String::new(),
        Ok(Some(secs)) => format!("the transit seal's token ends in {secs} s and is not renewed any further"),
        Err(error) => format!("the transit seal's token was not renewed: {error}"),
    }
}

/// The seconds that are left, if they are few for good.
fn kept(server: &Server<'_>) -> Result<Option<u64>> {
    let token = &server.ask("GET", "auth/token/lookup-self", None)?["data"];
    let left = secs(&token["ttl"]);
    // A periodic token is renewed for its period, any other for what it was made with.
    let whole = Some(secs(&token["period"])).filter(|period| *period > 0).unwrap_or(secs(&token["creation_ttl"]));
    // Without a time to live it lives for ever.
    if left == 0 || is_most(left, whole) {
        return Ok(None);
    }
    if token["renewable"] != true {
        return Ok(Some(left));
    }
    // Without it, a token that was once renewed for less stays at that.
    let renewed = server.ask("POST", "auth/token/renew-self", Some(&json!({ "increment": whole })))?;
    let left = secs(&renewed["auth"]["lease_duration"]);
    Ok(Some(left).filter(|left| !is_most(*left, whole)))
}

fn is_most(left: u64, whole: u64) -> bool {
    left > whole / 2
}

fn secs(json: &Value) -> u64 {
    json.as_u64().unwrap_or(0)
}
