//! `sys/metrics`: what a node counts, as Prometheus reads it or as Vault tells it in JSON.

use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::metrics::{Interval, Sheet, prometheus};
use bulkhead_model::reply::Reply;
use bulkhead_model::request::{Request, Verb};

use super::table::{Handler, HostRoute};
use crate::book::mounts::{Catalog, Table};
use crate::fault::Fault;
use crate::node::{Node, Parts};
use crate::open::Open;
use crate::visit::{Ask, Visit};

pub(super) const ROUTES: &[HostRoute] =
    &[HostRoute::new("metrics", &[Verb::Read], Handler::Now(read), "Tell what this node counts.").fields(&["format"])];

/// What tells that a client reads the text format. Source: OpenBao's `FormatFromRequest`.
const ACCEPTED: [&str; 2] = ["application/openmetrics-text", "prometheus/telemetry"];
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

fn read(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let open = visit.open.clone();
    Ok(answer(&open.parts, &open.catalog, Some(&open), ask.request))
}

/// The answer on a listener that tells numbers to everybody, whatever state the node is in.
pub(crate) fn free(node: &Node, request: &Request) -> Reply {
    if request.verb != Verb::Read {
        return Reply::Failed(Failure { kind: FailureKind::Unsupported, errors: Vec::new() });
    }
    answer(&node.parts, &node.catalog, node.open().as_deref(), request)
}

/// Ends an interval of counting.
pub(crate) fn end_interval(node: &Node) -> Interval {
    let sheet = sheet(&node.parts, &node.catalog, node.open().as_deref());
    node.catalog.figures.intervals.end(node.parts.clock.now_secs(), sheet)
}

fn answer(parts: &Parts, catalog: &Catalog, open: Option<&Open>, request: &Request) -> Reply {
    let accepts = |header: &str| ACCEPTED.iter().any(|accepted| header.contains(accepted));
    let format = request.query("format").filter(|format| !format.is_empty());
    let format = format.or_else(|| request.header("accept").filter(|header| accepts(header)).map(|_| "prometheus"));
    let refused = |text: String| Reply::raw(400, "text/plain", text.into_bytes());
    let intervals = &catalog.figures.intervals;
    match format {
        None => {
            let told = intervals.last(parts.clock.now_secs(), || sheet(parts, catalog, open));
            Reply::raw(200, "application/json", told.json())
        }
        Some("prometheus") if !parts.metrics.prometheus => refused("prometheus is not enabled".to_owned()),
        Some("prometheus") => {
            let text = prometheus(&sheet(parts, catalog, open), &intervals.before_last());
            Reply::raw(200, TEXT, text.into_bytes())
        }
        Some(other) => refused(format!("metric response format {other:?} unknown")),
    }
}

/// All numbers, as they stand now.
fn sheet(parts: &Parts, catalog: &Catalog, open: Option<&Open>) -> Sheet {
    let mut sheet = Sheet::default();
    catalog.figures.tell(&mut sheet);
    tell_state(&mut sheet, parts, catalog.figures.cluster(), open);
    for source in &parts.metrics.sources {
        source.tell(&mut sheet);
    }
    sheet
}

fn tell_state(sheet: &mut Sheet, parts: &Parts, cluster: &str, open: Option<&Open>) {
    let cluster = [("cluster", cluster)];
    let yes = |is_so: bool| f64::from(u8::from(is_so));
    sheet.gauge("vault.core.unsealed", "1 if this node is unsealed.", &cluster, yes(open.is_some()));
    let leads = open.is_some() && parts.ledger.standing().leader;
    sheet.gauge("vault.core.active", "1 if this node is unsealed and leads.", &cluster, yes(leads));
    let version = [("version", parts.facts.version.as_str())];
    sheet.gauge("bulkhead.build", "1, with the version that runs.", &version, 1.0);
    let Some(open) = open else { return };
    let in_flight = open.in_flight.count();
    sheet.gauge("vault.core.in_flight_requests", "Requests being served.", &cluster, in_flight as f64);
    tell_leases(sheet, open);
    let Some(config) = open.known_config() else { return };
    for (table, kind) in [(Table::Auth, "auth"), (Table::Secret, "logical")] {
        let (local, shared): (Vec<_>, Vec<_>) =
            config.mounts.all().filter(|mount| mount.entry.table == table).partition(|mount| mount.entry.flags.local);
        for (is_local, count) in [("true", local.len()), ("false", shared.len())] {
            let labels = [cluster[0], ("local", is_local), ("type", kind)];
            sheet.gauge("vault.core.mount_table.num_entries", "Mounts.", &labels, count as f64);
        }
    }
}

/// Quotas of leases that are told of. Source: ours. Why: labels have a bound.
const LEASE_QUOTAS_TOLD: usize = 100;

fn tell_leases(sheet: &mut Sheet, open: &Open) {
    let Some((quotas, counts)) = open.tally.told() else { return };
    for (record, count) in quotas.records.iter().zip(counts).take(LEASE_QUOTAS_TOLD) {
        let name = [("name", record.name.as_str())];
        sheet.gauge("vault.quota.lease_count.counter", "Leases of a quota.", &name, count as f64);
        sheet.gauge("vault.quota.lease_count.max", "Leases that it lets there be.", &name, record.max_leases as f64);
    }
}
