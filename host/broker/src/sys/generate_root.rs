//! `sys/generate-root-token`: a root token for those who hold the key shares, and
//! `sys/decode-token`, which takes its cover off.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::reply::{Envelope, Reply, hidden_json, wipe};
use bulkhead_model::request::Verb;
use bulkhead_model::seam::entropy::base62;
use serde_json::{Value, json};
use zeroize::Zeroize as _;

use super::open_ceremonies;
use super::table::{Handler, HostRoute};
use crate::book::tokens::{self, TokenRecord};
use crate::ceremony::{Ceremony, ShareFault, Standing};
use crate::fault::Fault;
use crate::visit::{After, Ask, Visit, data, enveloped};

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("generate-root", &[], Handler::Now(status), open_ceremonies::INSTEAD_OF_ROOT),
    HostRoute::new("generate-root-token/attempt", &[Verb::Read], Handler::Now(status), "Tell how far an attempt is."),
    HostRoute::new("generate-root-token/attempt", &[Verb::Write], Handler::Now(start), "Begin to make a root token.")
        .fields(&["otp", "pgp_key"]),
    HostRoute::new("generate-root-token/attempt", &[Verb::Delete], Handler::Now(cancel), "Give an attempt up."),
    HostRoute::new("generate-root-token/update", &[Verb::Write], Handler::Now(update), "Bring a key share.")
        .fields(&["key", "nonce"]),
    HostRoute::new("decode-token", &[Verb::Write], Handler::Now(decode), "Take the cover off a root token.")
        .fields(&["encoded_token", "otp"])
        .unauthenticated(),
];

/// Length of a root token, and so of the one-time password that hides it.
const TOKEN_BYTES: usize = 26;

/// An envelope whose JSON is wiped behind it.
fn secret_data(value: &mut Value) -> Reply {
    let json = hidden_json(value);
    wipe(value);
    enveloped(Envelope { data: Some(json), ..Envelope::default() })
}

pub(super) fn status(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    let required = visit.open.seal_config()?.threshold();
    let ceremonies = visit.open.ceremonies();
    Ok(data(&match &ceremonies.root {
        None => json!({
            "complete": false, "otp": "", "otp_length": TOKEN_BYTES, "progress": 0, "required": required,
            "started": false,
        }),
        Some(under_way) => told(under_way),
    }))
}

fn told(ceremony: &Ceremony<Hidden<String>>) -> Value {
    json!({
        "complete": false,
        "nonce": ceremony.nonce(),
        "otp": "",
        "otp_length": TOKEN_BYTES,
        "pgp_fingerprint": "",
        "progress": ceremony.progress(),
        "required": ceremony.required(),
        "started": true,
    })
}

pub(super) fn start(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    if !ask.fields.text_or_empty("pgp_key")?.is_empty() {
        return Err(Fault::invalid("PGP-encrypted root tokens are not offered by this version: leave out the PGP key"));
    }
    let sent = Hidden::new(ask.fields.text_or_empty("otp")?);
    let chosen = !sent.expose().is_empty();
    if chosen && sent.expose().len() != TOKEN_BYTES {
        return Err(Fault::invalid("OTP string has incorrect length"));
    }
    let config = visit.open.seal_config()?;
    let entropy = &*visit.open.parts.entropy;
    let mut ceremonies = visit.open.ceremonies();
    if ceremonies.root.is_some() {
        return Err(Fault::invalid("root generation already in progress for this namespace"));
    }
    let otp = if chosen { sent } else { Hidden::new(base62(entropy, TOKEN_BYTES)) };
    let ceremony = Ceremony::new(otp, config, entropy);
    let mut shown = told(&ceremony);
    if !chosen {
        shown["otp"] = ceremony.about.expose().as_str().into();
    }
    ceremonies.root = Some(ceremony);
    Ok(secret_data(&mut shown))
}

pub(super) fn cancel(visit: &mut Visit, _ask: &Ask<'_>) -> Result<Reply, Fault> {
    visit.open.ceremonies().root = None;
    Ok(Reply::Empty)
}

pub(super) fn update(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let (nonce, key) = (ask.fields.text_or_empty("nonce")?, Hidden::new(ask.fields.text_or_empty("key")?));
    for (name, missing) in [("nonce", nonce.is_empty()), ("key", key.expose().is_empty())] {
        if missing {
            return Err(Fault::invalid(format!("{name} is required")));
        }
    }
    let share = super::seal::decoded(key.expose())
        .ok_or_else(|| Fault::invalid_wrapped("'key' must be a valid hex or base64 string"))?;
    let open = visit.open.clone();
    let mut ceremonies = open.ceremonies();
    let ceremony = ceremonies.root.as_mut().ok_or_else(|| Fault::invalid_wrapped("no root generation in progress"))?;
    if ceremony.nonce() != nonce {
        let ours = ceremony.nonce();
        return Err(Fault::invalid_wrapped(&format!(
            "incorrect nonce supplied; nonce for this root generation operation is {ours:?}"
        )));
    }
    let standing = ceremony.submit(&open, &ask.request.id, share).map_err(|fault| match fault {
        ShareFault::Share(error) => {
            Fault::invalid_wrapped(&format!("root generation aborted: unable to authenticate: invalid key: {error}"))
        }
        ShareFault::Node(fault) => fault,
    })?;
    if standing == Standing::Collecting {
        return Ok(data(&told(ceremony)));
    }
    let mut shown = told(ceremony);
    let mut covered = make(visit, ceremony.about.expose())?;
    shown["complete"] = true.into();
    shown["encoded_token"] = covered.as_str().into();
    covered.zeroize();
    for unsaid in ["otp", "otp_length"] {
        shown.as_object_mut().expect("an object is told").remove(unsaid);
    }
    visit.after.push(After::CeremonyEnded(nonce));
    Ok(secret_data(&mut shown))
}

/// Makes a root token; gives it covered by the one-time password.
fn make(visit: &mut Visit, otp: &str) -> Result<String, Fault> {
    let token = Hidden::new(format!("s.{}", visit.random_text(TOKEN_BYTES - 2)));
    let record = TokenRecord {
        accessor: visit.random_text(24),
        policies: vec!["root".into()],
        path: tokens::FIRST_PATH.into(),
        display_name: "root".into(),
        created_ms: visit.now_ms,
        ..TokenRecord::default()
    };
    let salt = &visit.open.salt;
    tokens::create(&mut visit.tx, salt, &salt.hash(token.expose()), &record)?;
    tracing::warn!("a root token was made with the key shares");
    let covered = Hidden::new(xor(token.expose().as_bytes(), otp.as_bytes()));
    Ok(STANDARD_NO_PAD.encode(covered.expose()))
}

/// Both must be of the same length.
fn xor(a: &[u8], b: &[u8]) -> Vec<u8> {
    assert_eq!(a.len(), b.len(), "a cover shorter than the token would leave some of it bare");
    a.iter().zip(b).map(|(a, b)| a ^ b).collect()
}

fn decode(_visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let (encoded, otp) = (ask.fields.text_or_empty("encoded_token")?, Hidden::new(ask.fields.text_or_empty("otp")?));
    if encoded.is_empty() || otp.expose().is_empty() {
        return Err(Fault::invalid("provided 'encoded_token' or 'otp' is empty"));
    }
    let covered = STANDARD_NO_PAD.decode(&encoded).map_err(|e| {
        Fault::invalid(format!("error decoding base64'd token: {}", super::tools::base64_error(&e, &encoded)))
    })?;
    let (left, right) = (covered.len(), otp.expose().len());
    if left != right {
        let text = format!("error xoring token: length of byte slices is not equivalent: {left} != {right}");
        return Err(Fault::invalid(text));
    }
    let bare = Hidden::new(xor(&covered, otp.expose().as_bytes()));
    let mut shown = json!({ "token": String::from_utf8_lossy(bare.expose()) });
    Ok(secret_data(&mut shown))
}

#[cfg(test)]
mod tests {
    use super::xor;

    #[test]
    fn a_cover_comes_off_with_the_password_it_was_put_on_with() {
        let (token, otp) = (b"s.0123456789abcdefghijklmn", b"ZzQM7ugnd8hew4MHXsZQfPz9di");
        assert_eq!(xor(&xor(token, otp), otp), token);
    }
}
