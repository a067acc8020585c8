//! What a `listener "tcp"` believes of proxies in front of it: `proxy_protocol_*` and
//! `x_forwarded_for_*`.

use bulkhead_api::{Forwarded, Proxies};
use bulkhead_model::cidr::Network;

use super::super::error::ConfigError;
use super::super::stanza::{Note, Stanza};

const AUTHORIZED: &str = "proxy_protocol_authorized_addrs";
const BEHAVIOR: &str = "proxy_protocol_behavior";
const FORWARDED: &str = "x_forwarded_for_authorized_addrs";

/// The keys that say what else becomes of the header, which is read only where somebody is
/// believed.
const OF_FORWARDED: [&str; 3] =
    ["x_forwarded_for_hop_skips", "x_forwarded_for_reject_not_authorized", "x_forwarded_for_reject_not_present"];

/// Most addresses that are passed over. Source: ours. Why: no request comes through more proxies.
const HOP_SKIPS_MAX: u64 = 64;

/// Who may send PROXY headers; `None`: nobody, and none are looked for.
pub(super) fn headers(stanza: &Stanza<'_>, notes: &mut Vec<Note>) -> Result<Option<Proxies>, ConfigError> {
    let networks = stanza.networks(AUTHORIZED)?;
    let behavior = stanza.string(BEHAVIOR)?.unwrap_or_default();
    match (behavior.as_str(), networks.is_empty()) {
        ("", true) => Ok(None),
        ("", false) => {
            Err(stanza.wrong(AUTHORIZED, "needs proxy_protocol_behavior: \"deny_unauthorized\", for example"))
        }
        ("use_always", _) => {
            let reason = "whoever connects may speak for others, as proxy_protocol_behavior has it";
            notes.extend((!networks.is_empty()).then(|| stanza.note(AUTHORIZED, reason)));
            Ok(Some(Proxies::UseAlways))
        }
        ("allow_authorized" | "deny_unauthorized", true) => {
            Err(stanza.wrong(BEHAVIOR, "needs proxy_protocol_authorized_addrs: the proxies' networks"))
        }
        ("allow_authorized", false) => Ok(Some(Proxies::AllowAuthorized(networks))),
        ("deny_unauthorized", false) => Ok(Some(Proxies::DenyUnauthorized(networks))),
        _ => Err(stanza.wrong(BEHAVIOR, "is not one of use_always, allow_authorized, deny_unauthorized")),
    }
}

/// Who may say in `X-Forwarded-For` for whom it asks; `None`: nobody, and it is not read.
pub(super) fn forwarded(stanza: &Stanza<'_>, notes: &mut Vec<Note>) -> Result<Option<Forwarded>, ConfigError> {
    let authorized: Vec<Network> = stanza.networks(FORWARDED)?;
    if authorized.is_empty() {
        let reason = "the header is read only with x_forwarded_for_authorized_addrs";
        let given = OF_FORWARDED.iter().filter(|key| stanza.items().any(|item| item.key == **key));
        notes.extend(given.map(|key| stanza.note(key, reason)));
        return Ok(None);
    }
    let [skips, not_authorized, not_present] = OF_FORWARDED;
    let hop_skips = stanza.number(skips)?.unwrap_or(0);
    let hop_skips = usize::try_from(hop_skips).ok().filter(|_| hop_skips <= HOP_SKIPS_MAX);
    Ok(Some(Forwarded {
        authorized,
        hop_skips: hop_skips.ok_or_else(|| stanza.wrong(skips, "must be between 0 and 64"))?,
        reject_not_present: stanza.flag(not_present)?,
        reject_not_authorized: stanza.flag(not_authorized)?,
    }))
}
