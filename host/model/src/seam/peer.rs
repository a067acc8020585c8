//! Who a node is to its peers: its certificate, its key, and whom it believes. Where they
//! are kept, and who makes new ones, is for the one who hands them in.

use std::sync::Arc;

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
}

/// Yields the credentials of the moment.
pub trait PeerIdentity: Send + Sync {
    /// The credentials; `None` while this node belongs to no cluster. Another `Arc` than
    /// before means that they were replaced: connections made with the old ones are renewed.
    fn current(&self) -> Option<Arc<PeerCredentials>>;
}
