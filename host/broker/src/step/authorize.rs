//! Asks the policies. Holding an [`Authorized`] is the proof that they said yes.

use std::sync::Arc;

use bulkhead_barrier::Key;
use bulkhead_model::acl::{Ask, Decision, DenyingRule};
use bulkhead_model::failure::Failure;
use bulkhead_model::plugin::{Existence, Operation};
use bulkhead_model::policy::{Capabilities, KeysFilter};
use bulkhead_model::request::{Body, Request, Verb};
use serde_json::{Map, Value};

use crate::fault::Fault;
use crate::step::dispatch;
use crate::step::route::{GuestTarget, Routed, Target, operation};
use crate::visit::Visit;

/// A request the policies let through. Only [`authorize`] makes one.
pub(crate) struct Authorized {
    pub routed: Routed,
    /// Create told from update.
    pub operation: Operation,
    /// The policies whose rule decided; empty where nobody has to be asked.
    pub granting: Vec<String>,
    /// How many names a list is to show, where the policies say; 0: all.
    pub page: Option<u64>,
    /// Which of them, where the policies say that.
    pub keys_filter: Option<Arc<KeysFilter>>,
}

impl Authorized {
    /// What nobody has to be asked about.
    fn without_asking(routed: Routed, operation: Operation) -> Self {
        Self { routed, operation, granting: Vec::new(), page: None, keys_filter: None }
    }
}

/// A request that was turned away, with what decided, for the audit log.
pub(crate) struct Denied {
    pub fault: Fault,
    pub by: DeniedBy,
}

/// What turned a request away.
pub(crate) enum DeniedBy {
    /// The policies were not asked: there is no caller, or it could not be found out
    /// what is asked of them.
    Nobody,
    /// No rule of the caller's policies matches.
    NoRule,
    /// This rule.
    Rule(Box<DenyingRule>),
}

/// Decides about a request.
///
/// # Errors
/// [`Denied`] if no policy grants it, or one denies it, or a token is missing.
pub(crate) async fn authorize(visit: &mut Visit, request: &Request, routed: Routed) -> Result<Authorized, Denied> {
    let open_to_all = routed.target.is_unauthenticated();
    let deny = |by, fault| Err(Denied { fault, by });
    if visit.who.is_none() && !open_to_all {
        return deny(DeniedBy::Nobody, Failure::bad_token().into());
    }
    let mut op = operation(request.verb);
    // What a path takes is no secret of the mount: Vault tells it to whoever has a token,
    // whatever the policies say, and on paths that demand sudo too.
    if request.help {
        return Ok(Authorized::without_asking(routed, op));
    }
    if request.verb == Verb::Write && !may_both(visit, request, &routed) {
        op = match create_or_update(visit, request, &routed.target).await {
            Ok(op) => op,
            Err(fault) => return deny(DeniedBy::Nobody, fault),
        };
    }
    if open_to_all {
        return Ok(Authorized::without_asking(routed, op));
    }
    let parameters = || sent(request);
    let ask = Ask {
        path: &routed.path,
        folded: &routed.folded,
        needs: needed(op),
        sudo: routed.target.needs_sudo(),
        wrap_ttl_secs: request.wrap_ttl_secs,
        parameters: &parameters,
    };
    let who = visit.who.as_ref().expect("checked above: somebody is there");
    match who.acl.decide(&ask) {
        Decision::Allow { granting, page } => {
            let keys_filter = who.acl.keys_filter(&ask);
            Ok(Authorized { routed, operation: op, granting, page, keys_filter })
        }
        Decision::Deny { rule } => {
            let by = rule.map_or(DeniedBy::NoRule, |rule| DeniedBy::Rule(Box::new(rule)));
            deny(by, Failure::denied().into())
        }
    }
}

/// Whether the guest need not be asked if the thing exists: the caller may create it as
/// well as update it, so the answer would decide nothing.
fn may_both(visit: &Visit, request: &Request, routed: &Routed) -> bool {
    let Target::Guest(guest) = &routed.target else { return false };
    let Some(who) = &visit.who else { return false };
    let parameters = || sent(request);
    let ask = Ask {
        path: &routed.path,
        folded: &routed.folded,
        needs: Capabilities::CREATE.with(Capabilities::UPDATE),
        sudo: guest.route().sudo,
        wrap_ttl_secs: request.wrap_ttl_secs,
        parameters: &parameters,
    };
    guest.route().existence == Existence::Ask && matches!(who.acl.decide(&ask), Decision::Allow { .. })
}

/// The capability an operation needs.
pub(crate) fn needed(operation: Operation) -> Capabilities {
    match operation {
        Operation::Create => Capabilities::CREATE,
        Operation::Read | Operation::Header => Capabilities::READ,
        Operation::Update | Operation::AliasLookahead | Operation::ResolveRole => Capabilities::UPDATE,
        Operation::Patch => Capabilities::PATCH,
        Operation::Delete => Capabilities::DELETE,
        Operation::List => Capabilities::LIST,
        Operation::Scan => Capabilities::SCAN,
    }
}

/// The parameters as sent; `null` has none. `None` where they cannot be read: such a request must
/// not pass for one without any.
fn sent(request: &Request) -> Option<Map<String, Value>> {
    match &request.body {
        Body::Json(text) => {
            let read: Option<Map<String, Value>> = serde_json::from_slice(text.expose()).ok()?;
            Some(read.unwrap_or_default())
        }
        Body::Empty | Body::Raw { .. } | Body::Unread(_) => Some(Map::new()),
    }
}

async fn create_or_update(visit: &mut Visit, request: &Request, target: &Target) -> Result<Operation, Fault> {
    let exists = match target {
        Target::Guest(guest) => match &guest.route().existence {
            Existence::None => true,
            Existence::Key(template) => {
                let key = Key::leaf(guest.mount.space, &filled(template, guest));
                key.is_ok_and(|key| visit.tx.version(&key).is_ok_and(|v| v.is_some()))
            }
            Existence::Ask => dispatch::exists(visit, request, guest).await?,
        },
        Target::Host { route, captures, .. } => match route.exists {
            Some(exists) => exists(visit, captures)?,
            None => true,
        },
        _ => true,
    };
    Ok(if exists { Operation::Update } else { Operation::Create })
}

/// A storage key from its template: `role/{name}` with what the route captured.
fn filled(template: &str, guest: &GuestTarget) -> String {
    // In one pass: what was captured is never taken for a part of the template.
    let mut key = String::new();
    let mut rest = template;
    while let Some((before, from)) = rest.split_once('{') {
        let (name, after) = from.split_once('}').unwrap_or((from, ""));
        key.push_str(before);
        key.push_str(guest.captures.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str()));
        rest = after;
    }
    key + rest
}
