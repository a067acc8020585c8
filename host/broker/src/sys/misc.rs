//! Small `sys/*` routes: version history, host facts, requests in flight, the config.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use serde_json::{Value, json};

use super::table::{Handler, HostRoute};
use crate::book::tokens::{self, TokenRecord};
use crate::fault::Fault;
use crate::fields::rfc3339;
use crate::in_flight::Client;
use crate::visit::{Ask, Visit, bare, data};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What every namespace has.
pub(super) const OF_EACH: &[HostRoute] =
    &[HostRoute::new("version-history", &[Verb::List], Handler::Now(versions), "List the versions that ran here.")];

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("host-info", &[Verb::Read], Handler::Now(host), "Tell about the machine."),
    HostRoute::new("in-flight-req", &[Verb::Read], Handler::Now(in_flight), "Tell of the requests being served."),
    HostRoute::new("config/state/sanitized", &[Verb::Read], Handler::Now(config), "Read the config without secrets."),
];

fn versions(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    let facts = &visit.open.parts.facts;
    let installed = rfc3339(
        visit.open.barrier.key_status().install_time_ms.min(visit.open.active_since_ms.load(Ordering::Relaxed)),
    );
    let mut info = serde_json::Map::new();
    info.insert(
        facts.version.clone(),
        json!({
            "build_date": facts.build_date,
            "commit_date": facts.build_date,
            "previous_version": null,
            "timestamp_installed": installed,
        }),
    );
    Ok(data(&json!({ "key_info": info, "keys": [facts.version] })))
}

fn host(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    let hostname = visit.open.parts.facts.hostname.clone();
    Ok(data(&json!({
        "timestamp": rfc3339(visit.now_ms),
        "host": { "hostname": hostname, "os": std::env::consts::OS, "kernelArch": std::env::consts::ARCH },
    })))
}

/// By request id, as each was found.
fn in_flight(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    let mut all = serde_json::Map::new();
    for entry in visit.open.in_flight.all() {
        let client = match &entry.client {
            Client::Unknown => String::new(),
            Client::Named(id) => id.clone(),
            // One that has ended meanwhile is nobody any more.
            Client::Token(hash) => {
                tokens::get_untracked(&mut visit.tx, hash)?.as_ref().map(client_id).unwrap_or_default()
            }
        };
        let address = entry.address.map(|address| SocketAddr::new(address, entry.port).to_string());
        let shown = json!({
            "start_time": rfc3339(entry.began_ms),
            "client_remote_address": address.unwrap_or_default(),
            "request_path": format!("/v1/{}", entry.path.as_str()),
            "request_method": method(entry.verb),
            "client_id": client,
        });
        all.insert(entry.id, shown);
    }
    Ok(bare(200, &Value::Object(all)))
}

/// What a verb is in HTTP; PUT may have been POST.
fn method(verb: Verb) -> &'static str {
    match verb {
        Verb::Read => "GET",
        Verb::List => "LIST",
        Verb::Scan => "SCAN",
        Verb::Head => "HEAD",
        Verb::Write => "PUT",
        Verb::Patch => "PATCH",
        Verb::Delete => "DELETE",
    }
}

/// What a client is called: its entity, or else what its token may do, as OpenBao puts that
/// together.
pub(crate) fn client_id(record: &TokenRecord) -> String {
    if !record.entity_id.is_empty() {
        return record.entity_id.clone();
    }
    let mut policies = record.policies.clone();
    policies.sort();
    let namespace = if record.namespace.is_empty() { "root" } else { &record.namespace };
    let text = format!("{}\0{namespace}", policies.join("\x7f"));
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    STANDARD.encode(hash.as_ref())
}

fn config(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    Ok(data(&Value::Object(visit.open.parts.facts.config.clone())))
}

#[cfg(test)]
mod tests {
    use super::{TokenRecord, client_id};

    #[test]
    fn a_client_is_called_as_openbao_calls_it() {
        let of = |policies: &[&str]| {
            let policies = policies.iter().map(|name| (*name).to_owned()).collect();
            client_id(&TokenRecord { policies, ..TokenRecord::default() })
        };
        // Observed on OpenBao 2.7.2.
        assert_eq!(of(&["root"]), "0DHqvq2D77kL2/JTPSZkTMJbkFVmUu0TzMi0jiXcFy8=");
        assert_eq!(of(&["inf", "default"]), "AOp2thhXBUAsjf3vs++4OJRnifYKWHjuHv9k2sXBERE=");
    }
}
