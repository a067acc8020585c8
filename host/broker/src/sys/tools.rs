//! `sys/tools`: random bytes and hashes.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulkhead_model::reply::{Envelope, Reply, hidden_json};
use bulkhead_model::request::Verb;
use serde_json::json;
use zeroize::Zeroizing;

use super::table::{Handler, HostRoute};
use crate::fault::Fault;
use crate::visit::{Ask, Visit, enveloped};

const W: &[Verb] = &[Verb::Write];
const RANDOM: &[&str] = &["bytes", "format", "source", "urlbytes"];
const HASH: &[&str] = &["input", "format", "algorithm", "urlalgorithm"];

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("tools/random", W, Handler::Now(random), "Draw random bytes.").fields(RANDOM),
    HostRoute::new("tools/random/{first}", W, Handler::Now(random), "Draw random bytes.").fields(RANDOM),
    HostRoute::new("tools/random/{source}/{urlbytes}", W, Handler::Now(random), "Draw random bytes.").fields(RANDOM),
    HostRoute::new("tools/hash", W, Handler::Now(hash), "Hash some bytes.").fields(HASH),
    HostRoute::new("tools/hash/{urlalgorithm}", W, Handler::Now(hash), "Hash some bytes.").fields(HASH),
];

/// Most bytes in one answer. Source: Vault, 128 KiB.
const RANDOM_BYTES_MAX: i64 = 128 * 1024;

fn encoded(bytes: &[u8], format: &str) -> Option<String> {
    match format {
        "hex" => Some(hex::encode(bytes)),
        "base64" => Some(STANDARD.encode(bytes)),
        _ => None,
    }
}

/// The entropy source that the path names, if any, and how many bytes are to be drawn. In OpenBao the path alone
/// names the source.
fn asked<'a>(ask: &'a Ask<'_>) -> Result<(&'a str, i64), Fault> {
    let sent = ask.fields.integer("bytes")?;
    let (source, count) = match ask.capture("first") {
        "" => (ask.capture("source"), ask.capture("urlbytes")),
        source @ ("platform" | "seal" | "all") => (source, ""),
        count => ("", count),
    };
    if !matches!(source, "" | "platform" | "seal" | "all") {
        let text = format!("unsupported entropy source {source:?}; must be \"platform\" or \"seal\", or \"all\"");
        return Err(Fault::invalid(text));
    }
    let bytes = match count {
        "" => sent.unwrap_or(32),
        text => text.parse().map_err(|_| {
            Fault::invalid(format!("error parsing url-set byte count: strconv.Atoi: parsing {text:?}: invalid syntax"))
        })?,
    };
    Ok((source, bytes))
}

/// What is told of parameters in a body that only a path gives, where this one's has no place for them.
fn replaced(ask: &Ask<'_>, of_path: &[&str]) -> Option<String> {
    let sent = |name: &&&str| ask.fields.has(name) && !ask.fields.is_null(name);
    let names: Vec<&str> = of_path.iter().filter(sent).copied().filter(|name| ask.capture(name).is_empty()).collect();
    let told = "Endpoint replaced the value of these parameters with the values captured from the endpoint's path";
    (!names.is_empty()).then(|| format!("{told}: [{}]", names.join(" ")))
}

fn random(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let (source, bytes) = asked(ask)?;
    if bytes < 1 {
        return Err(Fault::invalid("'bytes' cannot be less than 1"));
    }
    if bytes > RANDOM_BYTES_MAX {
        return Err(Fault::invalid(format!("'bytes' should be less than {RANDOM_BYTES_MAX}")));
    }
    let format = ask.fields.text("format")?.unwrap_or_else(|| "base64".into());
    let mut drawn = Zeroizing::new(vec![0; usize::try_from(bytes).expect("bounded above")]);
    visit.open.parts.entropy.fill(&mut drawn);
    let text = encoded(&drawn, &format).map(Zeroizing::new).ok_or_else(|| {
        Fault::invalid(format!("unsupported encoding format {format:?}; must be \"hex\" or \"base64\""))
    })?;
    let mut envelope =
        Envelope { data: Some(hidden_json(&BTreeMap::from([("random_bytes", &**text)]))), ..Envelope::default() };
    if source == "seal" {
        envelope.warnings.push("no seal/entropy augmentation available, using platform entropy source".into());
    }
    envelope.warnings.extend(replaced(ask, &["source", "urlbytes"]));
    Ok(enveloped(envelope))
}

/// What Go says of this text, which is no base64.
pub(super) fn base64_error(error: &base64::DecodeError, text: &str) -> String {
    let at = match error {
        base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => *at,
        // It ends within its padding, or within four signs that have none.
        _ if text.ends_with('=') => text.len(),
        _ => text.len() - text.len() % 4,
    };
    format!("illegal base64 data at input byte {at}")
}

/// The digest that a name stands for, of some bytes.
fn digested(algorithm: &str, bytes: &[u8]) -> Result<Vec<u8>, Fault> {
    use sha3::Digest as _;
    let kind = match algorithm {
        "sha2-224" => &digest::SHA224,
        "sha2-256" => &digest::SHA256,
        "sha2-384" => &digest::SHA384,
        "sha2-512" => &digest::SHA512,
        "sha3-224" => return Ok(sha3::Sha3_224::digest(bytes).to_vec()),
        "sha3-256" => &digest::SHA3_256,
        "sha3-384" => &digest::SHA3_384,
        "sha3-512" => &digest::SHA3_512,
        other => return Err(Fault::invalid(format!("unsupported algorithm {other}"))),
    };
    Ok(digest::digest(kind, bytes).as_ref().to_vec())
}

fn hash(_visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let sent = ask.fields.text("algorithm")?;
    // Go takes base64 with line breaks in it.
    let input = ask.fields.text_or_empty("input")?.replace(['\r', '\n'], "");
    let bytes = STANDARD
        .decode(&input)
        .map_err(|e| Fault::invalid(format!("unable to decode input as base64: {}", base64_error(&e, &input))))?;
    let format = ask.fields.text("format")?.unwrap_or_else(|| "hex".into());
    if encoded(&[], &format).is_none() {
        let text = format!("unsupported encoding format {format}; must be \"hex\" or \"base64\"");
        return Err(Fault::invalid(text));
    }
    let algorithm = match ask.capture("urlalgorithm") {
        "" => sent.unwrap_or_else(|| "sha2-256".into()),
        name => name.to_owned(),
    };
    let sum = encoded(&digested(&algorithm, &bytes)?, &format);
    Ok(enveloped(Envelope {
        data: Some(hidden_json(&json!({ "sum": sum }))),
        warnings: replaced(ask, &["urlalgorithm"]).into_iter().collect(),
        ..Envelope::default()
    }))
}
