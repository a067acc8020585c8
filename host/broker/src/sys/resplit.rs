//! `sys/rotate/root` and `sys/rotate/recovery`: the unseal key, or the recovery key, is made
//! anew and split in another way. Those who hold shares must agree; of a key that is split
//! anew, the old ones are worthless afterwards.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulkhead_barrier::{Recovery, SealConfig, SealConfigError, Sealing, UnsealError, fresh_key};
use bulkhead_model::hidden::Hidden;
use bulkhead_model::reply::{Envelope, Reply, hidden_json, wipe};
use bulkhead_model::request::Verb;
use bulkhead_model::seam::seal::SealKind;
use serde_json::{Value, json};

use super::open_ceremonies;
use super::table::{Answer, Handler, HostRoute};
use crate::ceremony::{Ceremonies, Ceremony, NewShares, ShareFault, Split, Standing, Verification};
use crate::fault::Fault;
use crate::fields::Fields;
use crate::node::reseal;
use crate::visit::{After, Ask, Visit, data, enveloped};

pub(super) mod verify;

const R: &[Verb] = &[Verb::Read];
const W: &[Verb] = &[Verb::Write];
const D: &[Verb] = &[Verb::Delete];

/// What a new split is asked with.
pub(super) const ASKED: &[&str] = &["secret_shares", "secret_threshold", "pgp_keys", "backup", "require_verification"];

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("rotate/root/init", R, Handler::Now(root_status), "Tell how far a new split is."),
    HostRoute::new("rotate/root/init", W, Handler::Now(root_start), "Begin to split the unseal key anew.")
        .fields(ASKED),
    HostRoute::new("rotate/root/init", D, Handler::Now(root_cancel), "Give a new split up."),
    HostRoute::new("rotate/root/update", W, Handler::Later(root_update), "Bring a key share.").fields(SHARE),
    HostRoute::new("rotate/root/backup", R, Handler::Now(no_backup), "Read kept key shares."),
    HostRoute::new("rotate/root/backup", D, Handler::Now(nothing_kept), "Forget kept key shares."),
    HostRoute::new("rotate/root/verify", R, Handler::Now(verify::root_status), "Tell how far a verification is."),
    HostRoute::new("rotate/root/verify", W, Handler::Later(verify::root_bring), "Bring a new key share back.")
        .fields(SHARE),
    HostRoute::new("rotate/root/verify", D, Handler::Now(verify::root_anew), "Begin a verification anew."),
    HostRoute::new(
        "rotate/recovery/verify",
        R,
        Handler::Now(verify::recovery_status),
        "Tell how far a verification is.",
    ),
    HostRoute::new("rotate/recovery/verify", W, Handler::Later(verify::recovery_bring), "Bring a new key share back.")
        .fields(SHARE),
    HostRoute::new("rotate/recovery/verify", D, Handler::Now(verify::recovery_anew), "Begin a verification anew."),
    HostRoute::new("rotate/recovery/init", R, Handler::Now(recovery_status), "Tell how far a new split is."),
    HostRoute::new("rotate/recovery/init", W, Handler::Later(recovery_start), "Begin to split the recovery key anew.")
        .fields(ASKED),
    HostRoute::new("rotate/recovery/init", D, Handler::Now(recovery_cancel), "Give a new split up."),
    HostRoute::new("rotate/recovery/update", W, Handler::Later(recovery_update), "Bring a key share.").fields(SHARE),
    HostRoute::new("rotate/recovery/backup", R, Handler::Now(no_backup), "Read kept key shares."),
    HostRoute::new("rotate/recovery/backup", D, Handler::Now(nothing_kept), "Forget kept key shares."),
    HostRoute::new("rekey/backup", R, Handler::Now(no_backup), "Read kept key shares."),
    HostRoute::new("rekey/backup", D, Handler::Now(nothing_kept), "Forget kept key shares."),
    HostRoute::new("rekey/recovery-key-backup", R, Handler::Now(no_backup), "Read kept key shares."),
    HostRoute::new("rekey/recovery-key-backup", D, Handler::Now(nothing_kept), "Forget kept key shares."),
];

/// What a share comes with.
pub(super) const SHARE: &[&str] = &["key", "nonce"];

/// Which key is made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Root,
    Recovery,
}

/// Which ceremony a request is about.
#[derive(Clone, Copy)]
struct Which {
    key: Key,
    /// The one that needs no token.
    is_open: bool,
}

impl Which {
    fn root(ask: &Ask<'_>) -> Self {
        Self { key: Key::Root, is_open: open_ceremonies::is_asked(ask.request) }
    }

    fn recovery(ask: &Ask<'_>) -> Self {
        Self { key: Key::Recovery, is_open: open_ceremonies::is_asked(ask.request) }
    }

    fn ceremony(self, all: &mut Ceremonies) -> &mut Option<Ceremony<Split>> {
        match (self.key, self.is_open) {
            (Key::Root, false) => &mut all.split,
            (Key::Root, true) => &mut all.open_split,
            (Key::Recovery, false) => &mut all.recovery,
            (Key::Recovery, true) => &mut all.open_recovery,
        }
    }
}

pub(super) fn root_status(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    status(Which::root(ask), visit)
}

pub(super) fn recovery_status(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    if !has_recovery(visit)? {
        return Err(Fault::invalid("unable to look up config: recovery not supported"));
    }
    status(Which::recovery(ask), visit)
}

pub(super) fn root_start(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    start(Which::root(ask), visit, ask)
}

/// Where there are no recovery keys yet, whoever may ask for them gets them at once.
pub(super) fn recovery_start<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(async move {
        if !has_recovery(visit)? {
            return Err(Fault::invalid("recovery keys not supported"));
        }
        let now = visit.open.seal_config()?;
        if now.shares() > 0 {
            return start(Which::recovery(ask), visit, ask);
        }
        refuse_unoffered(&ask.fields)?;
        if ask.fields.flag("require_verification")?.unwrap_or_default() {
            return Err(Fault::invalid("the first recovery keys need no verification: no others become worthless"));
        }
        let split = wanted(Key::Recovery, now, &ask.fields)?;
        let shares = made_anew(Key::Recovery, visit, split, None).await?;
        // What began without recovery keys cannot be ended with them.
        visit.open.ceremonies().give_up();
        Ok(handed_out(&shares, Of::Nobody(split), None))
    })
}

pub(super) fn root_cancel(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    *Which::root(ask).ceremony(&mut visit.open.ceremonies()) = None;
    Ok(Reply::Empty)
}

pub(super) fn recovery_cancel(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    *Which::recovery(ask).ceremony(&mut visit.open.ceremonies()) = None;
    Ok(Reply::Empty)
}

pub(super) fn root_update<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(update(Which::root(ask), visit, ask))
}

pub(super) fn recovery_update<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(update(Which::recovery(ask), visit, ask))
}

fn has_recovery(visit: &Visit) -> Result<bool, Fault> {
    Ok(visit.open.seal_config()?.kind() != SealKind::Shamir)
}

/// Shares are kept nowhere.
fn no_backup(_visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    Err(Fault::invalid("no backed-up keys found"))
}

fn nothing_kept(_visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    Ok(Reply::Empty)
}

fn status(which: Which, visit: &Visit) -> Result<Reply, Fault> {
    let required = visit.open.seal_config()?.threshold();
    let mut ceremonies = visit.open.ceremonies();
    Ok(data(&match which.ceremony(&mut ceremonies) {
        None => json!({ "n": 0, "required": required, "started": false, "t": 0 }),
        Some(under_way) => told(under_way),
    }))
}

fn told(ceremony: &Ceremony<Split>) -> Value {
    let Split { config, shares } = &ceremony.about;
    let (nonce, is_required) = match shares {
        NewShares::Count => ("", false),
        NewShares::ToProve => ("", true),
        NewShares::Proving(verification) => (verification.nonce(), true),
    };
    json!({
        "n": config.shares(),
        "nonce": ceremony.nonce(),
        "progress": ceremony.progress(),
        "required": ceremony.required(),
        "started": true,
        "t": config.threshold(),
        "verification_nonce": nonce,
        "verification_required": is_required,
    })
}

fn start(which: Which, visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    refuse_unoffered(&ask.fields)?;
    let now = visit.open.seal_config()?;
    let config = wanted(which.key, now, &ask.fields)?;
    let shares = match ask.fields.flag("require_verification")?.unwrap_or_default() {
        true if which.key == Key::Root && now.kind() != SealKind::Shamir => {
            return Err(Fault::invalid("a key that a key outside wraps has no shares that could be verified"));
        }
        true => NewShares::ToProve,
        false => NewShares::Count,
    };
    let mut ceremonies = visit.open.ceremonies();
    let under_way = which.ceremony(&mut ceremonies);
    if under_way.is_some() {
        return Err(Fault::invalid("rotation already in progress"));
    }
    let ceremony = Ceremony::new(Split { config, shares }, now, &*visit.open.parts.entropy);
    let shown = told(&ceremony);
    *under_way = Some(ceremony);
    Ok(data(&shown))
}

/// The new split. A key that a key outside wraps is not split, whatever is asked for.
fn wanted(key: Key, now: SealConfig, fields: &Fields) -> Result<SealConfig, Fault> {
    let number = |name: &str| Ok::<_, Fault>(u64::try_from(fields.integer(name)?.unwrap_or(0)).unwrap_or(0));
    let of = if key == Key::Root { "rotate seal" } else { "recovery" };
    let invalid = |e: SealConfigError| Fault::invalid(format!("invalid {of} configuration: {e}"));
    let asked = (number("secret_shares")?, number("secret_threshold")?);
    let (shares, threshold) = if key == Key::Root && now.kind() != SealKind::Shamir { (1, 1) } else { asked };
    Ok(SealConfig::new(shares, threshold).map_err(invalid)?.under(now.kind()))
}

fn refuse_unoffered(fields: &Fields) -> Result<(), Fault> {
    // Only what is encrypted would be kept: without PGP keys `backup` asks for nothing.
    fields.flag("backup")?;
    if fields.strings("pgp_keys", true)?.is_some_and(|keys| !keys.is_empty()) {
        return Err(Fault::invalid("PGP-encrypted key shares are not offered by this version: leave out the PGP keys"));
    }
    Ok(())
}

async fn update(which: Which, visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let (nonce, key) = (ask.fields.text_or_empty("nonce")?, Hidden::new(ask.fields.text_or_empty("key")?));
    if key.expose().is_empty() {
        return Err(Fault::invalid("missing required field 'key'"));
    }
    let share = super::seal::decoded(key.expose())
        .ok_or_else(|| Fault::invalid("'key' must be a valid hex or base64 string"))?;
    let open = visit.open.clone();
    let split = {
        let mut ceremonies = open.ceremonies();
        let ceremony = which.ceremony(&mut ceremonies).as_mut();
        let ceremony = ceremony.ok_or_else(|| Fault::invalid("no rotation in progress"))?;
        if let NewShares::Proving(verification) = &ceremony.about.shares {
            return Err(Fault::invalid(format!(
                "rotation already finished; verification must be performed; nonce for the verification operation is {:?}",
                verification.nonce()
            )));
        }
        if ceremony.nonce() != nonce {
            let text = format!("incorrect nonce supplied; nonce for rotation is {:?}", ceremony.nonce());
            return Err(Fault::invalid(text));
        }
        let standing = ceremony.submit(&open, &ask.request.id, share).map_err(|fault| match fault {
            ShareFault::Share(error @ UnsealError::WrongRecovery) => {
                Fault::invalid(format!("recovery key verification failed: {error}"))
            }
            ShareFault::Share(error) => Fault::invalid(format!("failed to read root key: {error}")),
            ShareFault::Node(fault) => fault,
        })?;
        if standing == Standing::Collecting {
            return Ok(data(&told(ceremony)));
        }
        if matches!(ceremony.about.shares, NewShares::ToProve) {
            let (key, shares) = fresh_key(ceremony.about.config, &*open.parts.entropy);
            let verification = Verification::of(key, ceremony.about.config, &*open.parts.entropy);
            let reply = handed_out(&shares, Of::Ceremony(&nonce), Some(verification.nonce()));
            ceremony.about.shares = NewShares::Proving(Box::new(verification));
            return Ok(reply);
        }
        ceremony.about.config
    };
    let shares = made_anew(which.key, visit, split, None).await?;
    visit.after.push(After::CeremonyEnded(nonce.clone()));
    Ok(handed_out(&shares, Of::Ceremony(&nonce), None))
}

/// Puts the new key into the transaction; gives its shares. `known`: it is this one, and its shares
/// are out already.
async fn made_anew(
    key: Key,
    visit: &mut Visit,
    split: SealConfig,
    known: Option<&Hidden<Vec<u8>>>,
) -> Result<Vec<Hidden<Vec<u8>>>, Fault> {
    let open = visit.open.clone();
    let now = open.seal_config()?;
    if split.kind() != now.kind() {
        return Err(Fault::invalid("the cluster came under another seal meanwhile: begin again"));
    }
    let sealing = match (now.kind(), &open.parts.seals.key) {
        (SealKind::Shamir, _) => known.map_or(Sealing::Fresh(split), |known| Sealing::Known(split, known)),
        (kind, Some(seal)) if seal.kind() == kind => {
            let (config, recovery) = match key {
                Key::Root => (now, Recovery::Unchanged),
                Key::Recovery => (split, known.map_or(Recovery::Fresh, Recovery::Known)),
            };
            Sealing::Outside(reseal::outside(&open, config, &**seal).await?, recovery)
        }
        _ => return Err(Fault::invalid("the cluster is to migrate to another seal: that comes first")),
    };
    let shares = open.barrier.reseal(&mut visit.tx, sealing, &*open.parts.entropy)?;
    tracing::warn!(
        key = if key == Key::Root { "unseal" } else { "recovery" },
        shares = split.shares(),
        threshold = split.threshold(),
        "a key is to be made anew: then shares of the old one are worthless"
    );
    Ok(shares)
}

/// What new shares come of.
enum Of<'a> {
    /// A ceremony of this nonce.
    Ceremony(&'a str),
    /// None: they are the first ones.
    Nobody(SealConfig),
}

/// The new shares, the only time that anybody sees them.
fn handed_out(shares: &[Hidden<Vec<u8>>], of: Of<'_>, verification: Option<&str>) -> Reply {
    let mut shown = json!({
        "backup": false,
        "complete": true,
        "keys": shares.iter().map(|share| hex::encode(share.expose())).collect::<Vec<_>>(),
        "keys_base64": shares.iter().map(|share| STANDARD.encode(share.expose())).collect::<Vec<_>>(),
        "pgp_fingerprints": null,
        "verification_nonce": verification.unwrap_or_default(),
        "verification_required": verification.is_some(),
    });
    match of {
        Of::Ceremony(nonce) => shown["nonce"] = nonce.into(),
        Of::Nobody(split) => {
            shown["n"] = split.shares().into();
            shown["t"] = split.threshold().into();
        }
    }
    let json = hidden_json(&shown);
    wipe(&mut shown);
    enveloped(Envelope { data: Some(json), ..Envelope::default() })
}
