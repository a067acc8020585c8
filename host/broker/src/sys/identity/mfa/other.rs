//! `identity/mfa/method/duo` and its like: types of methods that are not offered. They are refused
//! by name, so that nobody looks for a mistake of their own.

use bulkhead_model::failure::Failure;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;

use super::method::{found, unnamed};
use crate::fault::Fault;
use crate::sys::table::{Handler, HostRoute, Now};
use crate::visit::{Ask, Visit};

pub(in crate::sys::identity) const ROUTES: &[HostRoute] = &[
    any("mfa/method/duo", &[Verb::List], list),
    any("mfa/method/duo", &[Verb::Read, Verb::Delete], unnamed),
    any("mfa/method/duo", &[Verb::Write], refuse),
    one("mfa/method/duo/{method_id}", &[Verb::Read, Verb::Delete], mistaken),
    one("mfa/method/duo/{method_id}", &[Verb::Write], refuse),
    any("mfa/method/okta", &[Verb::List], list),
    any("mfa/method/okta", &[Verb::Read, Verb::Delete], unnamed),
    any("mfa/method/okta", &[Verb::Write], refuse),
    one("mfa/method/okta/{method_id}", &[Verb::Read, Verb::Delete], mistaken),
    one("mfa/method/okta/{method_id}", &[Verb::Write], refuse),
    any("mfa/method/pingid", &[Verb::List], list),
    any("mfa/method/pingid", &[Verb::Read, Verb::Delete], unnamed),
    any("mfa/method/pingid", &[Verb::Write], refuse),
    one("mfa/method/pingid/{method_id}", &[Verb::Read, Verb::Delete], mistaken),
    one("mfa/method/pingid/{method_id}", &[Verb::Write], refuse),
];

const fn any(pattern: &'static str, verbs: &'static [Verb], handler: Now) -> HostRoute {
    HostRoute::new(pattern, verbs, Handler::Now(handler), "Methods of MFA that are not offered: only TOTP is.")
        .any_fields()
}

const fn one(pattern: &'static str, verbs: &'static [Verb], handler: Now) -> HostRoute {
    HostRoute::new(pattern, verbs, Handler::Now(handler), "A method of MFA that is not offered: only TOTP is.")
        .any_fields()
}

/// Which type a path names.
fn asked_type<'a>(ask: &'a Ask<'_>) -> &'a str {
    let rest = ask.request.path.as_str().split_once("mfa/method/").map_or("", |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}

fn list(_visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    Err(Failure::absent().into())
}

fn refuse(_visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    Err(Fault::invalid(format!("MFA methods of type {} are not offered: use type totp", asked_type(ask))))
}

/// A method is asked for as one of a type that it is not of.
fn mistaken(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let (_, method) = found(visit, ask)?;
    method.ok_or_else(Failure::absent)?;
    Err(Fault::invalid(format!("failed to find the method ID under MFA type {}.", asked_type(ask))))
}
