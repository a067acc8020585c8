//! `sys/mfa/validate`: goes on with a login that waits for its second factor.

use bulkhead_model::reply::{Envelope, Reply};
use bulkhead_model::request::Verb;

use super::table::{Handler, HostRoute};
use crate::fault::Fault;
use crate::mint;
use crate::step::mfa::{self, Credentials};
use crate::visit::{Ask, Visit, enveloped};

pub(super) const ROUTES: &[HostRoute] = &[HostRoute::new(
    "mfa/validate",
    &[Verb::Write],
    Handler::Now(validate),
    "Go on with a login that waits for its second factor.",
)
.unauthenticated()
.fields(&["mfa_request_id", "mfa_payload"])];

fn validate(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let request_id = ask.fields.text_or_empty("mfa_request_id")?;
    if request_id.is_empty() {
        return Err(Fault::invalid("missing request ID"));
    }
    let sent = Credentials::of_payload(ask.fields.object("mfa_payload")?)?;
    let (proven, wrap_secs) = mfa::go_on(visit, &request_id, &sent)?;
    let minted = mint::from_login(visit, proven)?;
    let envelope = Envelope { auth: Some(minted.auth), warnings: minted.warnings, ..Envelope::default() };
    match wrap_secs {
        None => Ok(enveloped(envelope)),
        Some(secs) => {
            let secs = ask.request.wrap_ttl_secs.filter(|asked| *asked > 0).map_or(secs, |asked| asked.min(secs));
            mint::wrap_envelope(visit, secs, ask.request, &envelope)
        }
    }
}
