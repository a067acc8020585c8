//! What makes this node one of several: its certificate, the socket its peers reach it on, and
//! the way to the API of nodes that it joins. Who may become a member is the broker's matter.

mod client;
mod office;

use std::io;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use bulkhead_broker::PeerParts;
use bulkhead_ledger::PeerNetwork;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::entropy::{Entropy, uuid};
use bulkhead_model::seam::peer::{ApiAddress, PeerIdentity};

use self::client::HttpClient;
use self::office::Office;
use crate::config::{ClusterConfig, Pem, RetryJoin};
use crate::error::ServerError;

/// Opens the socket for peers, and reads what the node knows of its cluster.
///
/// # Errors
/// [`ServerError`].
pub(crate) fn open(config: &ClusterConfig, directory: &Path) -> Result<(PeerNetwork, PeerParts), ServerError> {
    let office = Arc::new(Office::open(directory)?);
    let listener = bind(&config.bind).map_err(|source| ServerError::Cluster {
        doing: format!("listening for other nodes on {}", config.bind),
        why: source.to_string(),
    })?;
    let identity: Arc<dyn PeerIdentity> = Arc::<Office>::clone(&office);
    let retry_join = config.retry_join.iter().map(address).collect::<Result<_, _>>()?;
    let parts = PeerParts {
        office,
        client: Arc::new(HttpClient),
        retry_join,
        non_voter: config.non_voter,
        stale_reads_max: config.stale_reads_max,
    };
    Ok((PeerNetwork { listener, identity }, parts))
}

/// Binds an address. One without a host is every address of both families, or of the older
/// one on a machine that has no other.
fn bind(address: &str) -> io::Result<TcpListener> {
    let Some(port) = address.strip_prefix(':') else { return TcpListener::bind(address) };
    match TcpListener::bind(format!("[::]:{port}")) {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => TcpListener::bind(format!("0.0.0.0:{port}")),
        bound => bound,
    }
}

/// The node's name where the config has none: drawn once, and kept in the data directory.
///
/// # Errors
/// [`ServerError::File`].
pub(crate) fn node_id(directory: &Path, entropy: &dyn Entropy) -> Result<String, ServerError> {
    let path = directory.join("node-id");
    let failed = |doing| {
        let path = path.clone();
        move |source| ServerError::File { doing, path, source }
    };
    match std::fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("reading the node's name")(error)),
        _ => {
            let id = uuid(entropy);
            std::fs::write(&path, &id).map_err(failed("writing the node's name"))?;
            Ok(id)
        }
    }
}

/// A node to join, with the files read that the config names for it.
///
/// # Errors
/// [`ServerError::File`].
pub(crate) fn address(given: &RetryJoin) -> Result<ApiAddress, ServerError> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|source| ServerError::File {
            doing: "reading what retry_join names",
            path: path.to_owned(),
            source,
        })
    };
    let pem = |pem: &Pem| match pem {
        Pem::None => Ok(String::new()),
        Pem::Text(text) => Ok(text.clone()),
        Pem::File(path) => read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
    };
    let key = given.key.as_deref().map(read).transpose()?;
    Ok(ApiAddress {
        url: given.url.clone(),
        authorities_pem: pem(&given.authority)?,
        server_name: given.server_name.clone(),
        certificate_pem: pem(&given.certificate)?,
        key_pem: key.map(|key| Arc::new(Hidden::new(key))),
    })
}
