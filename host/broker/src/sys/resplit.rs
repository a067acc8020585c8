//! `sys/rotate/root`: the unseal key is made anew and split in another way. Those who hold
//! the old shares must agree; theirs are worthless afterwards.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulkhead_barrier::SealConfig;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::reply::{Envelope, Reply, hidden_json, wipe};
use bulkhead_model::request::Verb;
use serde_json::{Value, json};

use super::table::{Handler, HostRoute};
use crate::ceremony::{Ceremony, ShareFault, Standing};
use crate::fault::Fault;
use crate::fields::Fields;
use crate::visit::{After, Ask, Visit, data, enveloped};

const R: &[Verb] = &[Verb::Read];
const W: &[Verb] = &[Verb::Write];
const D: &[Verb] = &[Verb::Delete];

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("rotate/root/init", R, Handler::Now(status), "Tell how far a new split is."),
    HostRoute::new("rotate/root/init", W, Handler::Now(start), "Begin to split the unseal key anew.").fields(&[
        "secret_shares",
        "secret_threshold",
        "pgp_keys",
        "backup",
        "require_verification",
    ]),
    HostRoute::new("rotate/root/init", D, Handler::Now(cancel), "Give a new split up."),
    HostRoute::new("rotate/root/update", W, Handler::Now(update), "Bring a key share.").fields(&["key", "nonce"]),
    HostRoute::new("rotate/root/backup", R, Handler::Now(no_backup), "Read kept key shares."),
    HostRoute::new("rotate/root/backup", D, Handler::Now(nothing_kept), "Forget kept key shares."),
    HostRoute::new("rekey/backup", R, Handler::Now(no_backup), "Read kept key shares."),
    HostRoute::new("rekey/backup", D, Handler::Now(nothing_kept), "Forget kept key shares."),
    HostRoute::new("rekey/recovery-key-backup", R, Handler::Now(no_backup), "Read kept key shares."),
    HostRoute::new("rekey/recovery-key-backup", D, Handler::Now(nothing_kept), "Forget kept key shares."),
];

/// Shares are kept nowhere.
fn no_backup(_visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    Err(Fault::invalid("no backed-up keys found"))
}

fn nothing_kept(_visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    Ok(Reply::Empty)
}

fn status(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    let required = visit.open.seal_config()?.threshold();
    let ceremonies = visit.open.ceremonies.lock();
    Ok(data(&match &ceremonies.split {
        None => json!({ "n": 0, "required": required, "started": false, "t": 0 }),
        Some(under_way) => told(under_way),
    }))
}

fn told(ceremony: &Ceremony<SealConfig>) -> Value {
    json!({
        "n": ceremony.about.shares(),
        "nonce": ceremony.nonce(),
        "progress": ceremony.progress(),
        "required": ceremony.required(),
        "started": true,
        "t": ceremony.about.threshold(),
        "verification_nonce": "",
        "verification_required": false,
    })
}

fn start(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    refuse_unoffered(&ask.fields)?;
    let number = |name: &str| Ok::<_, Fault>(u64::try_from(ask.fields.integer(name)?.unwrap_or(0)).unwrap_or(0));
    let wanted = SealConfig::new(number("secret_shares")?, number("secret_threshold")?)
        .map_err(|e| Fault::invalid(format!("invalid rotate seal configuration: {e}")))?;
    let now = visit.open.seal_config()?;
    let mut ceremonies = visit.open.ceremonies.lock();
    if ceremonies.split.is_some() {
        return Err(Fault::invalid("rotation already in progress"));
    }
    let ceremony = Ceremony::new(wanted, now, &*visit.open.parts.entropy);
    let shown = told(&ceremony);
    ceremonies.split = Some(ceremony);
    Ok(data(&shown))
}

fn refuse_unoffered(fields: &Fields) -> Result<(), Fault> {
    let pgp = fields.strings("pgp_keys", true)?.is_some_and(|keys| !keys.is_empty());
    if pgp || fields.flag("backup")?.unwrap_or_default() {
        return Err(Fault::invalid("PGP-encrypted key shares are not offered by this version: leave out the PGP keys"));
    }
    if fields.flag("require_verification")?.unwrap_or_default() {
        return Err(Fault::invalid("verification of new key shares is not offered by this version"));
    }
    Ok(())
}

fn cancel(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    visit.open.ceremonies.lock().split = None;
    Ok(Reply::Empty)
}

fn update(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let (nonce, key) = (ask.fields.text_or_empty("nonce")?, Hidden::new(ask.fields.text_or_empty("key")?));
    if key.expose().is_empty() {
        return Err(Fault::invalid("missing required field 'key'"));
    }
    let share = super::seal::decoded(key.expose())
        .ok_or_else(|| Fault::invalid("'key' must be a valid hex or base64 string"))?;
    let open = visit.open.clone();
    let mut ceremonies = open.ceremonies.lock();
    let ceremony = ceremonies.split.as_mut().ok_or_else(|| Fault::invalid("no rotation in progress"))?;
    if ceremony.nonce() != nonce {
        let text = format!("incorrect nonce supplied; nonce for rotation is {:?}", ceremony.nonce());
        return Err(Fault::invalid(text));
    }
    let standing = ceremony.submit(&open, &ask.request.id, share).map_err(|fault| match fault {
        ShareFault::Share(error) => Fault::invalid(format!("failed to read root key: {error}")),
        ShareFault::Node(fault) => fault,
    })?;
    if standing == Standing::Collecting {
        return Ok(data(&told(ceremony)));
    }
    let shares = open.barrier.resplit(&mut visit.tx, ceremony.about, &*open.parts.entropy)?;
    tracing::warn!(
        shares = ceremony.about.shares(),
        threshold = ceremony.about.threshold(),
        "the unseal key is split anew: the old shares are worthless"
    );
    visit.after.push(After::CeremonyEnded(nonce.clone()));
    Ok(handed_out(&shares, &nonce))
}

/// The new shares, the only time that anybody sees them.
fn handed_out(shares: &[Hidden<Vec<u8>>], nonce: &str) -> Reply {
    let mut shown = json!({
        "backup": false,
        "complete": true,
        "keys": shares.iter().map(|share| hex::encode(share.expose())).collect::<Vec<_>>(),
        "keys_base64": shares.iter().map(|share| STANDARD.encode(share.expose())).collect::<Vec<_>>(),
        "nonce": nonce,
        "pgp_fingerprints": null,
        "verification_nonce": "",
        "verification_required": false,
    });
    let json = hidden_json(&shown);
    wipe(&mut shown);
    enveloped(Envelope { data: Some(json), ..Envelope::default() })
}
