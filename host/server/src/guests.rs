//! The official plugins, precompiled, inside this binary: the only native code that
//! the sandbox loads without compiling it itself. A dev server also compiles the
//! components of one folder, for authors who try theirs out.

use std::path::Path;
use std::sync::Arc;

use bulkhead_model::seam::plugin::Plugin;
use bulkhead_model::seam::seal::SealKey;
use bulkhead_sandbox::{Sandbox, SealParts};

use crate::error::ServerError;

include!(concat!(env!("OUT_DIR"), "/guests.rs"));

/// How the names of seals begin. They are loaded where the config asks for them.
const SEAL: &str = "seal-";

/// Loads all of them that can be mounted.
///
/// # Errors
/// [`ServerError::Plugin`]: the build put something else into the binary.
pub(crate) fn load(sandbox: &Sandbox) -> Result<Vec<Arc<dyn Plugin>>, ServerError> {
    let one = |(name, bytes): &(&'static str, &'static [u8])| {
        sandbox.load_trusted(bytes).map_err(|e| ServerError::Plugin { name, why: e.to_string() })
    };
    GUESTS.iter().filter(|(name, _)| !name.starts_with(SEAL)).map(one).collect()
}

/// Loads the seal of this name.
///
/// # Errors
/// [`ServerError::Plugin`]: it is not in the binary, or something else is.
pub(crate) fn load_seal(
    sandbox: &Sandbox,
    name: &'static str,
    parts: SealParts,
) -> Result<Arc<dyn SealKey>, ServerError> {
    let failed = |why: String| ServerError::Plugin { name, why };
    let inside = GUESTS.iter().find(|(known, _)| *known == name);
    let (_, bytes) = inside.ok_or_else(|| failed("this binary was built without it".to_owned()))?;
    sandbox.load_trusted_seal(bytes, parts).map_err(|error| failed(error.to_string()))
}

/// Compiles every `*.wasm` of a folder. What is no plugin for this server is told and
/// left out, so that one of them does not keep a dev server from starting.
///
/// # Errors
/// [`ServerError::File`]: the folder cannot be read.
pub(crate) fn from_dir(sandbox: &Sandbox, dir: &Path) -> Result<Vec<Arc<dyn Plugin>>, ServerError> {
    let failed = |source| ServerError::File { doing: "reading the plugin folder", path: dir.to_owned(), source };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|e| e == "wasm"));
    paths.sort();
    let mut plugins = Vec::new();
    for path in paths {
        match sandbox.compile(&std::fs::read(&path).map_err(failed)?) {
            Ok(plugin) => {
                tracing::info!(plugin = %plugin.descriptor().name, file = %path.display(), "plugin compiled");
                plugins.push(plugin);
            }
            Err(error) => tracing::warn!(file = %path.display(), %error, "no plugin for this server"),
        }
    }
    Ok(plugins)
}

/// Names of what is inside.
pub(crate) fn names() -> Vec<&'static str> {
    GUESTS.iter().map(|(name, _)| *name).collect()
}
