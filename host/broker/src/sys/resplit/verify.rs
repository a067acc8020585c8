//! `sys/rotate/root/verify` and `sys/rotate/recovery/verify`: new shares are brought back, and only
//! when enough have been do they count, and the old ones no more.

use bulkhead_model::hidden::Hidden;
use bulkhead_model::reply::Reply;
use serde_json::{Value, json};

use super::{Which, made_anew};
use crate::ceremony::{Ceremonies, Ceremony, NewShares, NotProven, Split};
use crate::fault::Fault;
use crate::sys::seal::decoded;
use crate::sys::table::Answer;
use crate::visit::{After, Ask, Visit, data};

pub(in crate::sys) fn root_status(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    status(Which::root(ask), visit)
}

pub(in crate::sys) fn recovery_status(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    status(Which::recovery(ask), visit)
}

pub(in crate::sys) fn root_anew(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    anew(Which::root(ask), visit)
}

pub(in crate::sys) fn recovery_anew(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    anew(Which::recovery(ask), visit)
}

pub(in crate::sys) fn root_bring<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(bring(Which::root(ask), visit, ask))
}

pub(in crate::sys) fn recovery_bring<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(bring(Which::recovery(ask), visit, ask))
}

fn under_way(which: Which, all: &mut Ceremonies) -> Result<&mut Ceremony<Split>, Fault> {
    which.ceremony(all).as_mut().ok_or_else(|| Fault::invalid("no rotation configuration found"))
}

fn told(ceremony: &Ceremony<Split>) -> Value {
    let Split { config, shares } = &ceremony.about;
    let (nonce, progress, started) = match shares {
        NewShares::Proving(verification) => (verification.nonce(), verification.progress(), true),
        NewShares::Count | NewShares::ToProve => ("", 0, false),
    };
    json!({
        "n": config.shares(),
        "nonce": nonce,
        "progress": progress,
        "started": started,
        "t": config.threshold(),
    })
}

fn status(which: Which, visit: &Visit) -> Result<Reply, Fault> {
    Ok(data(&told(under_way(which, &mut visit.open.ceremonies())?)))
}

fn anew(which: Which, visit: &Visit) -> Result<Reply, Fault> {
    let mut ceremonies = visit.open.ceremonies();
    let ceremony = under_way(which, &mut ceremonies)?;
    if let NewShares::Proving(verification) = &mut ceremony.about.shares {
        verification.begin_anew(&*visit.open.parts.entropy);
    }
    Ok(data(&told(ceremony)))
}

async fn bring(which: Which, visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let (nonce, key) = (ask.fields.text_or_empty("nonce")?, Hidden::new(ask.fields.text_or_empty("key")?));
    for (name, text) in [("key", key.expose()), ("nonce", &nonce)] {
        if text.is_empty() {
            return Err(Fault::invalid(format!("missing required field '{name}'")));
        }
    }
    let share = decoded(key.expose()).ok_or_else(|| Fault::invalid("'key' must be a valid hex or base64 string"))?;
    let open = visit.open.clone();
    let (ceremony_nonce, split, key) = {
        let mut ceremonies = open.ceremonies();
        let ceremony = which.ceremony(&mut ceremonies).as_mut();
        let ceremony = ceremony.ok_or_else(|| Fault::invalid("no rotation in progress"))?;
        let NewShares::Proving(verification) = &mut ceremony.about.shares else {
            return Err(Fault::invalid("no rotation verification in progress"));
        };
        if verification.nonce() != nonce {
            let text =
                format!("incorrect nonce supplied; nonce for this verify operation is {:?}", verification.nonce());
            return Err(Fault::invalid(text));
        }
        let brought = verification.submit(&ask.request.id, share, &*open.parts.entropy);
        let brought = brought.map_err(|NotProven::Wrong| {
            Fault::invalid("rotation verification failed; incorrect key shares supplied")
        })?;
        let Some(key) = brought else { return Ok(data(&told(ceremony))) };
        (ceremony.nonce().to_owned(), ceremony.about.config, key)
    };
    made_anew(which.key, visit, split, Some(&key)).await?;
    visit.after.push(After::CeremonyEnded(ceremony_nonce));
    Ok(data(&json!({ "complete": true, "nonce": nonce })))
}
