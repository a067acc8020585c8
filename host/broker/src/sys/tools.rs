//! `sys/tools`: random bytes and hashes.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use serde_json::json;
use zeroize::Zeroizing;

use super::table::{Handler, HostRoute};
use crate::fault::Fault;
use crate::visit::{Ask, Visit, data, enveloped};

const W: &[Verb] = &[Verb::Write];
const RANDOM: &[&str] = &["bytes", "format", "source"];
const HASH: &[&str] = &["input", "format", "algorithm"];

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

fn random(visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let first = ask.capture("first");
    let is_source = matches!(first, "platform" | "seal" | "all");
    let (mut source, mut count) = (ask.fields.text_or_empty("source")?, ask.fields.text_or_empty("bytes")?);
    if is_source {
        source = first.to_owned();
    } else if !first.is_empty() {
        count = first.to_owned();
    }
    if !ask.capture("source").is_empty() {
        (source, count) = (ask.capture("source").to_owned(), ask.capture("urlbytes").to_owned());
    }
    if !matches!(source.as_str(), "" | "platform" | "seal" | "all") {
        let text = format!("unsupported entropy source {source:?}; must be \"platform\" or \"seal\", or \"all\"");
        return Err(Fault::invalid(text));
    }
    let bytes: i64 = match count.as_str() {
        "" => 32,
        text => text.parse().map_err(|_| {
            Fault::invalid(format!("error parsing url-set byte count: strconv.Atoi: parsing {text:?}: invalid syntax"))
        })?,
    };
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
    let mut envelope = bulkhead_model::reply::Envelope {
        data: Some(bulkhead_model::reply::hidden_json(&BTreeMap::from([("random_bytes", &**text)]))),
        ..Default::default()
    };
    if source == "seal" {
        envelope.warnings.push("no seal/entropy augmentation available, using platform entropy source".into());
    }
    Ok(enveloped(envelope))
}

/// What Go says of a text that is no base64.
pub(super) fn base64_error(error: &base64::DecodeError) -> String {
    match error {
        base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => {
            format!("illegal base64 data at input byte {at}")
        }
        _ => "illegal base64 data".into(),
    }
}

fn hash(_visit: &mut Visit, ask: &Ask<'_>) -> Result<Reply, Fault> {
    let input = ask.fields.text_or_empty("input")?;
    let bytes = STANDARD
        .decode(&input)
        .map_err(|e| Fault::invalid(format!("unable to decode input as base64: {}", base64_error(&e))))?;
    let named = ask.capture("urlalgorithm");
    let algorithm = match named {
        "" => ask.fields.text("algorithm")?.unwrap_or_else(|| "sha2-256".into()),
        name => name.to_owned(),
    };
    let kind = match algorithm.as_str() {
        "sha2-224" => &digest::SHA224,
        "sha2-256" => &digest::SHA256,
        "sha2-384" => &digest::SHA384,
        "sha2-512" => &digest::SHA512,
        "sha3-256" => &digest::SHA3_256,
        "sha3-384" => &digest::SHA3_384,
        "sha3-512" => &digest::SHA3_512,
        other => return Err(Fault::invalid(format!("unsupported algorithm {other}"))),
    };
    let format = ask.fields.text("format")?.unwrap_or_else(|| "hex".into());
    let sum = encoded(digest::digest(kind, &bytes).as_ref(), &format).ok_or_else(|| {
        Fault::invalid(format!("unsupported encoding format {format}; must be \"hex\" or \"base64\""))
    })?;
    Ok(data(&json!({ "sum": sum })))
}
