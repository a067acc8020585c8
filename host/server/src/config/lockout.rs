//! `user_lockout`: how many wrong logins lock an alias of an auth method, and for how long.

use bulkhead_model::lockout::{LockoutRule, LockoutRules, NAMED_METHODS};

use super::environment::Environment;
use super::error::ConfigError;
use super::keys;
use super::stanza::{Note, Stanza};

/// The label of the block for all methods.
const ALL: &str = "all";

/// Reads the stanzas. What one for a method leaves out is as the one for all has it.
pub(super) fn read(
    top: &Stanza<'_>,
    environment: &Environment,
    notes: &mut Vec<Note>,
) -> Result<LockoutRules, ConfigError> {
    let mut stanzas = Vec::new();
    for stanza in top.blocks("user_lockout")? {
        stanza.check(keys::USER_LOCKOUT, notes)?;
        stanzas.push((method(&stanza)?, stanza));
    }
    let mut rules = LockoutRules { is_disabled: environment.disable_user_lockout, ..LockoutRules::default() };
    for (_, stanza) in stanzas.iter().filter(|(method, _)| method == ALL) {
        rules.all = rule(stanza, rules.all)?;
    }
    for (method, stanza) in stanzas.iter().filter(|(method, _)| method != ALL) {
        let before = rules.by_method.get(method).copied().unwrap_or(rules.all);
        rules.by_method.insert(method.clone(), rule(stanza, before)?);
    }
    Ok(rules)
}

fn method(stanza: &Stanza<'_>) -> Result<String, ConfigError> {
    let Some(method) = stanza.label().map(str::to_ascii_lowercase) else {
        return Err(stanza.error("user_lockout needs the type of an auth method, or \"all\""));
    };
    if method != ALL && !NAMED_METHODS.contains(&method.as_str()) {
        let text = format!("user_lockout is for \"all\", \"approle\", \"ldap\" or \"userpass\", not for {method:?}");
        return Err(stanza.error(text));
    }
    Ok(method)
}

fn rule(stanza: &Stanza<'_>, base: LockoutRule) -> Result<LockoutRule, ConfigError> {
    Ok(LockoutRule {
        threshold: stanza.number("lockout_threshold")?.unwrap_or(base.threshold),
        duration_secs: stanza.secs("lockout_duration")?.unwrap_or(base.duration_secs),
        counter_reset_secs: stanza.secs("lockout_counter_reset")?.unwrap_or(base.counter_reset_secs),
        is_disabled: match stanza.string("disable_lockout")? {
            Some(_) => stanza.flag("disable_lockout")?,
            None => base.is_disabled,
        },
    })
}
