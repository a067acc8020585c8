//! Users: made by the operator's rules, changed and removed.

use std::borrow::Cow;

use bulkhead_sdk::driver::{Begun, UserChange, UserRemoval, UserSpec, password};
use bulkhead_sdk::{Cx, Error, Result, json, sql};

use crate::config::Config;
use crate::fence;
use crate::resp::Reply;
use crate::session::Session;

/// What a user may do where the operator does not say.
const RULES: [&str; 2] = ["~*", "+@read"];

/// Makes a user.
///
/// # Errors
/// The server refuses a rule; then there is no such user. Or there is one already.
pub(crate) fn create(cx: &Cx, mut config: Config, spec: &UserSpec, begun: &Begun) -> Result<String> {
    let name = match spec.username.as_deref() {
        Some(name) => name.to_owned(),
        None => config.username(cx, spec)?,
    };
    config.check_name(&name)?;
    let password = password(&spec.credential)?;
    config.hush.add(password);
    let added = format!(">{password}");
    let rules = rules(&spec.statements);
    let mut words = vec!["ACL", "SETUSER", &name, "reset", "on", &added];
    words.extend(rules.iter().map(String::as_str));
    let fence = fence::name(cx, &name)?;
    let make = |session: &mut Session| {
        if exists(session, &name)? {
            // Whose it is, is not to lose it because it cannot be made again.
            return Err(Error::PreconditionFailed(format!("there is a user {name} already")));
        }
        begun.now();
        session.command(&words)
    };
    // A name that only chance makes, nobody has been at work on; to list all sessions each time would cost the server.
    let is_repeated = spec.username_template.is_some();
    let made = config.pool.with_session(cx, &config, |session| match is_repeated {
        true => fence::alone(session, &fence, make),
        false => fence::named(session, &fence, make),
    });
    made.map_err(|error| config.hush.error(error))?;
    Ok(name)
}

/// The rules of the first statement, a JSON list; where it is none, each statement is a rule.
fn rules(statements: &[String]) -> Vec<String> {
    if sql::is_blank(statements) {
        return RULES.map(str::to_owned).to_vec();
    }
    let written: Vec<&str> = statements.iter().map(|text| text.trim()).filter(|text| !text.is_empty()).collect();
    let listed = written.first().and_then(|first| listed(first));
    listed.unwrap_or_else(|| written.into_iter().map(str::to_owned).collect())
}

/// The rules of a JSON list. `null` is an empty one, and no rule within one, as in OpenBao.
fn listed(text: &str) -> Option<Vec<String>> {
    if text == "null" {
        return Some(Vec::new());
    }
    let rule = |item: Result<&str>| match item.ok()? {
        "null" => Some(String::new()),
        item => json::unquote(item).map(Cow::into_owned),
    };
    let mut rules = json::items(text)?.map(rule).collect::<Option<Vec<String>>>()?;
    rules.retain(|rule| !rule.is_empty());
    Some(rules)
}

fn exists(session: &mut Session, name: &str) -> Result<bool> {
    Ok(session.command(&["ACL", "GETUSER", name])? != Reply::Null)
}

/// Changes a user's password. Accounts have no end here, so a new end changes nothing.
///
/// # Errors
/// There is no such user.
pub(crate) fn change(cx: &Cx, mut config: Config, change: &UserChange, begun: &Begun) -> Result<()> {
    let Some(credential) = &change.credential else { return Ok(()) };
    let (name, password) = (change.username.as_str(), password(credential)?);
    if password.is_empty() {
        return Err(Error::invalid("missing password"));
    }
    config.hush.add(password);
    let added = format!(">{password}");
    let fence = fence::name(cx, name)?;
    let done = config.pool.with_session(cx, &config, |session| {
        fence::alone(session, &fence, |session| {
            if !exists(session, name)? {
                return Err(Error::upstream(format!("changeUserPassword for user {name} failed: user not found")));
            }
            begun.now();
            session.command(&["ACL", "SETUSER", name, "resetpass", &added])
        })
    });
    done.map(|_| ()).map_err(|error| config.hush.error(error))
}

/// Removes a user, who may be gone already. The server ends the user's connections.
///
/// # Errors
/// The server cannot be asked, or refuses.
pub(crate) fn delete(cx: &Cx, config: &Config, removal: &UserRemoval) -> Result<()> {
    config.check_name(&removal.username)?;
    let fence = fence::name(cx, &removal.username)?;
    let act = |session: &mut Session| session.command(&["ACL", "DELUSER", &removal.username]);
    config.pool.with_session(cx, config, |session| fence::alone(session, &fence, act)).map(|_| ())
}
