//! The file that keeps the token between commands: `~/.vault-token`, shared with the
//! peers' command lines, readable by its owner alone.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use bulkhead_model::hidden::Hidden;

use crate::env::Environment;

/// Where a token is kept.
pub(crate) struct TokenFile {
    path: PathBuf,
}

impl TokenFile {
    /// The file that the setting `TOKEN_PATH` names, else the one in the home directory.
    ///
    /// # Errors
    /// There is neither.
    pub(crate) fn of(env: &Environment) -> io::Result<Self> {
        let named = env.setting("TOKEN_PATH").map(PathBuf::from);
        let at_home = || env.home().map(|home| home.join(".vault-token"));
        let path = named.or_else(at_home).ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, "there is no home directory, so there is no place for the token")
        })?;
        Ok(Self { path })
    }

    /// The token kept there; none if there is no file or nothing in it.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn load(&self) -> io::Result<Option<Hidden<String>>> {
        match fs::read_to_string(&self.path) {
            Ok(text) => {
                let text = Hidden::new(text);
                let token = text.expose().trim();
                Ok((!token.is_empty()).then(|| Hidden::new(token.to_owned())))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps a token. The old file is replaced in one step, so that a reader sees the
    /// old token or the new one.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn store(&self, token: &str) -> io::Result<()> {
        let mut name = self.path.clone().into_os_string();
        name.push(".tmp");
        let temporary = PathBuf::from(name);
        // Left over from a crash, it could have other permissions: start anew.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(token.as_bytes())?;
        drop(file);
        fs::rename(&temporary, &self.path)
    }
}

#[cfg(test)]
mod tests;
