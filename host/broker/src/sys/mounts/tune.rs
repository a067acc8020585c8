//! Tuning a mount.

use std::num::{IntErrorKind, ParseIntError};
use std::sync::Arc;

use bulkhead_model::lockout::LockoutTuning;
use bulkhead_model::plugin::Reason;
use bulkhead_model::reply::Reply;
use serde_json::{Map, Value};

use super::{full_path, insert_strings, mount_path};
use crate::book::mounts::{self, MountEntry, Table, Tuning};
use crate::components;
use crate::fault::Fault;
use crate::fields::{Fields, parse_seconds};
use crate::step::duties;
use crate::sys::table::Answer;
use crate::visit::{After, Ask, Visit, flat, warning};

pub(super) const FIELDS: &[&str] = &[
    "path",
    "default_lease_ttl",
    "max_lease_ttl",
    "description",
    "options",
    "listing_visibility",
    "passthrough_request_headers",
    "allowed_response_headers",
    "audit_non_hmac_request_keys",
    "audit_non_hmac_response_keys",
    "token_type",
    "user_lockout_config",
    "plugin_version",
    "force_no_cache",
];

/// What cannot be set of the mounts that are always there.
const NOT_OF_FIXED: [&str; 10] = [
    "default_lease_ttl",
    "max_lease_ttl",
    "description",
    "options",
    "listing_visibility",
    "passthrough_request_headers",
    "allowed_response_headers",
    "token_type",
    "user_lockout_config",
    "plugin_version",
];

pub(super) fn read(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    shown(visit, &mount_path(ask.capture("path")))
}

pub(super) fn read_auth(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    shown(visit, &full_path(Table::Auth, &mount_path(ask.capture("path"))))
}

fn shown(visit: &Visit, full: &str) -> Result<Reply, Fault> {
    let Some(mount) = visit.mount_at(full) else {
        return Err(Fault::invalid(format!("cannot fetch sysview for path {full:?}")));
    };
    let (tuning, (default_ttl, max_ttl)) = (&mount.entry.tuning, mount.ttls());
    let mut told = Map::new();
    insert_strings(&mut told, "allowed_response_headers", &tuning.allowed_response_headers);
    insert_strings(&mut told, "audit_non_hmac_request_keys", &tuning.audit_non_hmac_request_keys);
    insert_strings(&mut told, "audit_non_hmac_response_keys", &tuning.audit_non_hmac_response_keys);
    told.insert("default_lease_ttl".into(), default_ttl.into());
    told.insert("description".into(), mount.entry.description.as_str().into());
    if mount.entry.flags.external_entropy_access {
        told.insert("external_entropy_access".into(), true.into());
    }
    told.insert("force_no_cache".into(), tuning.force_no_cache.into());
    if !tuning.listing_visibility.is_empty() {
        told.insert("listing_visibility".into(), tuning.listing_visibility.as_str().into());
    }
    told.insert("max_lease_ttl".into(), max_ttl.into());
    if !mount.entry.plugin_version.is_empty() {
        told.insert("plugin_version".into(), mount.entry.plugin_version.as_str().into());
    }
    if !mount.entry.options.is_empty() {
        told.insert("options".into(), serde_json::json!(mount.entry.options));
    }
    insert_strings(&mut told, "passthrough_request_headers", &tuning.passthrough_request_headers);
    if let Some(token_type) = super::shown::token_type(mount) {
        told.insert("token_type".into(), token_type.into());
    }
    if let Some(lockout) = &tuning.lockout {
        told.append(&mut super::shown::lockout_json(lockout));
    }
    Ok(flat(&Value::Object(told)))
}

pub(super) fn write<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(change(visit, ask, mount_path(ask.capture("path"))))
}

pub(super) fn write_auth<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(change(visit, ask, full_path(Table::Auth, &mount_path(ask.capture("path")))))
}

async fn change(visit: &mut Visit, ask: &Ask<'_>, full: String) -> Result<Reply, Fault> {
    let Some(mount) = visit.mount_at(&full).cloned() else {
        return Err(Fault::invalid(format!("tune of path {full:?} failed: no mount entry found")));
    };
    let mut entry = mount.entry.clone();
    let is_fixed = matches!(full.as_str(), "sys/" | "cubbyhole/" | "identity/");
    let refused = NOT_OF_FIXED.into_iter().find(|name| is_fixed && ask.fields.has(name));
    if let Some(name) = refused {
        return Err(Fault::invalid(format!("cannot tune parameter {name} of {full}")));
    }
    if ask.fields.has("description") {
        entry.description = ask.fields.text_or_empty("description")?;
    }
    apply(&mut entry.tuning, &ask.fields, entry.table)?;
    let (default_ttl, max_ttl) = (entry.tuning.default_ttl_secs, entry.tuning.max_ttl_secs);
    if max_ttl != 0 && default_ttl > max_ttl {
        return Err(Fault::invalid(format!(
            "backend max lease TTL of {max_ttl} would be less than backend default lease TTL of {default_ttl}"
        )));
    }
    if full == "auth/token/" && ask.fields.has("token_type") {
        return Err(Fault::invalid("'token_type' cannot be set for 'token' or 'ns_token' auth mounts"));
    }
    if let Some(config) = ask.fields.object("user_lockout_config")?.filter(|config| !config.is_empty()) {
        // One that is not compiled yet cannot say whether its logins can be counted.
        components::serving(&visit.open, &mount).await?;
        if !mounts::can_lock(&mount.engine) {
            let text = format!("tuning of user lockout configuration for auth type {:?} not allowed", entry.kind);
            return Err(Fault::invalid(text));
        }
        lockout(entry.tuning.lockout.get_or_insert_default(), config)?;
    }
    let version = ask.fields.text("plugin_version")?;
    if version.as_ref().is_some_and(String::is_empty) {
        return Err(Fault::invalid("version \"\" is not a valid semantic version: malformed version: "));
    }
    if let Some(version) = version {
        entry.plugin_version = super::version::chosen(visit, entry.brought(), entry.table, &version)?.plugin_version;
    }
    let upgrading = options(&mut entry, &ask.fields)?;
    super::check_bounds(&entry.description, &entry.options)?;
    mounts::save(&mut visit.tx, &entry)?;
    if entry.plugin_version != mount.entry.plugin_version {
        super::version::change(visit, entry).await?;
    } else if entry.options != mount.entry.options {
        reconfigured(visit, entry).await?;
    }
    Ok(if upgrading { warning(UPGRADING) } else { Reply::Empty })
}

/// Takes new mount options; says whether kv's version went up.
fn options(entry: &mut MountEntry, fields: &Fields) -> Result<bool, Fault> {
    let Some(options) = fields.texts("options")? else { return Ok(false) };
    let mut upgrading = false;
    for (name, value) in options {
        if name == "version" && entry.brought() == "kv" {
            let before = entry.options.get("version").map_or("1", String::as_str);
            match (before, value.as_str()) {
                ("2", "2") | (_, "1") if before != "2" || value == "2" => {}
                ("2", _) => return Err(Fault::invalid("cannot downgrade mount from version 2")),
                (_, "2") => upgrading = true,
                _ => return Err(Fault::invalid(format!("invalid version provided: {value}"))),
            }
        }
        entry.options.insert(name, value);
    }
    Ok(upgrading)
}

/// What Vault tells where kv goes from version 1 to 2.
const UPGRADING: &str = "Upgrading mount from version 1 to version 2. This mount will be unavailable for a brief period and \
                         will resume service shortly.";

/// Tells the guest of its new options; what follows from them, it does in jobs of its own.
async fn reconfigured(visit: &mut Visit, entry: MountEntry) -> Result<(), Fault> {
    let mount = Arc::new(visit.config.bind(entry, &visit.open.catalog));
    if let Some(plugin) = components::serving(&visit.open, &mount).await? {
        duties::initialise(visit, &mount, &plugin, Reason::Reconfigured).await?;
    }
    visit.after.push(After::LookForDue);
    Ok(())
}

/// Tuning from the `config` object of a new mount, where others have lifetimes of so many seconds at most.
pub(super) fn from_config(config: &Map<String, Value>, table: Table, max_secs: u64) -> Result<Tuning, Fault> {
    let mut tuning = Tuning::default();
    check_shape(config, table)?;
    for (name, label) in [("default_lease_ttl", "default"), ("max_lease_ttl", "max")] {
        let text = match config.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(n)) => n.to_string(),
            _ => continue,
        };
        // Vault names the field here, unlike when a mount is tuned.
        if !text.is_empty()
            && text != "system"
            && let Err(cause) = bulkhead_model::duration::parse_secs(&text)
        {
            return Err(Fault::invalid(format!("unable to parse {label} TTL of {text}: {cause}")));
        }
    }
    let said = config.iter().filter(|(_, value)| !value.is_null());
    apply(&mut tuning, &Fields::new(said.map(|(name, value)| (name.clone(), value.clone())).collect()), table)?;
    if tuning.max_ttl_secs != 0 && tuning.default_ttl_secs > tuning.max_ttl_secs {
        return Err(Fault::invalid("given default lease TTL greater than given max lease TTL"));
    }
    if tuning.max_ttl_secs == 0 && tuning.default_ttl_secs > max_secs {
        let text = format!("given default lease TTL greater than system max lease TTL of {max_secs}");
        return Err(Fault::invalid(text));
    }
    Ok(tuning)
}

/// Refuses members of the `config` object of a new mount that Vault cannot convert. What it converts of
/// `user_lockout_config` and then forgets is refused as well: nobody is to believe that logins are counted
/// as that says.
fn check_shape(config: &Map<String, Value>, table: Table) -> Result<(), Fault> {
    let sent = |name: &str| config.get(name).filter(|value| !value.is_null());
    let is_span = |value: &Value| value.is_string() || value.is_number();
    let lockout = match sent("user_lockout_config") {
        None => None,
        Some(Value::Object(lockout)) => Some(lockout),
        Some(_) => return Err(inconvertible(table)),
    };
    let spans = ["default_lease_ttl", "max_lease_ttl"].into_iter().filter_map(sent).all(is_span);
    if !spans || !sent("force_no_cache").is_none_or(Value::is_boolean) {
        return Err(inconvertible(table));
    }
    for (name, value) in lockout.into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        let says_nothing = matches!(value, Value::Bool(false)) || value.as_u64() == Some(0);
        match name.as_str() {
            "lockout_threshold" | "lockout_duration" if !value.is_u64() => return Err(inconvertible(table)),
            "lockout_threshold" | "lockout_duration" | "lockout_counter_reset_duration" | "lockout_disable"
                if !says_nothing =>
            {
                return Err(Fault::invalid(
                    "user_lockout_config cannot be set yet where a mount is enabled: tune it then",
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

fn inconvertible(table: Table) -> Fault {
    let what = if table == Table::Auth { "auth" } else { "mount" };
    Fault::invalid(format!("unable to convert given {what} config information"))
}

fn apply(tuning: &mut Tuning, fields: &Fields, table: Table) -> Result<(), Fault> {
    let ttl = |name: &str| match fields.text(name)?.as_deref() {
        None | Some("") => Ok::<_, Fault>(None),
        Some("system") => Ok(Some(0)),
        Some(text) => parse_seconds(text, name).map(Some),
    };
    if let Some(secs) = ttl("default_lease_ttl")? {
        tuning.default_ttl_secs = secs;
    }
    if let Some(secs) = ttl("max_lease_ttl")? {
        tuning.max_ttl_secs = secs;
    }
    if let Some(flag) = fields.flag("force_no_cache")? {
        tuning.force_no_cache = flag;
    }
    if let Some(visibility) = fields.text("listing_visibility")? {
        if !matches!(visibility.as_str(), "" | "hidden" | "unauth") {
            return Err(Fault::invalid(format!("invalid listing_visibility {visibility}")));
        }
        tuning.listing_visibility = visibility;
    }
    for (name, list) in [
        ("passthrough_request_headers", &mut tuning.passthrough_request_headers),
        ("allowed_response_headers", &mut tuning.allowed_response_headers),
        ("audit_non_hmac_request_keys", &mut tuning.audit_non_hmac_request_keys),
        ("audit_non_hmac_response_keys", &mut tuning.audit_non_hmac_response_keys),
    ] {
        if let Some(values) = fields.strings(name, true)? {
            *list = values;
        }
    }
    if let Some(token_type) = fields.text("token_type")? {
        if table != Table::Auth {
            return Err(Fault::invalid("'token_type' can only be modified on auth mounts"));
        }
        let token_type = if token_type.is_empty() { "default-service".to_owned() } else { token_type };
        if !matches!(token_type.as_str(), "default-service" | "default-batch" | "service" | "batch") {
            return Err(Fault::invalid(format!("invalid value for 'token_type': {token_type}")));
        }
        tuning.token_type = token_type;
    }
    Ok(())
}

/// Takes what `user_lockout_config` says; what it leaves out stays.
fn lockout(tuning: &mut LockoutTuning, config: &Map<String, Value>) -> Result<(), Fault> {
    let unfit = || Fault::invalid("unable to convert given user lockout config information");
    let text = |name: &str| match config.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(unfit()),
    };
    let span = |name: &str| match text(name)?.as_deref() {
        Some("system") => Ok::<_, Fault>(Some(0)),
        Some(text) => parse_seconds(text, name).map(Some),
        None => Ok(None),
    };
    let disabled = match config.get("lockout_disable") {
        None | Some(Value::Null) => None,
        Some(Value::Bool(is_disabled)) => Some(*is_disabled),
        Some(_) => return Err(unfit()),
    };
    if let Some(text) = text("lockout_threshold")? {
        // Go takes no sign.
        let digits = if text.starts_with('+') { "" } else { &*text };
        tuning.threshold = digits.parse().map_err(|error| threshold_unfit(&text, &error))?;
    }
    if let Some(secs) = span("lockout_duration")? {
        tuning.duration_secs = secs;
    }
    if let Some(secs) = span("lockout_counter_reset_duration")? {
        tuning.counter_reset_secs = secs;
    }
    if let Some(is_disabled) = disabled {
        tuning.is_disabled = is_disabled;
    }
    Ok(())
}

/// In Go's words, which clients print.
fn threshold_unfit(text: &str, error: &ParseIntError) -> Fault {
    let cause = match error.kind() {
        IntErrorKind::PosOverflow => "value out of range",
        _ => "invalid syntax",
    };
    Fault::invalid(format!("unable to parse user lockout threshold: strconv.ParseUint: parsing {text:?}: {cause}"))
}
