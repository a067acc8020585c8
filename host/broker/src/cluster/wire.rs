//! What members say to each other above the ledger, as bytes: requests and answers in the
//! form the model has them, so that whoever took a request encodes its answer itself.

use std::net::{IpAddr, Ipv4Addr};

use bulkhead_model::answer::{Answer, Headers};
use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::hidden::Hidden;
use bulkhead_model::path::ApiPath;
use bulkhead_model::reply::{AuthInfo, Envelope, LeaseInfo, MfaRequirement, Reply, WrapInfo};
use bulkhead_model::request::{Body, OpenCeremonies, Origin, Request, Verb};
use serde::{Deserialize, Serialize};

use crate::book::kept::Kept;
use crate::sys::open_ceremonies;

/// What is asked of the leader.
#[derive(Serialize, Deserialize)]
pub(super) enum Question {
    /// To serve a request, within so many milliseconds.
    Serve(Box<Asked>, u64),
    /// To make a certificate for the key that signed this request.
    Certify(Vec<u8>),
    /// To take one step of restoring a snapshot.
    Restore { bytes: Vec<u8>, is_last: bool, forced: bool },
    /// Nothing: the member says where it is.
    Here { hostname: String, id: String, address: String },
    /// To serve a request without a token that the member let through, as its listener has it. Of its own: a
    /// leader of another version would not ask, or could not read it.
    LetThrough(Box<Asked>, u64),
}

/// The question that brings a request to the leader.
pub(super) fn question(request: &Request, within_ms: u64) -> Question {
    let asked = Box::new(Asked::of(request));
    let is_let_through = request.path.as_str().strip_prefix("sys/").is_some_and(open_ceremonies::is_one);
    if is_let_through { Question::LetThrough(asked, within_ms) } else { Question::Serve(asked, within_ms) }
}

/// What it answers.
#[derive(Serialize, Deserialize)]
pub(super) enum Told {
    Served(Box<Given>),
    /// It does not lead any more, and nothing was done.
    NotServed,
    Certified {
        certificate: Vec<u8>,
        authorities: Vec<Vec<u8>>,
    },
    Noted,
    Refused(String),
}

/// Header lines that a node sends of itself. New ones come last: nodes of another version skip
/// what they do not know.
const HEADERS: [&str; 6] = [
    "retry-after",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-vault-index",
    "x-vault-inline-auth-failed",
];

const VERBS: [Verb; 7] = [Verb::Read, Verb::Write, Verb::Patch, Verb::Delete, Verb::List, Verb::Scan, Verb::Head];

const KINDS: [FailureKind; 13] = [
    FailureKind::Invalid,
    FailureKind::Denied,
    FailureKind::NotFound,
    FailureKind::Unsupported,
    FailureKind::Precondition,
    FailureKind::TooLarge,
    FailureKind::MediaType,
    FailureKind::Limited,
    FailureKind::HeaderTooLarge,
    FailureKind::Internal,
    FailureKind::Upstream,
    FailureKind::Unavailable,
    FailureKind::Timeout,
];

fn place<T: PartialEq>(all: &[T], one: &T) -> u8 {
    all.iter().position(|other| other == one).and_then(|at| u8::try_from(at).ok()).unwrap_or(u8::MAX)
}

/// Where a client without an address comes from.
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// A request.
#[derive(Serialize, Deserialize)]
pub(super) struct Asked {
    id: String,
    verb: u8,
    path: String,
    namespace: String,
    token: Option<Kept>,
    body: AskedBody,
    content_type: String,
    headers: Vec<(String, String)>,
    wrap_ttl_secs: Option<u64>,
    help: bool,
    query: Vec<(String, String)>,
    /// No client has the address [`NOWHERE`]: it stands for none.
    from: (IpAddr, u16, Vec<Vec<u8>>),
}

#[derive(Serialize, Deserialize)]
enum AskedBody {
    Empty,
    Json(Kept),
    Raw(String, Kept),
}

fn kept_text(text: &Hidden<String>) -> Kept {
    Kept::from(Hidden::new(text.expose().as_bytes().to_vec()))
}

fn hidden_text(kept: Kept) -> Option<Hidden<String>> {
    let mut bytes = kept.into_hidden();
    String::from_utf8(std::mem::take(bytes.expose_mut())).ok().map(Hidden::new)
}

impl Asked {
    pub(super) fn of(request: &Request) -> Self {
        let origin = &request.origin;
        Self {
            id: request.id.clone(),
            verb: place(&VERBS, &request.verb),
            path: request.path.as_str().to_owned(),
            namespace: request.namespace.clone(),
            token: request.token.as_ref().map(kept_text),
            body: match &request.body {
                // What is read as it comes is read by the node it came to.
                Body::Empty | Body::Unread(_) => AskedBody::Empty,
                Body::Json(text) => AskedBody::Json(Kept::of(text)),
                Body::Raw { content_type, bytes } => AskedBody::Raw(content_type.clone(), Kept::of(bytes)),
            },
            content_type: request.content_type.clone(),
            headers: request.headers.clone(),
            wrap_ttl_secs: request.wrap_ttl_secs,
            help: request.help,
            query: request.query.clone(),
            from: (origin.address.unwrap_or(NOWHERE), origin.port, origin.certificates.clone()),
        }
    }

    /// The request; `None` if it is none that a node would take from a client.
    pub(super) fn into_request(self) -> Option<Request> {
        let (address, port, certificates) = self.from;
        let address = Some(address).filter(|address| *address != NOWHERE);
        Some(Request {
            id: self.id,
            verb: *VERBS.get(usize::from(self.verb))?,
            path: ApiPath::checked(self.path).ok()?,
            namespace: self.namespace,
            token: match self.token {
                Some(token) => Some(hidden_text(token)?),
                None => None,
            },
            body: match self.body {
                AskedBody::Empty => Body::Empty,
                AskedBody::Json(text) => Body::Json(text.into_hidden()),
                AskedBody::Raw(content_type, bytes) => Body::Raw { content_type, bytes: bytes.into_hidden() },
            },
            content_type: self.content_type,
            headers: self.headers,
            wrap_ttl_secs: self.wrap_ttl_secs,
            help: self.help,
            query: self.query,
            origin: Origin {
                address,
                port,
                certificates,
                open_metrics: false,
                open_ceremonies: OpenCeremonies::default(),
            },
        })
    }
}

/// An answer.
#[derive(Serialize, Deserialize)]
pub(super) struct Given {
    reply: GivenReply,
    headers: Vec<(u8, String)>,
}

#[derive(Serialize, Deserialize)]
enum GivenReply {
    Envelope(Box<GivenEnvelope>),
    Bare(u16, Kept),
    Raw(u16, String, Kept, Vec<(String, String)>),
    Empty,
    Failed(u8, Vec<String>),
    /// An envelope of a login that has to prove more. Of its own, so that a node of another version
    /// reads all others.
    Requires(Box<GivenEnvelope>, MfaRequirement),
}

#[derive(Serialize, Deserialize)]
struct GivenEnvelope {
    request_id: String,
    lease: Option<(String, bool, u64)>,
    data: Option<Kept>,
    warnings: Vec<String>,
    auth: Option<GivenAuth>,
    wrap: Option<GivenWrap>,
    flatten: bool,
    status: Option<u16>,
    errors: Vec<String>,
    mount_type: String,
    headers: Vec<(String, String)>,
}

#[derive(Serialize, Deserialize)]
struct GivenAuth {
    client_token: Kept,
    /// Accessor, display name, entity's id, type of the token.
    texts: [String; 4],
    policies: [Vec<String>; 3],
    metadata: Vec<(String, String)>,
    lease_duration_secs: u64,
    renewable: bool,
    orphan: bool,
    num_uses: u64,
}

#[derive(Serialize, Deserialize)]
struct GivenWrap {
    token: Kept,
    accessor: String,
    ttl_secs: u64,
    creation_time: String,
    creation_path: String,
    wrapped_accessor: Option<String>,
}

impl From<AuthInfo> for GivenAuth {
    fn from(auth: AuthInfo) -> Self {
        Self {
            client_token: kept_text(&auth.client_token),
            texts: [auth.accessor, auth.display_name, auth.entity_id, auth.token_type],
            policies: [auth.policies, auth.token_policies, auth.identity_policies],
            metadata: auth.metadata,
            lease_duration_secs: auth.lease_duration_secs,
            renewable: auth.renewable,
            orphan: auth.orphan,
            num_uses: auth.num_uses,
        }
    }
}

impl GivenAuth {
    fn into_auth(self) -> Option<AuthInfo> {
        let [accessor, display_name, entity_id, token_type] = self.texts;
        let [policies, token_policies, identity_policies] = self.policies;
        Some(AuthInfo {
            client_token: hidden_text(self.client_token)?,
            accessor,
            display_name,
            policies,
            token_policies,
            identity_policies,
            metadata: self.metadata,
            lease_duration_secs: self.lease_duration_secs,
            renewable: self.renewable,
            entity_id,
            token_type,
            orphan: self.orphan,
            num_uses: self.num_uses,
        })
    }
}

impl From<WrapInfo> for GivenWrap {
    fn from(wrap: WrapInfo) -> Self {
        Self {
            token: kept_text(&wrap.token),
            accessor: wrap.accessor,
            ttl_secs: wrap.ttl_secs,
            creation_time: wrap.creation_time,
            creation_path: wrap.creation_path,
            wrapped_accessor: wrap.wrapped_accessor,
        }
    }
}

impl GivenWrap {
    fn into_wrap(self) -> Option<WrapInfo> {
        Some(WrapInfo {
            token: hidden_text(self.token)?,
            accessor: self.accessor,
            ttl_secs: self.ttl_secs,
            creation_time: self.creation_time,
            creation_path: self.creation_path,
            wrapped_accessor: self.wrapped_accessor,
        })
    }
}

impl From<Envelope> for GivenEnvelope {
    fn from(envelope: Envelope) -> Self {
        Self {
            request_id: envelope.request_id,
            lease: envelope.lease.map(|lease| (lease.id, lease.renewable, lease.duration_secs)),
            data: envelope.data.map(Kept::from),
            warnings: envelope.warnings,
            auth: envelope.auth.map(GivenAuth::from),
            wrap: envelope.wrap.map(GivenWrap::from),
            flatten: envelope.flatten,
            status: envelope.status,
            errors: envelope.errors,
            mount_type: envelope.mount_type,
            headers: envelope.headers,
        }
    }
}

impl GivenEnvelope {
    fn into_envelope(self) -> Option<Envelope> {
        let auth = match self.auth {
            Some(auth) => Some(auth.into_auth()?),
            None => None,
        };
        let wrap = match self.wrap {
            Some(wrap) => Some(wrap.into_wrap()?),
            None => None,
        };
        Some(Envelope {
            request_id: self.request_id,
            lease: self.lease.map(|(id, renewable, duration_secs)| LeaseInfo { id, renewable, duration_secs }),
            data: self.data.map(Kept::into_hidden),
            warnings: self.warnings,
            auth,
            mfa: None,
            wrap,
            flatten: self.flatten,
            status: self.status,
            errors: self.errors,
            mount_type: self.mount_type,
            headers: self.headers,
        })
    }
}

impl From<Answer> for Given {
    fn from(answer: Answer) -> Self {
        let reply = match answer.reply {
            Reply::Envelope(mut envelope) => match envelope.mfa.take() {
                None => GivenReply::Envelope(Box::new((*envelope).into())),
                Some(requirement) => GivenReply::Requires(Box::new((*envelope).into()), requirement),
            },
            Reply::Bare { status, json } => GivenReply::Bare(status, json.into()),
            Reply::Raw { status, content_type, bytes, headers } => {
                GivenReply::Raw(status, content_type, bytes.into(), headers)
            }
            Reply::Empty => GivenReply::Empty,
            Reply::Stream { .. } => {
                let text = "the answer is too large to be passed on: ask the leader itself".to_owned();
                GivenReply::Failed(place(&KINDS, &FailureKind::Unavailable), vec![text])
            }
            Reply::Failed(failure) => GivenReply::Failed(place(&KINDS, &failure.kind), failure.errors),
        };
        let headers = answer.headers.into_iter().map(|(name, value)| (place(&HEADERS, &name), value)).collect();
        Self { reply, headers }
    }
}

impl Given {
    /// The answer; `None` if it is none.
    pub(super) fn into_answer(self) -> Option<Answer> {
        let reply = match self.reply {
            GivenReply::Envelope(envelope) => Reply::Envelope(Box::new(envelope.into_envelope()?)),
            GivenReply::Requires(envelope, requirement) => {
                Reply::Envelope(Box::new(Envelope { mfa: Some(requirement), ..envelope.into_envelope()? }))
            }
            GivenReply::Bare(status, json) => Reply::Bare { status, json: json.into_hidden() },
            GivenReply::Raw(status, content_type, bytes, headers) => {
                Reply::Raw { status, content_type, bytes: bytes.into_hidden(), headers }
            }
            GivenReply::Empty => Reply::Empty,
            GivenReply::Failed(kind, errors) => Reply::Failed(Failure { kind: *KINDS.get(usize::from(kind))?, errors }),
        };
        let named = |(at, value): (u8, String)| Some((*HEADERS.get(usize::from(at))?, value));
        let headers: Headers = self.headers.into_iter().filter_map(named).collect();
        Some(Answer { reply, headers })
    }
}

/// Encodes a question or an answer.
pub(super) fn encode(message: &impl Serialize) -> Hidden<Vec<u8>> {
    crate::book::kept::encoded(&[], message)
}

/// Decodes one; `None` if it is none.
pub(super) fn decode<T: serde::de::DeserializeOwned>(bytes: &Hidden<Vec<u8>>) -> Option<T> {
    postcard::from_bytes(bytes.expose()).ok()
}

#[cfg(test)]
mod tests;
