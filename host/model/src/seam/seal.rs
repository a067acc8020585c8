//! A key that lies outside this node and wraps the seal key (auto-unseal). The barrier has one
//! made of a file's or variable's bytes; the sandbox runs those that are plugins.

use async_trait::async_trait;

use crate::hidden::Hidden;

/// What a seal is called in the config and in `sys/seal-status`: Vault's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealKind {
    /// Key shares that people bring.
    Shamir,
    /// A key in a file or an environment variable.
    Static,
    /// A transit engine of another cluster.
    Transit,
}

impl SealKind {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Shamir, Self::Static, Self::Transit];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Shamir => "shamir",
            Self::Static => "static",
            Self::Transit => "transit",
        }
    }

    /// The seal of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What a key outside made of a secret. No secret itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedSecret {
    /// Which of its keys, or which version of one, wrapped it.
    pub key_id: String,
    /// What is to be shown to it again.
    pub ciphertext: Vec<u8>,
    /// What else it wants to be shown, by name.
    pub extra: Vec<(String, Vec<u8>)>,
}

/// Why a key outside did not serve. The texts are for the operator and hold nothing secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It cannot be reached now, or has no time: trying again may help.
    #[error("{0}")]
    Unavailable(String),
    /// It answered, and will answer the same again: a wrong key, a right that is missing.
    #[error("{0}")]
    Refused(String),
}

/// A key outside.
#[async_trait]
pub trait SealKey: Send + Sync {
    /// What kind of seal it makes.
    fn kind(&self) -> SealKind;

    /// What `server` prints of it at start: names and addresses, nothing secret.
    fn shown(&self) -> String;

    /// Which key wraps now. What was wrapped by another is wrapped anew when the node leads.
    ///
    /// # Errors
    /// [`SealError`]; where asking for it is part of wrapping, the key is told as it was last.
    async fn key_id(&self) -> Result<String, SealError>;

    /// Wraps a secret of at most a few hundred bytes, bound to a label.
    ///
    /// # Errors
    /// [`SealError`].
    async fn wrap(&self, secret: &Hidden<Vec<u8>>, label: &[u8]) -> Result<SealedSecret, SealError>;

    /// What was wrapped, if the label is the same.
    ///
    /// # Errors
    /// [`SealError`].
    async fn unwrap(&self, sealed: &SealedSecret, label: &[u8]) -> Result<Hidden<Vec<u8>>, SealError>;
}
