//! The file of a Unix socket: who may connect by it, and that it goes with its listener. A file
//! at which somebody answers, or that is no socket, is never taken away.

use std::fs::{self, File, Permissions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};
use tokio::time::{Instant, sleep};

use crate::limits::{SOCKET_LOCK_MAX, SOCKET_LOCK_PAUSE};

/// Where a Unix socket is, and whose it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketFile {
    /// The file.
    pub path: PathBuf,
    /// Its permissions; `None`: as the process's umask has them.
    pub mode: Option<u32>,
    /// Number of the user it is given to; `None`: the process's.
    pub user: Option<u32>,
    /// Number of the group it is given to; `None`: the process's.
    pub group: Option<u32>,
}

impl SocketFile {
    /// Listens at the file. One that was left behind is replaced.
    ///
    /// # Errors
    /// Somebody answers there, there is a file of another kind, or the system refuses.
    pub(crate) async fn bind(&self) -> io::Result<(UnixListener, BoundFile)> {
        let _lock = lock(&self.path).await?;
        clear(&self.path).await?;
        let listener = UnixListener::bind(&self.path)?;
        let found = fs::symlink_metadata(&self.path)?;
        let bound = BoundFile { path: self.path.clone(), identity: (found.dev(), found.ino()) };
        // First the owner: the other way round, those of the former group could connect meanwhile.
        if self.user.is_some() || self.group.is_some() {
            lchown(&self.path, self.user, self.group)?;
        }
        if let Some(mode) = self.mode {
            fs::set_permissions(&self.path, Permissions::from_mode(mode))?;
        }
        Ok((listener, bound))
    }
}

/// Keeps the folder for this process: of two that start at once, the second would take the
/// first one's fresh file for one that was left behind.
async fn lock(path: &Path) -> io::Result<File> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = File::open(folder)?;
    let deadline = Instant::now() + SOCKET_LOCK_MAX;
    loop {
        match folder.try_lock() {
            Ok(()) => return Ok(folder),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => sleep(SOCKET_LOCK_PAUSE).await,
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::new(ErrorKind::WouldBlock, "another process keeps the folder locked"));
            }
        }
    }
}

/// Takes a socket away that nobody listens at.
async fn clear(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !found.file_type().is_socket() {
        return Err(io::Error::new(ErrorKind::AlreadyExists, "there is a file that is no socket"));
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        // Full, or not ours to connect to: somebody is there.
        Ok(_) | Err(_) => Err(io::Error::new(ErrorKind::AddrInUse, "another process listens there")),
    }
}

/// A file that is listened at. It goes when this is dropped, unless it was replaced meanwhile.
pub(crate) struct BoundFile {
    pub(crate) path: PathBuf,
    /// Device and number of the file.
    identity: (u64, u64),
}

impl Drop for BoundFile {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.identity);
        if is_ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "the socket's file was not removed");
        }
    }
}

#[cfg(test)]
mod tests;
