//! Small `sys/*` routes: version history, host facts, requests in flight, the config.

use std::sync::atomic::Ordering;

use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use serde_json::{Value, json};

use super::table::{Handler, HostRoute};
use crate::fault::Fault;
use crate::fields::rfc3339;
use crate::visit::{Ask, Visit, bare, data};

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("version-history", &[Verb::List], Handler::Now(versions), "List the versions that ran here."),
    HostRoute::new("host-info", &[Verb::Read], Handler::Now(host), "Tell about the machine."),
    HostRoute::new("in-flight-req", &[Verb::Read], Handler::Now(in_flight), "Count requests being served."),
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

fn in_flight(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    Ok(bare(200, &json!({ "in_flight": visit.open.in_flight.load(Ordering::Relaxed) })))
}

fn config(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    Ok(data(&Value::Object(visit.open.parts.facts.config.clone())))
}
