//! `users/:username`: who may log in, and with what result.

use bulkhead_sdk::json::{self, Object};
use bulkhead_sdk::names;
use bulkhead_sdk::prelude::*;
use bulkhead_sdk::token_fields::{self, TokenFields, take_former};

use crate::password::NewPassword;
use crate::records::{Former, User, UserName};

/// Fields under the names they had before `token_*`.
#[derive(Debug, Fields)]
pub(crate) struct PutUser {
    /// Use "token_policies" instead. If both are sent, only "token_policies" counts.
    #[field(deprecated)]
    policies: Option<Vec<String>>,
    /// Use "token_ttl" instead. If both are sent, only "token_ttl" counts.
    #[field(deprecated)]
    ttl: Option<Seconds>,
    /// Use "token_max_ttl" instead. If both are sent, only "token_max_ttl" counts.
    #[field(deprecated)]
    max_ttl: Option<Seconds>,
    /// Use "token_bound_cidrs" instead. If both are sent, only "token_bound_cidrs" counts.
    #[field(deprecated)]
    bound_cidrs: Option<Vec<String>>,
}

pub(crate) fn exists(cx: &Cx, request: &Request) -> Result<bool> {
    let name = UserName::from_request(request)?;
    Ok(cx.get::<User>(&name.0)?.is_some())
}

pub(crate) fn list(cx: &Cx, page: &Page) -> Result<Keys> {
    cx.list::<User>(page)
}

pub(crate) fn put(
    cx: &Cx,
    name: &UserName,
    sent: PutUser,
    password: &NewPassword,
    mut tokens: TokenFields,
) -> Result<()> {
    // Whether the user is there is asked of storage, not of the operation: whoever may
    // both create and update is always said to update.
    let known: Option<User> = cx.get(&name.0)?;
    let is_new = known.is_none();
    let mut user = known.unwrap_or_default();
    if is_new || !password.is_absent() {
        user.password_hash = password.hash(cx)?;
    }
    user.former = renamed(sent, &mut tokens, user.former);
    user.tokens.update(tokens)?;
    cx.put(&name.0, &user)
}

/// Moves what was sent under former names to where it belongs.
fn renamed(sent: PutUser, tokens: &mut TokenFields, shown: Former) -> Former {
    let policies = sent.policies.map(|policies| names::policies(&policies));
    Former {
        bound_cidrs: take_former(&mut tokens.token_bound_cidrs, sent.bound_cidrs, shown.bound_cidrs),
        max_ttl: take_former(&mut tokens.token_max_ttl, sent.max_ttl, shown.max_ttl),
        policies: take_former(&mut tokens.token_policies, policies, shown.policies),
        ttl: take_former(&mut tokens.token_ttl, sent.ttl, shown.ttl),
    }
}

pub(crate) fn get(cx: &Cx, name: &UserName) -> Result<Reply> {
    let User { tokens, former, .. } = cx.require(&name.0)?;
    let mut answer = Object::with_room(512);
    if former.bound_cidrs && !tokens.bound_cidrs.is_empty() {
        answer = answer.json("bound_cidrs", &token_fields::texts(&tokens.bound_cidrs));
    }
    if former.max_ttl && tokens.max_ttl.0 > 0 {
        answer = answer.number("max_ttl", tokens.max_ttl.0);
    }
    if former.policies && !tokens.policies.is_empty() {
        answer = answer.json("policies", &json::strings(tokens.policies.iter().map(String::as_str)));
    }
    answer = tokens.show(answer);
    if former.ttl && tokens.ttl.0 > 0 {
        answer = answer.number("ttl", tokens.ttl.0);
    }
    Ok(Reply::text(answer.end()))
}
