//! The file that names our process id, for service managers.

use std::path::PathBuf;

use crate::error::ServerError;

/// A written pid file; removed on drop.
pub(crate) struct PidFile(PathBuf);

impl PidFile {
    /// Writes the file. One that a crash left behind is replaced, as Vault does it.
    ///
    /// # Errors
    /// [`ServerError::File`].
    pub(crate) fn write(path: PathBuf) -> Result<Self, ServerError> {
        match std::fs::write(&path, std::process::id().to_string()) {
            Ok(()) => Ok(Self(path)),
            Err(source) => Err(ServerError::File { doing: "writing the pid file", path, source }),
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "the pid file could not be removed");
        }
    }
}
