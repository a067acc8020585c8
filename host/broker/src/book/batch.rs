//! Batch tokens: not stored, but sealed by the barrier into the token itself. They cost
//! nothing to make and end by themselves, or with their parent. What a batch token says of
//! itself becomes a token record like any other, without an accessor.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bulkhead_barrier::{StoreError, Transaction};
use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::entropy::Entropy;
use serde::{Deserialize, Serialize};

use super::kept;
use super::space;
use super::tokens::{TokenHash, TokenRecord};

/// How every batch token begins; no service token does, unless an operator chose it.
pub(crate) const PREFIX: &str = "b.";

/// What the barrier seals it for.
const PURPOSE: &str = "batch token";

/// What a batch token says. Fields may be added at the end, with a new [`FORMAT`].
#[derive(Serialize, Deserialize)]
struct Sealed {
    policies: Vec<String>,
    path: String,
    display_name: String,
    metadata: Vec<(String, String)>,
    created_ms: u64,
    ttl_secs: u64,
    parent: Option<TokenHash>,
    entity_id: String,
    role: String,
    bound_cidrs: Vec<String>,
    mount_accessor: String,
    namespace: String,
}

/// Without what says the namespace, as of every token of the root: older versions read it.
const FORMAT: u8 = 1;
/// With it.
const FORMAT_IN_NAMESPACE: u8 = 2;

impl TokenRecord {
    /// Whether it is of a batch token: nothing else is without an accessor.
    pub(crate) fn is_batch(&self) -> bool {
        self.accessor.is_empty()
    }
}

/// The token of this record, which must have an end.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn seal(
    tx: &mut Transaction,
    record: &TokenRecord,
    entropy: &dyn Entropy,
) -> Result<Hidden<String>, StoreError> {
    // One without an end could never be taken back.
    assert!(record.ttl_secs > 0, "a batch token without an end");
    let sealed = Sealed {
        policies: record.policies.clone(),
        path: record.path.clone(),
        display_name: record.display_name.clone(),
        metadata: record.metadata.clone(),
        created_ms: record.created_ms,
        ttl_secs: record.ttl_secs,
        parent: record.parent,
        entity_id: record.entity_id.clone(),
        role: record.role.clone(),
        bound_cidrs: record.bound_cidrs.clone(),
        mount_accessor: record.mount_accessor.clone(),
        namespace: record.namespace.clone(),
    };
    let in_root = record.namespace.is_empty();
    let bytes = kept::encoded(&[if in_root { FORMAT } else { FORMAT_IN_NAMESPACE }], &sealed);
    let bytes = if in_root { kept::shortened(bytes) } else { bytes };
    let bytes = tx.seal_outside(PURPOSE, bytes.expose(), entropy)?;
    let mark = if in_root { String::new() } else { format!(".{}", record.namespace) };
    Ok(Hidden::new(format!("{PREFIX}{}{mark}", URL_SAFE_NO_PAD.encode(bytes))))
}

/// What a batch token says of itself; `None` if it is none of ours. Whether its time is
/// over and its parent still there is for the caller to see.
pub(crate) fn open(tx: &mut Transaction, token: &str) -> Option<TokenRecord> {
    let text = token.strip_prefix(PREFIX)?;
    let (text, mark) = text.split_once('.').unwrap_or((text, ""));
    let bytes = tx.open_outside(PURPOSE, URL_SAFE_NO_PAD.decode(text).ok()?)?;
    let bytes = if bytes.expose().first() == Some(&FORMAT) { kept::lengthened(&bytes) } else { bytes };
    let format = bytes.expose().first().filter(|first| [FORMAT, FORMAT_IN_NAMESPACE].contains(first))?;
    let sealed: Sealed = kept::decoded(&bytes, *format, (space::TOKENS, "a batch token")).ok()?;
    // One token, one spelling.
    if sealed.namespace != mark {
        return None;
    }
    Some(TokenRecord {
        parent: sealed.parent,
        policies: sealed.policies,
        path: sealed.path,
        display_name: sealed.display_name,
        metadata: sealed.metadata,
        created_ms: sealed.created_ms,
        ttl_secs: sealed.ttl_secs,
        creation_ttl_secs: sealed.ttl_secs,
        expires_ms: sealed.created_ms.saturating_add(sealed.ttl_secs.saturating_mul(1000)),
        entity_id: sealed.entity_id,
        role: sealed.role,
        bound_cidrs: sealed.bound_cidrs,
        mount_accessor: sealed.mount_accessor,
        namespace: sealed.namespace,
        ..TokenRecord::default()
    })
}
