//! The certificate and key that this node shows its peers, kept in a file that only the
//! owner may read; and certificates for others, made with the ledger's tools.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulkhead_ledger::{Authority, NodeKey};
use bulkhead_model::hidden::{Hidden, HiddenBuffer};
use bulkhead_model::reply::WipedJson;
use bulkhead_model::seam::peer::{AuthorityKeys, KeyRequest, PeerCredentials, PeerIdentity, PeerOffice, Validity};
use parking_lot::RwLock;
use serde_json::{Value, json};

use crate::error::ServerError;

/// Name of the file in the data directory.
const FILE: &str = "peer.json";

/// Makes certificates, and keeps this node's.
pub(super) struct Office {
    path: PathBuf,
    current: RwLock<Option<Arc<PeerCredentials>>>,
}

impl Office {
    /// Reads the node's file, if there is one.
    ///
    /// # Errors
    /// [`ServerError`]: it is there, and can't be used.
    pub(super) fn open(directory: &Path) -> Result<Self, ServerError> {
        let path = directory.join(FILE);
        let current = match std::fs::read(&path) {
            Ok(bytes) => Some(Arc::new(parsed(&Hidden::new(bytes)).ok_or_else(|| ServerError::Cluster {
                doing: format!("reading {}", path.display()),
                why: "it is damaged: remove it, and let this node join again".to_owned(),
            })?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(ServerError::File { doing: "reading the node's certificate in", path, source }),
        };
        Ok(Self { path, current: RwLock::new(current) })
    }

    /// Puts the file there whole, or not at all.
    fn keep(&self, credentials: &PeerCredentials) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(printed(credentials).expose())?;
        file.sync_all()?;
        std::fs::rename(&new, &self.path)?;
        self.path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    }
}

fn printed(credentials: &PeerCredentials) -> Hidden<Vec<u8>> {
    let authorities: Vec<String> = credentials.authorities.iter().map(|der| STANDARD.encode(der)).collect();
    let text = WipedJson(json!({
        "format": 1,
        "certificate": STANDARD.encode(&credentials.certificate),
        "key": STANDARD.encode(credentials.key.expose()),
        "authorities": authorities,
        "valid_from_secs": credentials.validity.from_secs,
        "valid_until_secs": credentials.validity.until_secs,
    }));
    let mut buffer = HiddenBuffer::with_capacity(4096);
    serde_json::to_writer(&mut buffer, &text.0).expect("a JSON value is plain data");
    buffer.into_hidden()
}

fn parsed(bytes: &Hidden<Vec<u8>>) -> Option<PeerCredentials> {
    let text = WipedJson(serde_json::from_slice(bytes.expose()).ok()?);
    let der = |value: &Value| STANDARD.decode(value.as_str()?).ok().filter(|der| !der.is_empty());
    let secs = |name: &str| text.0.get(name)?.as_u64();
    Some(PeerCredentials {
        certificate: der(text.0.get("certificate")?)?,
        key: Hidden::new(der(text.0.get("key")?)?),
        authorities: text.0.get("authorities")?.as_array()?.iter().map(der).collect::<Option<_>>()?,
        validity: Validity { from_secs: secs("valid_from_secs")?, until_secs: secs("valid_until_secs")? },
    })
}

impl PeerIdentity for Office {
    fn current(&self) -> Option<Arc<PeerCredentials>> {
        self.current.read().clone()
    }
}

impl PeerOffice for Office {
    fn found(&self, validity: Validity) -> Result<AuthorityKeys, String> {
        let made = Authority::found(validity).map_err(|e| e.to_string())?;
        Ok(AuthorityKeys { certificate: made.certificate().to_vec(), key: made.key().duplicate() })
    }

    fn issue(
        &self,
        authority: &AuthorityKeys,
        number: u64,
        request: &[u8],
        validity: Validity,
    ) -> Result<Vec<u8>, String> {
        let authority = Authority::kept(authority.certificate.clone(), authority.key.duplicate());
        authority.issue(number, request, validity).map_err(|e| e.to_string())
    }

    fn request(&self) -> Result<KeyRequest, String> {
        let key = NodeKey::generate().map_err(|e| e.to_string())?;
        let request = key.request().map_err(|e| e.to_string())?;
        Ok(KeyRequest { key: key.into_key(), request })
    }

    fn install(&self, number: u64, credentials: PeerCredentials, now_secs: u64) -> Result<(), String> {
        bulkhead_ledger::check_credentials(number, &credentials, now_secs).map_err(|error| error.to_string())?;
        // One at a time: two would write into one file beside, and put a mixture of both in its place.
        let mut current = self.current.write();
        self.keep(&credentials).map_err(|error| format!("writing {}: {error}", self.path.display()))?;
        *current = Some(Arc::new(credentials));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const YEARS: Validity = Validity { from_secs: 1_500_000_000, until_secs: 4_000_000_000 };

    fn furnished(directory: &Path) -> Office {
        let office = Office::open(directory).expect("a folder without the file");
        assert!(office.current().is_none());
        let authority = office.found(YEARS).expect("an authority");
        let asked = office.request().expect("a key");
        let certificate = office.issue(&authority, 7, &asked.request, YEARS).expect("a certificate");
        let authorities = vec![authority.certificate];
        office
            .install(7, PeerCredentials { certificate, key: asked.key, authorities, validity: YEARS }, 2_000_000_000)
            .expect("the folder can be written");
        office
    }

    #[test]
    fn credentials_are_kept_for_the_owner_alone_and_read_back() {
        let dir = tempfile::tempdir().expect("a folder");
        let made = furnished(dir.path()).current().expect("they were installed");
        let mode = std::fs::metadata(dir.path().join(FILE)).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let read = Office::open(dir.path()).expect("it can be read").current().expect("they were kept");
        assert_eq!((&read.certificate, &read.authorities), (&made.certificate, &made.authorities));
        assert!(read.key == made.key && read.validity == made.validity);
    }

    fn copy(made: &PeerCredentials) -> PeerCredentials {
        PeerCredentials {
            certificate: made.certificate.clone(),
            key: made.key.duplicate(),
            authorities: made.authorities.clone(),
            validity: YEARS,
        }
    }

    #[test]
    fn credentials_that_come_at_once_are_kept_one_after_the_other() {
        let dir = tempfile::tempdir().expect("a folder");
        let office = furnished(dir.path());
        let made = office.current().expect("they were installed");
        std::thread::scope(|scope| {
            let install = || (0..20).all(|_| office.install(7, copy(&made), 2_000_000_000).is_ok());
            let installing: Vec<_> = (0..4).map(|_| scope.spawn(install)).collect();
            assert!(installing.into_iter().all(|one| one.join().expect("no panic")));
        });
        assert!(Office::open(dir.path()).expect("it can be read").current().is_some());
    }

    #[test]
    fn a_certificate_of_another_node_is_not_put_into_use() {
        let dir = tempfile::tempdir().expect("a folder");
        let office = furnished(dir.path());
        let made = office.current().expect("they were installed");
        assert!(office.install(8, copy(&made), 2_000_000_000).is_err());
        assert!(office.current().is_some_and(|now| Arc::ptr_eq(&now, &made)));
    }

    #[test]
    fn a_file_that_is_cut_keeps_the_node_from_starting() {
        let dir = tempfile::tempdir().expect("a folder");
        furnished(dir.path());
        let path = dir.path().join(FILE);
        let whole = std::fs::read(&path).expect("the file");
        std::fs::write(&path, &whole[..whole.len() / 2]).expect("writes");
        assert!(Office::open(dir.path()).is_err());
    }
}
