//! `sys/wrapping`: answers behind single-use tokens.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::hidden::{Hidden, HiddenBuffer};
use bulkhead_model::reply::{AuthInfo, Envelope, LeaseInfo, Reply, hidden_json};
use bulkhead_model::request::Verb;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::table::{Handler, HostRoute};
use crate::book::Cubby;
use crate::book::removals::Slice;
use crate::book::tokens::{self, TokenHash, TokenRecord, tree};
use crate::fault::Fault;
use crate::fields::rfc3339;
use crate::mint::{self, WrapAsk};
use crate::visit::{Ask, Visit, data, enveloped};

const W: &[Verb] = &[Verb::Write];

/// The name under which a wrapping token's own store has the wrapped answer. Clients of old read it from there.
pub(crate) const CONTENT: &str = "response";

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
    /// Id of the request whose answer it is; empty in what was wrapped before it was kept.
    #[serde(default)]
    request_id: String,
    /// The data stands for bytes: [`StoredBytes`].
    #[serde(default)]
    is_bytes: bool,
    /// Its status, where it is another than 200.
    #[serde(default)]
    status: Option<u16>,
}

/// An answer of bytes, as Vault keeps one.
#[derive(Serialize, Deserialize)]
struct StoredBytes<'a> {
    #[serde(borrow)]
    http_content_type: Cow<'a, str>,
    /// In base64.
    #[serde(borrow)]
    http_raw_body: Cow<'a, str>,
    http_status_code: u16,
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

/// What is kept of an answer of bytes.
pub(crate) fn stored_bytes(request_id: &str, status: u16, content_type: &str, bytes: &[u8]) -> Hidden<Vec<u8>> {
    let body = Hidden::new(STANDARD.encode(bytes));
    let data = hidden_json(&StoredBytes {
        http_content_type: Cow::Borrowed(content_type),
        http_raw_body: Cow::Borrowed(body.expose()),
        http_status_code: status,
    });
    kept(&Envelope { data: Some(data), ..Envelope::default() }, request_id, true)
}

/// What is kept of an envelope.
pub(crate) fn stored(envelope: &Envelope, request_id: &str) -> Hidden<Vec<u8>> {
    kept(envelope, request_id, false)
}

fn kept(envelope: &Envelope, request_id: &str, is_bytes: bool) -> Hidden<Vec<u8>> {
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
        request_id: request_id.to_owned(),
        is_bytes,
        status: envelope.status,
    };
    let mut buffer = HiddenBuffer::with_capacity(1024);
    serde_json::to_writer(&mut buffer, &stored).expect("an envelope is plain data");
    buffer.into_hidden()
}

fn restored(bytes: &[u8]) -> Option<Reply> {
    let stored: Stored<'_> = serde_json::from_slice(bytes).ok()?;
    if stored.is_bytes {
        let data: StoredBytes<'_> = serde_json::from_str(stored.data?.get()).ok()?;
        return Some(Reply::Raw {
            status: data.http_status_code,
            content_type: data.http_content_type.into_owned(),
            bytes: Hidden::new(STANDARD.decode(data.http_raw_body.as_bytes()).ok()?),
            headers: Vec::new(),
        });
    }
    let has_lease = stored.lease_duration > 0 || !stored.lease_id.is_empty();
    Some(enveloped(Envelope {
        status: stored.status,
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
    }))
}

/// A wrapped answer in the form that Vault tells it in.
#[derive(Serialize)]
struct Told<'a> {
    request_id: &'a str,
    lease_id: &'a str,
    renewable: bool,
    lease_duration: u64,
    data: Option<&'a RawValue>,
    wrap_info: (),
    warnings: Option<&'a [String]>,
    auth: Option<ToldAuth<'a>>,
}

#[derive(Serialize)]
struct ToldAuth<'a> {
    client_token: &'a str,
    accessor: &'a str,
    #[serde(flatten)]
    policies: ToldPolicies<'a>,
    metadata: Option<BTreeMap<&'a str, &'a str>>,
    lease_duration: u64,
    renewable: bool,
    entity_id: &'a str,
    token_type: &'a str,
    orphan: bool,
    mfa_requirement: (),
    num_uses: u64,
}

#[derive(Serialize)]
struct ToldPolicies<'a> {
    policies: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    token_policies: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    identity_policies: &'a [String],
}

impl<'a> Told<'a> {
    fn of(stored: &'a Stored<'a>) -> Self {
        Self {
            request_id: &stored.request_id,
            lease_id: &stored.lease_id,
            renewable: stored.renewable,
            lease_duration: stored.lease_duration,
            data: stored.data,
            wrap_info: (),
            warnings: Some(&stored.warnings[..]).filter(|warnings| !warnings.is_empty()),
            auth: stored.auth.as_ref().map(ToldAuth::of),
        }
    }
}

impl<'a> ToldAuth<'a> {
    fn of(auth: &'a StoredAuth<'a>) -> Self {
        let metadata: BTreeMap<_, _> = auth.metadata.iter().map(|(name, value)| (&**name, &**value)).collect();
        Self {
            client_token: &auth.client_token,
            accessor: &auth.accessor,
            policies: ToldPolicies {
                policies: if auth.all_policies.is_empty() { &auth.policies } else { &auth.all_policies },
                token_policies: &auth.policies,
                identity_policies: &auth.identity_policies,
            },
            metadata: Some(metadata).filter(|metadata| !metadata.is_empty()),
            lease_duration: auth.lease_duration,
            renewable: auth.renewable,
            entity_id: &auth.entity_id,
            token_type: if auth.token_type.is_empty() { "service" } else { &auth.token_type },
            orphan: auth.orphan,
            mfa_requirement: (),
            num_uses: auth.num_uses,
        }
    }
}

/// What Vault tells with an answer that is unwrapped in the way of old.
const OLD_WAY: &str = "Reading from 'cubbyhole/response' is deprecated. Please use sys/wrapping/unwrap to unwrap \
                       responses, as it provides additional security checks and other benefits.";

/// What a wrapping token reads from its own store, the way of old to unwrap an answer: the answer as text.
pub(super) fn read_as_of_old(content: &Hidden<Vec<u8>>) -> Result<Reply, Fault> {
    #[derive(Serialize)]
    struct Data<'a> {
        response: &'a str,
    }
    let stored: Stored<'_> = serde_json::from_slice(content.expose()).map_err(|_| not_valid())?;
    let told = hidden_json(&Told::of(&stored));
    let response = std::str::from_utf8(told.expose()).map_err(|_| not_valid())?;
    let data = Some(hidden_json(&Data { response }));
    Ok(enveloped(Envelope { data, warnings: vec![OLD_WAY.to_owned()], ..Envelope::default() }))
}

/// Whether a token stands for a wrapped answer.
pub(super) fn is_wrapping(record: &TokenRecord) -> bool {
    record.policies == ["response-wrapping"]
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
    let named = match ask.fields.all().get("token") {
        None | Some(Value::Null) => None,
        Some(Value::String(token)) => Some(Hidden::new(token.clone())),
        Some(_) => {
            let text = "error validating wrapping token: could not decode token in request body";
            return Err(Failure::new(FailureKind::Denied, text).into());
        }
    };
    if named.as_ref().is_some_and(|token| token.expose().is_empty()) {
        let text = "error validating wrapping token: empty token in request body";
        return Err(Failure::new(FailureKind::Denied, text).into());
    }
    let token = named.or_else(|| ask.request.token.as_ref().map(Hidden::duplicate));
    let Some(token) = token.filter(|t| !t.expose().is_empty()) else {
        let text = "error validating wrapping token: token is empty";
        return Err(Failure::new(FailureKind::Denied, text).into());
    };
    let hash = visit.open.salt.hash(token.expose());
    let found = tokens::get(&mut visit.tx, &hash)?.filter(|r| !r.is_expired(visit.now_ms));
    let record = found.ok_or_else(not_valid)?;
    let home = visit.config.namespaces.with_id(&record.namespace);
    if !is_wrapping(&record) || home.is_none_or(|home| home.record.leaving || home.locked_by.is_some()) {
        return Err(not_valid());
    }
    Ok((hash, record))
}

/// Takes the content out and ends the token, in one change: it opens exactly once.
fn take(visit: &mut Visit, ask: &Ask<'_>) -> Result<(Hidden<Vec<u8>>, TokenRecord), Fault> {
    let (hash, record) = wrapping_token(visit, ask)?;
    let key = Cubby::of(&hash).key(CONTENT).ok_or_else(not_valid)?;
    let content = visit.tx.get(&key)?.ok_or_else(not_valid)?;
    let now_ms = visit.now_ms;
    // Where much is left of it, the scheduler goes on.
    let _ = tree::end(&mut visit.tx, &visit.open.salt, &hash, now_ms, Slice::at_once(false))?;
    Ok((content, record))
}

fn unwrap(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let (hash, _) = wrapping_token(visit, ask)?;
    let is_own = ask.request.token.as_ref().is_some_and(|token| visit.open.salt.hash(token.expose()) == hash);
    if !is_own && !visit.may_update(ask.request)? {
        return Err(Failure::denied().into());
    }
    let (content, _) = take(visit, ask)?;
    restored(content.expose()).ok_or_else(not_valid)
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
    let (_, record) = wrapping_token(visit, ask)?;
    Ok(data(&json!({
        "creation_path": record.path,
        "creation_time": rfc3339(record.created_ms),
        "creation_ttl": record.creation_ttl_secs,
    })))
}
