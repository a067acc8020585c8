//! `sys/wrapping`: answers behind single-use tokens.

use std::borrow::Cow;

use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::hidden::{Hidden, HiddenBuffer};
use bulkhead_model::reply::{AuthInfo, Envelope, LeaseInfo, Reply};
use bulkhead_model::request::Verb;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::table::{Handler, HostRoute};
use crate::book::Cubby;
use crate::book::removals::Slice;
use crate::book::tokens::{self, TokenHash, TokenRecord, tree};
use crate::fault::Fault;
use crate::fields::rfc3339;
use crate::mint::{self, WrapAsk};
use crate::visit::{Ask, Visit, data, enveloped};

const W: &[Verb] = &[Verb::Write];

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("wrapping/wrap", W, Handler::Now(wrap), "Wrap a JSON object.").any_fields(),
    HostRoute::new("wrapping/unwrap", W, Handler::Now(unwrap), "Open what was wrapped, once.")
        .unauthenticated()
        .fields(&["token"]),
    HostRoute::new("wrapping/rewrap", W, Handler::Now(rewrap), "Wrap again, under a new token.").fields(&["token"]),
    HostRoute::new("wrapping/lookup", &[Verb::Write, Verb::Read], Handler::Now(lookup), "Tell about a wrapping token.")
        .unauthenticated()
        .fields(&["token"]),
];

/// A wrapped answer as it is kept: the envelope's parts that matter later. Its data is
/// borrowed, so that there is no further copy to wipe.
#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    auth: Option<StoredAuth<'a>>,
    lease_id: String,
    renewable: bool,
    lease_duration: u64,
    warnings: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredAuth<'a> {
    #[serde(borrow)]
    client_token: Cow<'a, str>,
    accessor: String,
    #[serde(default)]
    display_name: String,
    policies: Vec<String>,
    metadata: Vec<(String, String)>,
    lease_duration: u64,
    renewable: bool,
    entity_id: String,
    orphan: bool,
    num_uses: u64,
    /// All in effect; as those on the token in what was wrapped before entities were.
    #[serde(default)]
    all_policies: Vec<String>,
    #[serde(default)]
    identity_policies: Vec<String>,
    #[serde(default)]
    token_type: String,
}

/// What is kept of an envelope.
pub(crate) fn stored(envelope: &Envelope) -> Hidden<Vec<u8>> {
    let lease = envelope.lease.as_ref();
    let stored = Stored {
        data: envelope.data.as_ref().and_then(|d| serde_json::from_slice(d.expose()).ok()),
        auth: envelope.auth.as_ref().map(|auth| StoredAuth {
            client_token: Cow::Borrowed(auth.client_token.expose()),
            accessor: auth.accessor.clone(),
            display_name: auth.display_name.clone(),
            policies: auth.token_policies.clone(),
            metadata: auth.metadata.clone(),
            lease_duration: auth.lease_duration_secs,
            renewable: auth.renewable,
            entity_id: auth.entity_id.clone(),
            orphan: auth.orphan,
            num_uses: auth.num_uses,
            all_policies: auth.policies.clone(),
            identity_policies: auth.identity_policies.clone(),
            token_type: auth.token_type.clone(),
        }),
        lease_id: lease.map(|l| l.id.clone()).unwrap_or_default(),
        renewable: lease.is_some_and(|l| l.renewable),
        lease_duration: lease.map_or(0, |l| l.duration_secs),
        warnings: envelope.warnings.clone(),
    };
    let mut buffer = HiddenBuffer::with_capacity(1024);
    serde_json::to_writer(&mut buffer, &stored).expect("an envelope is plain data");
    buffer.into_hidden()
}

fn restored(bytes: &[u8]) -> Option<Envelope> {
    let stored: Stored<'_> = serde_json::from_slice(bytes).ok()?;
    let has_lease = stored.lease_duration > 0 || !stored.lease_id.is_empty();
    Some(Envelope {
        lease: has_lease.then_some(LeaseInfo {
            id: stored.lease_id,
            renewable: stored.renewable,
            duration_secs: stored.lease_duration,
        }),
        data: stored.data.map(|json| Hidden::new(json.get().as_bytes().to_vec())),
        auth: stored.auth.map(|auth| AuthInfo {
            client_token: Hidden::new(auth.client_token.into_owned()),
            accessor: auth.accessor,
            display_name: auth.display_name,
            policies: if auth.all_policies.is_empty() { auth.policies.clone() } else { auth.all_policies },
            token_policies: auth.policies,
            identity_policies: auth.identity_policies,
            metadata: auth.metadata,
            lease_duration_secs: auth.lease_duration,
            renewable: auth.renewable,
            entity_id: auth.entity_id,
            token_type: if auth.token_type.is_empty() { "service".into() } else { auth.token_type },
            orphan: auth.orphan,
            num_uses: auth.num_uses,
        }),
        warnings: stored.warnings,
        ..Envelope::default()
    })
}

fn wrap(_visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    if ask.request.wrap_ttl_secs.is_none_or(|secs| secs == 0) {
        return Err(Fault::invalid("endpoint requires response wrapping to be used"));
    }
    // The step that wraps answers does the rest.
    Ok(data(ask.fields.all()))
}

fn not_valid() -> Fault {
    Fault::invalid("wrapping token is not valid or does not exist")
}

/// The wrapping token meant: in the body, or the one the request came with.
fn wrapping_token(visit: &mut Visit, ask: &Ask<'_>) -> Result<(TokenHash, TokenRecord), Fault> {
    let named = ask.fields.text("token")?.map(Hidden::new);
    let token = named.or_else(|| ask.request.token.as_ref().map(Hidden::duplicate));
    let Some(token) = token.filter(|t| !t.expose().is_empty()) else {
        let text = "error validating wrapping token: token is empty";
        return Err(Failure::new(FailureKind::Denied, text).into());
    };
    let hash = visit.open.salt.hash(token.expose());
    let found = tokens::get(&mut visit.tx, &hash)?.filter(|r| !r.is_expired(visit.now_ms));
    let record = found.ok_or_else(not_valid)?;
    let home = visit.config.namespaces.with_id(&record.namespace);
    if record.policies != ["response-wrapping"]
        || home.is_none_or(|home| home.record.leaving || home.locked_by.is_some())
    {
        return Err(not_valid());
    }
    Ok((hash, record))
}

/// Takes the content out and ends the token, in one change: it opens exactly once.
fn take(visit: &mut Visit, ask: &Ask<'_>) -> Result<(Hidden<Vec<u8>>, TokenRecord), Fault> {
    let (hash, record) = wrapping_token(visit, ask)?;
    let key = Cubby::of(&hash).key("response").ok_or_else(not_valid)?;
    let content = visit.tx.get(&key)?.ok_or_else(not_valid)?;
    let now_ms = visit.now_ms;
    // Where much is left of it, the scheduler goes on.
    let _ = tree::end(&mut visit.tx, &visit.open.salt, &hash, now_ms, Slice::at_once(false))?;
    Ok((content, record))
}

fn unwrap(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let (content, _) = take(visit, ask)?;
    restored(content.expose()).map(enveloped).ok_or_else(not_valid)
}

fn rewrap(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let (content, record) = take(visit, ask)?;
    let asked = WrapAsk {
        ttl_secs: record.creation_ttl_secs,
        creation_path: &record.path,
        display_name: mint::display_name(visit),
        wrapped_accessor: None,
        namespace: record.namespace.clone(),
    };
    mint::wrap_in(visit, asked, &content).map(mint::wrapped)
}

fn lookup(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let (_, record) = wrapping_token(visit, ask).map_err(|_| not_valid())?;
    Ok(data(&json!({
        "creation_path": record.path,
        "creation_time": rfc3339(record.created_ms),
        "creation_ttl": record.creation_ttl_secs,
    })))
}
