//! What this process may do with files, found without doing it.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

/// What a file that holds a key should not let others do: its group may read it, as service
/// users often do.
const KEY_FILE_MODE: u32 = 0o037;

/// The path itself if it is there, else the nearest folder above it that is.
pub(super) fn nearest(path: &Path) -> PathBuf {
    let there = path.ancestors().find(|above| above.symlink_metadata().is_ok());
    // Above a relative path is the working directory.
    there.filter(|above| !above.as_os_str().is_empty()).map_or_else(|| PathBuf::from("."), Path::to_owned)
}

/// Whether files can be made in a folder.
///
/// # Errors
/// What the system says against it.
pub(super) fn can_fill(folder: &Path) -> io::Result<()> {
    if !fs::metadata(folder)?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    Ok(access(folder, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK)?)
}

/// Whether a file can be written, or made where there is none.
///
/// # Errors
/// A sentence for the operator.
pub(super) fn can_write(path: &Path) -> Result<(), String> {
    match fs::metadata(path) {
        Ok(about) if about.is_dir() => Err(format!("{} is a directory", path.display())),
        Ok(_) => {
            access(path, Access::WRITE_OK).map_err(|error| format!("{} cannot be written: {error}", path.display()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            can_fill(folder)
                .map_err(|error| format!("{} cannot be made in {}: {error}", path.display(), folder.display()))
        }
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

/// Permissions, as they are written for `chmod`.
pub(super) fn mode(about: &Metadata) -> u32 {
    about.permissions().mode() & 0o7777
}

/// The permissions of a file with a key, if they let others at it.
pub(super) fn exposed(path: &Path) -> Option<u32> {
    let mode = mode(&fs::metadata(path).ok()?);
    (mode & KEY_FILE_MODE != 0).then_some(mode)
}
