//! One attempt at a request: its transaction, who asks, and what is to be done once
//! the commit has gone through.

use std::sync::Arc;

use bulkhead_barrier::{SpaceId, Transaction};
use bulkhead_model::acl::Acl;
use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::reply::{Envelope, Reply, hidden_json};
use bulkhead_model::request::Request;
use serde::Serialize;
use serde_json::Value;

use crate::book::config::Config;
use crate::book::identity::persona::Persona;
use crate::book::mounts::Mount;
use crate::book::namespaces::Namespace;
use crate::book::tokens::{TokenHash, TokenRecord};
use crate::fault::{Fault, wrapped};
use crate::fields::Fields;
use crate::figures::MadeToken;
use crate::open::Open;
use crate::tally::Seat;
use crate::underway::Held;

/// Somebody with a valid token.
pub(crate) struct Who {
    pub hash: TokenHash,
    pub record: TokenRecord,
    /// That of the token: the request's, or one above.
    pub namespace: Arc<Namespace>,
    pub acl: Arc<Acl>,
    /// The entity behind the token, with its groups.
    pub persona: Option<Arc<Persona>>,
    /// The request takes one of the uses that the token has.
    pub is_counted: bool,
    /// The request has logged in for itself alone: there is no such token.
    pub brought: bool,
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
    /// A login waits for its second factor.
    LoginWaits,
    /// A token was made.
    Count(MadeToken),
}

/// One attempt at a request.
pub(crate) struct Visit {
    pub open: Arc<Open>,
    pub config: Arc<Config>,
    /// The one it is in; the transaction is in its realm.
    pub namespace: Arc<Namespace>,
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
    /// Seats for leases, of the quotas that are for them.
    pub seats: Vec<Seat>,
    /// What is held until the commit.
    pub held: Held,
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

/// The name that a new thing of a path gets, of those whose names Vault holds to words with dashes and dots
/// inside. For others it has no path.
///
/// # Errors
/// 404: it is no such name.
pub(crate) fn plain_name<'a>(ask: &'a Ask<'_>, capture: &str) -> Result<&'a str, Fault> {
    let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let name = ask.capture(capture);
    if name.starts_with(word) && name.ends_with(word) && name.chars().all(|c| word(c) || matches!(c, '-' | '.')) {
        return Ok(name);
    }
    Err(Failure::new(FailureKind::NotFound, wrapped("unsupported path")).into())
}

impl Visit {
    /// The caller; a route that needs none must not ask.
    pub(crate) fn who(&self) -> Result<&Who, Fault> {
        self.who.as_ref().ok_or(Fault::Answer(Failure::bad_token()))
    }

    /// Whether the caller may do what needs root or sudo on the path asked for.
    ///
    /// # Errors
    /// 403 without a caller.
    pub(crate) fn has_sudo(&self, request: &Request) -> Result<bool, Fault> {
        self.has(request, "sudo")
    }

    /// Whether the caller's policies let it write to the path asked for, where nobody needs any for it.
    ///
    /// # Errors
    /// 403 without a caller.
    pub(crate) fn may_update(&self, request: &Request) -> Result<bool, Fault> {
        self.has(request, "update")
    }

    fn has(&self, request: &Request, capability: &str) -> Result<bool, Fault> {
        let acl = &self.who()?.acl;
        let path = self.namespace.full(request.path.as_str());
        Ok(acl.is_root() || acl.capabilities(&path, &[]).contains(&capability))
    }

    /// Goes on in the namespace of a token, as what is done with one is done where it is.
    ///
    /// # Errors
    /// 403: there is no such namespace any more.
    pub(crate) fn enter_home(&mut self, record: &TokenRecord) -> Result<(), Fault> {
        let home = self.config.namespaces.with_id(&record.namespace).cloned().ok_or_else(Failure::bad_token)?;
        self.enter(&home);
        Ok(())
    }

    /// The entity behind a token, of the token's namespace.
    ///
    /// # Errors
    /// [`Fault`] from the store.
    pub(crate) fn persona_of(&mut self, record: &TokenRecord) -> Result<Option<Arc<Persona>>, Fault> {
        let config = self.config.clone();
        let Some(home) = config.namespaces.with_id(&record.namespace) else { return Ok(None) };
        Ok(self.tx.within(home.realm(), |tx| config.persona(tx, &record.entity_id))?)
    }

    /// A transaction of its own, over the books of the same namespace.
    ///
    /// # Errors
    /// [`Fault`] from the store.
    pub(crate) fn begin(&self) -> Result<Transaction, Fault> {
        self.open.begin_in(&self.namespace)
    }

    /// Commits what the visit did so far, and goes on with a transaction that has read nothing yet.
    ///
    /// # Errors
    /// [`Fault::Conflict`]: nothing was done. Others from the store and the ledger.
    pub(crate) async fn commit_so_far(&mut self) -> Result<(), Fault> {
        let next = self.begin()?;
        let first = std::mem::replace(&mut self.tx, next);
        self.open.commit(first).await
    }

    /// Goes on in another namespace.
    pub(crate) fn enter(&mut self, namespace: &Arc<Namespace>) {
        self.tx.enter(namespace.realm());
        self.namespace = namespace.clone();
    }

    /// The mount at this path in the visit's namespace.
    pub(crate) fn mount_at(&self, path: &str) -> Option<&Arc<Mount>> {
        self.config.mounts.at(&self.namespace.full(path)).filter(|mount| self.is_here(mount))
    }

    /// What is in the way of a new mount at this path in the visit's namespace, or of one that is
    /// moved there, be it that one itself: a mount above or below it, or a namespace.
    pub(crate) fn taken_at(&self, path: &str) -> Option<String> {
        let (at, _) = self.config.namespaces.locate(&self.namespace, path);
        let namespace = (at.path() != self.namespace.path()).then_some(at.path());
        let taken = namespace.or_else(|| self.config.mounts.collision(&self.namespace.full(path)))?;
        Some(taken.strip_prefix(self.namespace.path()).unwrap_or(taken).to_owned())
    }

    /// Whether a mount is in the visit's namespace.
    pub(crate) fn is_here(&self, mount: &Mount) -> bool {
        mount.entry.namespace == self.namespace.record.id
    }

    /// The mount with this accessor, if it is in the visit's namespace.
    pub(crate) fn mount_with(&self, accessor: &str) -> Option<&Arc<Mount>> {
        self.config.mounts.with_accessor(accessor).filter(|mount| self.is_here(mount))
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
