//! Who a node is to its peers: its certificate, its key, and whom it believes; who makes
//! them; and how a node that wants to become a peer reaches those who are.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::hidden::Hidden;

/// What a node shows its peers, and what it asks of them.
pub struct PeerCredentials {
    /// This node's certificate, DER. It names the node by its number.
    pub certificate: Vec<u8>,
    /// The certificate's key, PKCS #8 DER.
    pub key: Hidden<Vec<u8>>,
    /// Authorities whose certificates are believed, DER. More than one while the authority
    /// is being replaced.
    pub authorities: Vec<Vec<u8>>,
    /// When the certificate is valid.
    pub validity: Validity,
}

/// Yields the credentials of the moment.
pub trait PeerIdentity: Send + Sync {
    /// The credentials; `None` while this node belongs to no cluster. Another `Arc` than
    /// before means that they were replaced: connections made with the old ones are renewed.
    fn current(&self) -> Option<Arc<PeerCredentials>>;
}

/// A cluster's own authority, which the certificates of its nodes come from.
pub struct AuthorityKeys {
    /// Its certificate, DER.
    pub certificate: Vec<u8>,
    /// Its key, PKCS #8 DER.
    pub key: Hidden<Vec<u8>>,
}

/// A key that has no certificate yet.
pub struct KeyRequest {
    /// The key, PKCS #8 DER.
    pub key: Hidden<Vec<u8>>,
    /// The request for its certificate, DER, signed by it.
    pub request: Vec<u8>,
}

/// When a certificate is valid, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// From here on.
    pub from_secs: u64,
    /// Until here.
    pub until_secs: u64,
}

/// Makes certificates of nodes, and keeps the one of this node.
pub trait PeerOffice: PeerIdentity {
    /// Founds an authority.
    ///
    /// # Errors
    /// A sentence for the operator.
    fn found(&self, validity: Validity) -> Result<AuthorityKeys, String>;

    /// Makes the certificate of the node `number`, DER. Nothing but the key is taken from
    /// the request.
    ///
    /// # Errors
    /// A sentence for whoever asks: the request is none.
    fn issue(
        &self,
        authority: &AuthorityKeys,
        number: u64,
        request: &[u8],
        validity: Validity,
    ) -> Result<Vec<u8>, String>;

    /// A new key.
    ///
    /// # Errors
    /// A sentence for the operator.
    fn request(&self) -> Result<KeyRequest, String>;

    /// Puts credentials of this node, which has this number, into use. They are on the disk
    /// when this returns.
    ///
    /// # Errors
    /// A sentence for the operator: the certificate is not of this number, of this key, of one
    /// of the authorities or valid now.
    fn install(&self, number: u64, credentials: PeerCredentials, now_secs: u64) -> Result<(), String>;
}

/// Where the API of a node is reached, and how it is known to be the right one.
#[derive(Clone, Default)]
pub struct ApiAddress {
    /// `https://host:port`.
    pub url: String,
    /// Authorities it is believed by, PEM; empty: those of the machine.
    pub authorities_pem: String,
    /// The name its certificate must have; empty: the host of the address.
    pub server_name: String,
    /// A certificate for whoever asks to see one, PEM; empty: none.
    pub certificate_pem: String,
    /// That certificate's key, PEM.
    pub key_pem: Option<Arc<Hidden<Vec<u8>>>>,
}

/// Reaches the API of other nodes.
#[async_trait]
pub trait ApiClient: Send + Sync {
    /// Posts a JSON object to a path below `/v1/`. The status and the body of the answer.
    ///
    /// # Errors
    /// A sentence for the operator: there was no answer in time.
    async fn post(
        &self,
        to: &ApiAddress,
        path: &str,
        body: Hidden<Vec<u8>>,
        within: Duration,
    ) -> Result<(u16, Hidden<Vec<u8>>), String>;
}
