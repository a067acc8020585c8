//! `sys/quotas`: rate limits, and what holds for all of them.

use bulkhead_model::failure::Failure;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use serde_json::{Value, json};

use super::table::{Handler, HostRoute};
use crate::book::quotas::{self, LimitRecord, QuotaConfig};
use crate::fault::Fault;
use crate::step::{role, route};
use crate::visit::{After, Ask, Visit, data, listed};

const LIMIT_FIELDS: &[&str] = &["name", "type", "path", "role", "rate", "interval", "block_interval", "inheritable"];
const CONFIG_FIELDS: &[&str] =
    &["enable_rate_limit_audit_logging", "enable_rate_limit_response_headers", "rate_limit_exempt_paths"];

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("quotas/config", &[Verb::Read], Handler::Now(read_config), "Read what holds for all quotas."),
    HostRoute::new("quotas/config", &[Verb::Write], Handler::Now(write_config), "Set what holds for all quotas.")
        .fields(CONFIG_FIELDS),
    HostRoute::new("quotas/rate-limit", &[Verb::List], Handler::Now(list), "List the rate limits."),
    HostRoute::new("quotas/rate-limit/{name}", &[Verb::Read], Handler::Now(read), "Read a rate limit."),
    HostRoute::new("quotas/rate-limit/{name}", &[Verb::Write], Handler::Now(write), "Set a rate limit.")
        .fields(LIMIT_FIELDS),
    HostRoute::new("quotas/rate-limit/{name}", &[Verb::Delete], Handler::Now(delete), "Remove a rate limit."),
];

fn list(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    listed(quotas::names(&mut visit.tx)?)
}

fn read(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let record = quotas::get(&mut visit.tx, ask.capture("name"))?.ok_or_else(|| Fault::from(Failure::absent()))?;
    Ok(data(&json!({
        "block_interval": record.block_secs,
        "inheritable": record.inheritable,
        "interval": record.interval_secs,
        "name": record.name,
        "path": record.path,
        "rate": number(record.rate),
        "role": record.role,
        "type": "rate-limit",
    })))
}

/// A number as Go prints it: without a point where there is nothing behind it.
fn number(rate: f64) -> Value {
    /// Up to here every whole number has a floating-point number of its own.
    const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
    if rate.fract() == 0.0 && rate <= WHOLE_MAX {
        #[allow(clippy::cast_possible_truncation)]
        return Value::from(rate as i64);
    }
    Value::from(rate)
}

fn write(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let fields = &ask.fields;
    let rate = fields.float("rate")?.unwrap_or_default();
    let interval_secs = fields.seconds_of_field("interval")?.unwrap_or_default().max(1);
    let block_secs = fields.seconds_of_field("block_interval")?.unwrap_or_default();
    if !(rate.is_finite() && rate > 0.0) {
        return Err(Fault::invalid("'rate' is invalid"));
    }
    let path = path(visit, &fields.text_or_empty("path")?)?;
    let role = fields.text_or_empty("role")?.to_lowercase();
    if !role.is_empty() && !has_roles(visit, &path) {
        return Err(no_role(&path));
    }
    let inheritable = fields.flag("inheritable")?.unwrap_or(path.is_empty());
    let name = ask.capture("name").to_owned();
    let record = LimitRecord { name, path, rate, interval_secs, block_secs, inheritable, role };
    let is_same = |r: &&LimitRecord| r.path == record.path && r.role == record.role && r.name != record.name;
    if let Some(other) = quotas::all(&mut visit.tx)?.iter().find(is_same) {
        let text = format!("quota rule with similar properties exists under the name {:?}", other.name);
        return Err(Fault::invalid(text));
    }
    quotas::save(&mut visit.tx, &record)?;
    visit.after.push(After::Refresh);
    Ok(Reply::Empty)
}

/// The path as rules have it, in the form that requests are counted by; it must be below a mount,
/// or nowhere.
pub(super) fn path(visit: &Visit, raw: &str) -> Result<String, Fault> {
    let bare = raw.trim_start_matches('/').trim_end_matches('/');
    if bare.is_empty() {
        return Ok(String::new());
    }
    let folder = format!("{bare}/");
    if visit.config.namespaces.at(&folder).is_some_and(|found| !found.record.leaving) {
        return Ok(folder);
    }
    match visit.config.mounts.route(&folder) {
        None => Err(Fault::invalid(format!("invalid mount path {folder:?}"))),
        Some((_, "")) => Ok(folder),
        Some(_) => Ok(route::folded(&visit.config.mounts, bare).path),
    }
}

/// Whether at this path is an auth method that tells with which role somebody logs in.
pub(super) fn has_roles(visit: &Visit, path: &str) -> bool {
    visit.config.mounts.at(path).is_some_and(|mount| role::is_told_by(mount))
}

/// Why there is no limit for a role here: a node that cannot hold one must not promise it.
pub(super) fn no_role(path: &str) -> Fault {
    Fault::invalid(if !path.is_empty() && !path.ends_with('/') {
        "Quotas cannot contain both a path suffix and a role. If a role is provided, path must be a valid auth mount \
         with a concept of roles"
            .to_owned()
    } else if path.starts_with("auth/") {
        format!("Mount path {path:?} does not support use with role-based quotas")
    } else {
        format!(
            "Mount path {path:?} is not a valid auth method and therefore unsuitable for use with role-based quotas"
        )
    })
}

fn delete(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    quotas::remove(&mut visit.tx, ask.capture("name"))?;
    visit.after.push(After::Refresh);
    Ok(Reply::Empty)
}

fn read_config(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    let config = quotas::config(&mut visit.tx)?;
    Ok(data(&json!({
        "enable_rate_limit_audit_logging": config.audit_logging,
        "enable_rate_limit_response_headers": config.response_headers,
        "rate_limit_exempt_paths": config.exempt_paths,
    })))
}

/// What is not sent is set to nothing, as Vault does.
fn write_config(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let config = QuotaConfig {
        audit_logging: ask.fields.flag("enable_rate_limit_audit_logging")?.unwrap_or_default(),
        response_headers: ask.fields.flag("enable_rate_limit_response_headers")?.unwrap_or_default(),
        exempt_paths: ask.fields.strings("rate_limit_exempt_paths", false)?.unwrap_or_default(),
    };
    quotas::save_config(&mut visit.tx, &config)?;
    visit.after.push(After::Refresh);
    Ok(Reply::Empty)
}
