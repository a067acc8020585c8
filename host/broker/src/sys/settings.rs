//! `sys/config/cors`, `sys/config/auditing/request-headers`, `sys/config/ui/headers`.

use bulkhead_model::cors::Cors;
use bulkhead_model::failure::Failure;
use bulkhead_model::path::lowered;
use bulkhead_model::reply::{Envelope, Reply};
use bulkhead_model::request::Verb;
use serde_json::{Map, Value, json};

use super::table::{Handler, HostRoute};
use crate::book::settings;
use crate::fault::Fault;
use crate::visit::{After, Ask, Visit, data, enveloped, flat, listed, warning};

const R: &[Verb] = &[Verb::Read];
const W: &[Verb] = &[Verb::Write];
const D: &[Verb] = &[Verb::Delete];

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("config/cors", R, Handler::Now(cors), "Read the CORS settings.").sudo(),
    HostRoute::new("config/cors", W, Handler::Now(set_cors), "Allow web pages of other sites.").sudo().fields(&[
        "enable",
        "allowed_origins",
        "allowed_headers",
        "allow_credentials",
    ]),
    HostRoute::new("config/cors", D, Handler::Now(end_cors), "Allow no web pages of other sites.").sudo(),
    HostRoute::new(
        "config/auditing/request-headers",
        R,
        Handler::Now(audited),
        "List request headers in the audit log.",
    )
    .sudo(),
    HostRoute::new("config/auditing/request-headers/{header}", R, Handler::Now(audited_one), "Read how one is shown.")
        .sudo()
        .folded(lowered),
    HostRoute::new("config/auditing/request-headers/{header}", W, Handler::Now(audit), "Show a request header.")
        .sudo()
        .folded(lowered)
        .fields(&["header", "hmac"]),
    HostRoute::new("config/auditing/request-headers/{header}", D, Handler::Now(audit_no_more), "Show it no more.")
        .sudo()
        .folded(lowered),
    HostRoute::new("config/ui/headers", &[Verb::List], Handler::Now(ui), "List extra UI headers.").sudo(),
    HostRoute::new("config/ui/headers/{header}", R, Handler::Now(ui_one), "Read an extra UI header.")
        .sudo()
        .folded(lowered)
        .fields(&["header", "multivalue"]),
    HostRoute::new("config/ui/headers/{header}", W, Handler::Now(set_ui), "Set an extra UI header.")
        .sudo()
        .folded(lowered)
        .fields(&["header", "values"]),
    HostRoute::new("config/ui/headers/{header}", D, Handler::Now(end_ui), "Remove an extra UI header.")
        .sudo()
        .folded(lowered),
];

/// Longest name of a header, in bytes. Source: ours. Why: names are kept together in one
/// record.
const NAME_BYTES_MAX: usize = 256;

/// Most names in a list of headers. Source: ours. Why: as above, and every audit line looks
/// for each.
const NAMES_MAX: usize = 256;

fn cors(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    Ok(flat(&match settings::cors(&mut visit.tx)? {
        None => json!({ "enabled": false }),
        Some(cors) => json!({
            "enabled": true,
            "allowed_origins": cors.origins(),
            "allowed_headers": cors.headers(),
            "allow_credentials": cors.credentials(),
        }),
    }))
}

fn set_cors(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let origins = ask.fields.strings("allowed_origins", true)?.unwrap_or_default();
    let headers = ask.fields.strings("allowed_headers", true)?.unwrap_or_default();
    let credentials = ask.fields.flag("allow_credentials")?.unwrap_or_default();
    let cors = Cors::new(origins, headers, credentials).map_err(|e| Fault::invalid_wrapped(&e.to_string()))?;
    settings::save_cors(&mut visit.tx, Some(&cors))?;
    visit.after.push(After::Refresh);
    Ok(Reply::Empty)
}

fn end_cors(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    settings::save_cors(&mut visit.tx, None)?;
    visit.after.push(After::Refresh);
    Ok(Reply::Empty)
}

/// Refuses what would make a list of headers grow without bound.
fn bounded(name: &str, known: usize) -> Result<(), Fault> {
    if name.len() > NAME_BYTES_MAX {
        return Err(Fault::invalid(format!("the header's name is longer than {NAME_BYTES_MAX} bytes")));
    }
    if known >= NAMES_MAX {
        return Err(Fault::invalid(format!("there are {NAMES_MAX} headers already: remove one first")));
    }
    Ok(())
}

fn audited(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    let headers = settings::audited_headers(&mut visit.tx)?;
    let shown: Map<_, _> = headers.into_iter().map(|(name, hmac)| (name, json!({ "hmac": hmac }))).collect();
    Ok(flat(&json!({ "headers": shown })))
}

fn audited_one(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let name = ask.capture("header");
    let headers = settings::audited_headers(&mut visit.tx)?;
    let hmac = headers.get(&lowered(name)).ok_or_else(|| Fault::invalid("Could not find header in config"))?;
    let mut shown = Map::new();
    shown.insert(name.to_owned(), json!({ "hmac": hmac }));
    Ok(flat(&Value::Object(shown)))
}

fn audit(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let mut headers = settings::audited_headers(&mut visit.tx)?;
    let name = lowered(ask.capture("header"));
    bounded(&name, headers.len() - usize::from(headers.contains_key(&name)))?;
    headers.insert(name, ask.fields.flag("hmac")?.unwrap_or_default());
    settings::save_audited_headers(&mut visit.tx, &headers)?;
    visit.after.push(After::Refresh);
    Ok(Reply::Empty)
}

fn audit_no_more(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let mut headers = settings::audited_headers(&mut visit.tx)?;
    if headers.remove(&lowered(ask.capture("header"))).is_some() {
        settings::save_audited_headers(&mut visit.tx, &headers)?;
        visit.after.push(After::Refresh);
    }
    Ok(Reply::Empty)
}

/// A header's name as Go writes it: `X-Frame-Options`. Names are ASCII; a letter that only
/// becomes one in capitals would make two names one behind the policies' back.
fn canonical(name: &str) -> String {
    let word = |word: &str| {
        let (first, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
        first.to_ascii_uppercase() + &lowered(rest)
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}

fn ui(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    listed(settings::ui_headers(&mut visit.tx)?.into_keys().collect())
}

fn ui_one(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let headers = settings::ui_headers(&mut visit.tx)?;
    let values = headers.get(&canonical(ask.capture("header"))).ok_or_else(|| Fault::from(Failure::absent()))?;
    let all = ask.fields.flag("multivalue")?.unwrap_or_default();
    Ok(data(&if all { json!({ "values": values }) } else { json!({ "value": values.first() }) }))
}

fn set_ui(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let name = canonical(ask.capture("header"));
    let values = ask.fields.strings("values", false)?.unwrap_or_default();
    if values.is_empty() {
        return Err(Fault::invalid("header and values must be specified"));
    }
    if name.starts_with("X-Vault-") {
        return Err(Fault::invalid("X-Vault headers cannot be set"));
    }
    let mut headers = settings::ui_headers(&mut visit.tx)?;
    bounded(&name, headers.len() - usize::from(headers.contains_key(&name)))?;
    let weaker = name == "Content-Security-Policy";
    headers.insert(name, values);
    settings::save_ui_headers(&mut visit.tx, &headers)?;
    Ok(if weaker {
        warning("overriding default Content-Security-Policy which is secure by default, proceed with caution")
    } else {
        enveloped(Envelope::default())
    })
}

fn end_ui(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let mut headers = settings::ui_headers(&mut visit.tx)?;
    if headers.remove(&canonical(ask.capture("header"))).is_some() {
        settings::save_ui_headers(&mut visit.tx, &headers)?;
    }
    Ok(Reply::Empty)
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn names_of_headers_are_written_as_go_does() {
        for (name, expected) in
            [("x-frame-options", "X-Frame-Options"), ("X-A", "X-A"), ("ETAG", "Etag"), ("a--b", "A--B")]
        {
            assert_eq!(canonical(name), expected);
        }
    }
}
