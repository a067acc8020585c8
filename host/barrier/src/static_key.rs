//! The static seal: a key of 32 bytes that the operator lays beside the node, in a file or a
//! variable. A second, older one opens what was wrapped before the key was changed.

use std::sync::Arc;

use async_trait::async_trait;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::entropy::{Entropy, random};
use bulkhead_model::seam::seal::{SealError, SealKey, SealKind, SealedSecret};

use crate::record;

/// A key, and what it is called. The name is no secret and is kept with what it wrapped.
pub struct NamedKey {
    /// Its name.
    pub id: String,
    /// Its bytes.
    pub key: Hidden<[u8; 32]>,
}

/// The key that wraps, and one that only unwraps.
pub struct StaticKey {
    current: NamedKey,
    previous: Option<NamedKey>,
    entropy: Arc<dyn Entropy>,
}

impl StaticKey {
    /// A seal of these keys.
    #[must_use]
    pub fn new(current: NamedKey, previous: Option<NamedKey>, entropy: Arc<dyn Entropy>) -> Self {
        Self { current, previous, entropy }
    }
}

#[async_trait]
impl SealKey for StaticKey {
    fn kind(&self) -> SealKind {
        SealKind::Static
    }

    fn shown(&self) -> String {
        let previous = self.previous.as_ref().map(|key| format!(", previous_key_id: {:?}", key.id));
        format!("current_key_id: {:?}{}", self.current.id, previous.unwrap_or_default())
    }

    async fn key_id(&self) -> Result<String, SealError> {
        Ok(self.current.id.clone())
    }

    async fn wrap(&self, secret: &Hidden<Vec<u8>>, label: &[u8]) -> Result<SealedSecret, SealError> {
        let ciphertext = record::wrap(self.current.key.expose(), label, secret.expose(), random(&*self.entropy));
        Ok(SealedSecret { key_id: self.current.id.clone(), ciphertext, extra: Vec::new() })
    }

    async fn unwrap(&self, sealed: &SealedSecret, label: &[u8]) -> Result<Hidden<Vec<u8>>, SealError> {
        let of_name = |key: &&NamedKey| key.id == sealed.key_id;
        let key = [Some(&self.current), self.previous.as_ref()].into_iter().flatten().find(of_name);
        let key = key.ok_or_else(|| {
            let id = &sealed.key_id;
            SealError::Refused(format!(
                "the unseal key was wrapped by the static key {id:?}: the config has it neither as current_key_id nor \
                 as previous_key_id"
            ))
        })?;
        let opened = record::unwrap(key.key.expose(), label, sealed.ciphertext.clone());
        opened.ok_or_else(|| {
            let text = format!("the static key {:?} does not open what was wrapped by a key of that name", key.id);
            SealError::Refused(text)
        })
    }
}
