//! `audit "file" "name" { options { … } }`: audit devices that the config declares.

use std::collections::BTreeMap;

use bulkhead_model::audit_filter::Scope;
use bulkhead_model::hcl::{Item, Value};

use super::error::ConfigError;
use super::keys::{self, Fate, Key};
use super::stanza::{Note, Stanza};

/// A declared audit device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AuditConfig {
    /// `file`, `http`, `socket` or `syslog`.
    pub(crate) kind: String,
    /// Its name, without slashes at the ends.
    pub(crate) path: String,
    pub(crate) description: String,
    pub(crate) options: BTreeMap<String, String>,
}

pub(super) fn read_all(top: &Stanza<'_>, notes: &mut Vec<Note>) -> Result<Vec<AuditConfig>, ConfigError> {
    let mut audits: Vec<AuditConfig> = Vec::new();
    for stanza in top.blocks("audit")? {
        let audit = read(&stanza, notes)?;
        if audits.iter().any(|known| known.path == audit.path) {
            return Err(stanza.error(format!("audit device {:?} is declared twice", audit.path)));
        }
        let scope = |audit: &AuditConfig| Scope::of(&audit.options);
        let is_fallback = scope(&audit).map_err(|text| stanza.error(text))?.is_fallback();
        if is_fallback && audits.iter().any(|known| scope(known).is_ok_and(|scope| scope.is_fallback())) {
            return Err(stanza.error("there can be only one fallback audit device"));
        }
        audits.push(audit);
    }
    Ok(audits)
}

/// Type and name are labels, or keys of those names, or the name is left out and is the type.
fn read(stanza: &Stanza<'_>, notes: &mut Vec<Note>) -> Result<AuditConfig, ConfigError> {
    let mut labels = stanza.labels().iter().cloned();
    let kind = labels.next().or(stanza.string("type")?);
    let kind =
        kind.ok_or_else(|| stanza.error("audit needs a type and a name, as in audit \"file\" \"main\" { … }"))?;
    let Some(known) = keys::audit_options(&kind) else {
        return Err(stanza.error(format!(
            "audit {kind:?} is not offered: use audit \"file\" \"main\" {{ options {{ file_path = \"…\" }} }}"
        )));
    };
    check(stanza, &known, notes)?;
    let path = labels.next().or(stanza.string("path")?).unwrap_or_else(|| kind.clone());
    let mut options = BTreeMap::new();
    for item in stanza.items() {
        match (item.key.as_str(), &item.value) {
            ("options", Value::Body(items)) => items.iter().try_for_each(|item| option(stanza, item, &mut options))?,
            ("description" | "type" | "path" | "local", _) => {}
            // Options may also stand in the block itself.
            _ => option(stanza, item, &mut options)?,
        }
    }
    let description = stanza.string("description")?.unwrap_or_default();
    Ok(AuditConfig { kind, path: path.trim_matches('/').to_owned(), description, options })
}

/// Options that are none are refused: an audit file that is not what was asked for is
/// found out when it is needed.
fn check(stanza: &Stanza<'_>, known: &[Key], notes: &mut Vec<Note>) -> Result<(), ConfigError> {
    let anywhere: Vec<Key> = keys::AUDIT.iter().chain(known).copied().collect();
    stanza.check(&anywhere, notes)?;
    for options in stanza.blocks("options")? {
        options.check(known, notes)?;
    }
    Ok(())
}

/// The same for options that came another way, whose device is not in the config.
///
/// # Errors
/// A sentence for the operator.
pub(crate) fn check_audit_options(kind: &str, options: &BTreeMap<String, String>) -> Result<(), String> {
    let known = keys::audit_options(kind).ok_or_else(|| format!("unknown backend type: {kind:?}"))?;
    for (name, value) in options {
        match known.iter().find(|key| key.name == name).map(|key| key.fate) {
            Some(Fate::Read | Fate::Ignored(_)) => {}
            Some(Fate::Refused(_)) if matches!(value.as_str(), "false" | "") => {}
            Some(Fate::Refused(reason)) => return Err(format!("option {name} is not offered: {reason}")),
            None => {
                let hint = keys::nearest(name, &known).map(|near| format!("; did you mean {near}?"));
                return Err(format!("unknown option {name} of audit {kind:?}{}", hint.unwrap_or_default()));
            }
        }
    }
    Ok(())
}

fn option(stanza: &Stanza<'_>, item: &Item, options: &mut BTreeMap<String, String>) -> Result<(), ConfigError> {
    let text = item.value.scalar();
    let text = text.ok_or_else(|| stanza.error(format!("audit option {} must be a string", item.key)))?;
    options.insert(item.key.clone(), text.to_owned());
    Ok(())
}
