//! What makes a server a dev server: initialised, unsealed, with KV version 2 at
//! `secret/`, its root token known.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bulkhead_broker::{InitOptions, Node};
use bulkhead_model::hidden::Hidden;
use bulkhead_model::path::ApiPath;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::{Body, OpenCeremonies, Origin, Request, Verb};
use bulkhead_model::seam::entropy::{Entropy, uuid};

use crate::error::ServerError;
use crate::guests;
use crate::run::DevOptions;

/// What a dev server prints.
pub(crate) struct Furnished {
    pub(crate) unseal_key: Hidden<Vec<u8>>,
    pub(crate) root_token: Hidden<String>,
}

/// Initialises and unseals the node, and mounts `secret/`.
///
/// # Errors
/// [`ServerError::Dev`].
pub(crate) async fn furnish(
    node: &Arc<Node>,
    dev: &DevOptions,
    entropy: &dyn Entropy,
) -> Result<Furnished, ServerError> {
    let root_token = dev.root_token_id.clone().map(Hidden::new);
    let options = InitOptions { shares: 1, threshold: 1, root_token };
    let mut made = node.initialise(options).await.map_err(|e| ServerError::Dev(e.to_string()))?;
    let unseal_key = made.shares.pop().ok_or_else(|| ServerError::Dev("no key share was made".to_owned()))?;
    node.unseal(unseal_key.duplicate()).await.map_err(|e| ServerError::Dev(e.to_string()))?;
    if guests::names().contains(&"kv") {
        mount_kv(node, (&made.root_token, dev.kv_v1), entropy).await?;
    } else {
        tracing::warn!("secret/ is not mounted: the kv plugin is not in this binary");
    }
    Ok(Furnished { unseal_key, root_token: made.root_token })
}

/// By way of the API's own request, so that no path leads around the broker.
async fn mount_kv(
    node: &Arc<Node>,
    (root_token, is_v1): (&Hidden<String>, bool),
    entropy: &dyn Entropy,
) -> Result<(), ServerError> {
    let version = if is_v1 { "1" } else { "2" };
    let body =
        format!(r#"{{"type":"kv","description":"key/value secret storage","options":{{"version":"{version}"}}}}"#);
    let request = Request {
        id: uuid(entropy),
        verb: Verb::Write,
        path: ApiPath::checked("sys/mounts/secret".to_owned()).expect("the path is plain"),
        namespace: String::new(),
        token: Some(root_token.duplicate()),
        body: Body::Json(Hidden::new(body.into_bytes())),
        content_type: "application/json".to_owned(),
        headers: Vec::new(),
        wrap_ttl_secs: None,
        help: false,
        query: Vec::new(),
        origin: Origin {
            address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            port: 0,
            certificates: Vec::new(),
            open_metrics: false,
            open_ceremonies: OpenCeremonies::default(),
        },
    };
    match node.handle(request).await.into_reply() {
        Reply::Failed(failure) => Err(ServerError::Dev(format!("mounting secret/: {}", failure.errors.join("; ")))),
        _ => Ok(()),
    }
}

/// Where the command line looks for the token of a person who logged in.
pub(crate) fn default_token_file() -> Option<PathBuf> {
    let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty())?;
    Some(home.join(".vault-token"))
}

/// Puts the root token there, so that the next command is logged in. Only the owner may
/// read the file, which the process's umask sees to for a new one.
///
/// # Errors
/// [`ServerError::File`].
pub(crate) fn store_token(path: &Path, token: &Hidden<String>) -> Result<(), ServerError> {
    use std::io::Write;
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    let failed = |source| ServerError::File { doing: "storing the token in", path: path.to_owned(), source };
    let file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    let mut file = file.map_err(failed)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    file.write_all(token.expose().as_bytes()).map_err(failed)
}
