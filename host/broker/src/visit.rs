//! One attempt at a request: its transaction, who asks, and what is to be done once
//! the commit has gone through.

use std::sync::Arc;

use bulkhead_barrier::{SpaceId, Transaction};
use bulkhead_model::acl::Acl;
use bulkhead_model::failure::Failure;
use bulkhead_model::reply::{Envelope, Reply, hidden_json};
use bulkhead_model::request::Request;
use serde::Serialize;
use serde_json::Value;

use crate::book::config::Config;
use crate::book::identity::persona::Persona;
use crate::book::tokens::{TokenHash, TokenRecord};
use crate::fault::Fault;
use crate::fields::Fields;
use crate::figures::MadeToken;
use crate::open::Open;

/// Somebody with a valid token.
pub(crate) struct Who {
    pub hash: TokenHash,
    pub record: TokenRecord,
    pub acl: Arc<Acl>,
    /// The entity behind the token, with its groups.
    pub persona: Option<Arc<Persona>>,
}

/// What happens after the commit, and only then.
pub(crate) enum After {
    /// The keyring that was written is used from now on.
    Rotated(bulkhead_barrier::Rotated),
    /// The audit devices are those of the book. One that was opened already is used.
    AuditDevices(Option<Arc<crate::book::audits::Device>>),
    /// The node seals itself, as somebody wants it.
    Seal,
    /// The node seals itself, and opens with the keys of the state that was restored.
    Close,
    /// What is parsed of the books is parsed anew at once: the next request is measured by it.
    Refresh,
    /// What the ceremony of this nonce was for is done.
    CeremonyEnded(String),
    /// What a mount's guests keep in the node's memory is forgotten.
    DropCache(SpaceId),
    /// The autopilot goes by the settings that are stored.
    Autopilot,
    /// Something may be due at once.
    LookForDue,
    /// A token was made.
    Count(MadeToken),
}

/// One attempt at a request.
pub(crate) struct Visit {
    pub open: Arc<Open>,
    pub config: Arc<Config>,
    pub tx: Transaction,
    pub now_ms: u64,
    pub who: Option<Who>,
    pub after: Vec<After>,
    /// Attempts before this one, each of which met a conflict.
    pub attempt: u32,
    /// When long work must have come to an answer; none: there is no hurry.
    pub ends: Option<tokio::time::Instant>,
    /// The outside was touched: no second attempt.
    pub outside: bool,
    /// A guest's advisory locks, held until the commit.
    pub held: Vec<tokio::sync::OwnedMutexGuard<()>>,
}

/// What a handler of the host's own routes is asked.
pub(crate) struct Ask<'a> {
    pub request: &'a Request,
    pub captures: Vec<(&'static str, String)>,
    pub fields: Fields,
}

impl Ask<'_> {
    /// What the route captured under this name.
    pub(crate) fn capture(&self, name: &str) -> &str {
        self.captures.iter().find(|(n, _)| *n == name).map_or("", |(_, v)| v.as_str())
    }
}

impl Visit {
    /// The caller; a route that needs none must not ask.
    pub(crate) fn who(&self) -> Result<&Who, Fault> {
        self.who.as_ref().ok_or(Fault::Answer(Failure::bad_token()))
    }

    /// Random text of the kind tokens and lease ids are made of.
    pub(crate) fn random_text(&self, len: usize) -> String {
        bulkhead_model::seam::entropy::base62(&*self.open.parts.entropy, len)
    }

    /// A random UUID.
    pub(crate) fn uuid(&self) -> String {
        bulkhead_model::seam::entropy::uuid(&*self.open.parts.entropy)
    }
}

/// An envelope around `data`.
pub(crate) fn data(value: &impl Serialize) -> Reply {
    enveloped(Envelope { data: Some(hidden_json(value)), ..Envelope::default() })
}

/// An envelope around `data`, whose members stand at the top level too.
pub(crate) fn flat(value: &Value) -> Reply {
    enveloped(Envelope { data: Some(hidden_json(value)), flatten: true, ..Envelope::default() })
}

/// An envelope with nothing but warnings.
pub(crate) fn warning(text: impl Into<String>) -> Reply {
    enveloped(Envelope { warnings: vec![text.into()], ..Envelope::default() })
}

/// What Vault answers when it starts to look for remains. Here there never are any.
pub(crate) fn nothing_to_tidy() -> Reply {
    let text = "Tidy operation successfully started. Any information from the operation will be printed to \
                Bulkhead's server logs.";
    enveloped(Envelope { status: Some(202), warnings: vec![text.into()], ..Envelope::default() })
}

/// A reply from an envelope.
pub(crate) fn enveloped(envelope: Envelope) -> Reply {
    Reply::Envelope(Box::new(envelope))
}

/// JSON without an envelope.
pub(crate) fn bare(status: u16, value: &Value) -> Reply {
    Reply::Bare { status, json: hidden_json(value) }
}

/// What Vault answers to LIST: the names, or 404 if there are none.
pub(crate) fn listed(keys: Vec<String>) -> Result<Reply, Fault> {
    if keys.is_empty() { Err(Failure::absent().into()) } else { Ok(data(&serde_json::json!({ "keys": keys }))) }
}
