//! `sys/internal/*`: what user interfaces and the CLI ask before they act.

use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use serde_json::{Map, Value, json};

use super::mounts::mount_json;
use super::table::{Answer, Handler, HostRoute};
use crate::book::identity::entities::ENTITIES;
use crate::book::mounts::{Mount, Table};
use crate::book::tokens;
use crate::fault::Fault;
use crate::visit::{Ask, Visit, data};

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("internal/ui/mounts", &[Verb::Read], Handler::Now(mounts), "List the mounts one may use.")
        .unauthenticated(),
    HostRoute::new("internal/ui/mounts/{path...}", &[Verb::Read], Handler::Now(mount), "Read a mount one may use.")
        .unauthenticated(),
    HostRoute::new("internal/ui/namespaces", &[Verb::Read], Handler::Now(namespaces), "List namespaces.")
        .unauthenticated(),
    HostRoute::new("internal/ui/resultant-acl", &[Verb::Read], Handler::Now(resultant), "Tell what one may do."),
    HostRoute::new("internal/counters/tokens", &[Verb::Read], Handler::Later(token_count), "Count the tokens."),
    HostRoute::new("internal/counters/entities", &[Verb::Read], Handler::Now(entity_count), "Count the entities."),
    HostRoute::new(
        "internal/counters/requests",
        &[Verb::Read],
        Handler::Now(gone),
        "Count requests, once upon a time.",
    ),
    HostRoute::new("internal/specs/openapi", &[Verb::Read, Verb::Write], Handler::Now(openapi), "OpenAPI document.")
        .fields(&["generic_mount_paths", "context"])
        .unauthenticated(),
];

/// Whether the caller could do anything below the mount.
fn reaches(visit: &Visit, mount: &Mount) -> bool {
    visit.who.as_ref().is_some_and(|who| who.acl.reaches(&mount.full_path))
}

fn mounts(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    let table = |table: Table| -> Map<String, Value> {
        let mut shown = Map::new();
        for mount in visit.config.mounts.of(&visit.namespace, table) {
            let listed = mount.entry.tuning.listing_visibility == "unauth";
            if reaches(visit, mount) || (listed && visit.who.is_some()) {
                shown.insert(mount.entry.path.clone(), mount_json(visit, mount));
            } else if listed {
                let entry = &mount.entry;
                // Of the mounts that every namespace has, this one alone can be shown to all. It has none.
                let options = if entry.kind == "token" { Value::Null } else { json!(entry.options) };
                let brief = json!({ "description": entry.description, "options": options, "type": entry.kind });
                shown.insert(entry.path.clone(), brief);
            }
        }
        shown
    };
    Ok(data(&json!({ "auth": table(Table::Auth), "secret": table(Table::Secret) })))
}

fn mount(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    visit.who()?;
    let asked = format!("{}/", ask.capture("path").trim_end_matches('/'));
    let asked_full = visit.namespace.full(&asked);
    let found = visit.config.mounts.route(&asked_full).map(|(m, _)| m.clone());
    let allowed = found.filter(|m| reaches(visit, m) || m.entry.tuning.listing_visibility == "unauth");
    let Some(mount) = allowed else {
        let text = format!(
            "preflight capability check returned 403, please ensure client's policies grant access to path {asked:?}"
        );
        return Err(Failure::new(FailureKind::Denied, text).into());
    };
    let mut shown = mount_json(visit, &mount);
    // Of a namespace below it is told from the root, as clients put it before what they ask for next.
    shown["path"] = if visit.is_here(&mount) { &mount.entry.path } else { &mount.full_path }.as_str().into();
    Ok(data(&shown))
}

/// The namespaces directly below, as far as the caller could do anything in them.
fn namespaces(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    let (acl, here) = (&visit.who()?.acl, &visit.namespace);
    let below = visit.config.namespaces.below(here, false);
    let below = below.iter().filter(|one| !one.record.leaving && acl.reaches(one.path()));
    let keys: Vec<_> = below.filter_map(|one| one.path().strip_prefix(here.path())).collect();
    Ok(data(&if keys.is_empty() { json!({}) } else { json!({ "keys": keys }) }))
}

fn resultant(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    let acl = &visit.who()?.acl;
    if acl.is_root() {
        return Ok(data(&json!({ "root": true })));
    }
    let (exact, wild) = acl.patterns();
    let shown = |rules: Vec<(String, bulkhead_model::policy::Capabilities)>| -> Map<String, Value> {
        rules.into_iter().map(|(path, c)| (path, json!({ "capabilities": c.names() }))).collect()
    };
    Ok(data(&json!({ "exact_paths": shown(exact), "glob_paths": shown(wild), "root": false })))
}

fn token_count<'a>(visit: &'a mut Visit, _ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(count_tokens(visit))
}

async fn count_tokens(visit: &Visit) -> Result<Reply, Fault> {
    let mut total = 0;
    let mut after = None;
    loop {
        let mut tx = visit.begin()?;
        let page = tokens::page(&mut tx, after.as_ref(), 4_096)?;
        // Where there is but one namespace, all tokens are of it.
        if visit.config.namespaces.len() == 0 {
            total += page.len();
        } else {
            for hash in &page {
                let record = tokens::get_untracked(&mut tx, hash)?;
                total += usize::from(record.is_some_and(|record| record.namespace == visit.namespace.record.id));
            }
        }
        after = page.last().copied();
        if after.is_none() {
            break;
        }
        drop(tx);
        tokio::task::yield_now().await;
    }
    Ok(data(&json!({ "counters": { "service_tokens": { "total": total } } })))
}

fn entity_count(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    let (mut total, mut after) = (0, None);
    loop {
        let page = ENTITIES.ids(&mut visit.begin()?, after.as_ref())?;
        total += page.len();
        after = page.last().copied();
        if after.is_none() {
            break;
        }
    }
    Ok(data(&json!({ "counters": { "entities": { "total": total } } })))
}

/// Vault took this away, and says so.
fn gone(_visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    Err(Failure::new(FailureKind::NotFound, "The functionality has been removed on this path").into())
}

fn openapi(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    // To whoever has no token, nothing can be reached. As bytes, which can be wrapped like any answer.
    Ok(Reply::raw(200, "application/json", super::help::openapi(visit).to_string().into_bytes()))
}
