//! `freeze-wit`: a released contract never changes. The digests written here are what
//! tests/tidy compares with.

use sha2::{Digest, Sha256};

use crate::shell::{Done, Failed, Tried, say};
use crate::workspace::{self, files_below};

/// What `cargo xtask freeze-wit` can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The folder of the version, below wit/
    version: String,
    /// Replace the digests of a version that is frozen already: only while nothing that
    /// was built against it has been released
    #[arg(long)]
    again: bool,
}

/// Runs the command.
///
/// # Errors
/// There is no such version, or it is frozen already.
pub(crate) fn run(options: &Options) -> Done {
    let wit = workspace::root().join("wit");
    let folder = wit.join(&options.version);
    let files = files_below(&folder);
    if files.is_empty() {
        return Err(Failed::new(format!("{} holds no file", folder.display())));
    }
    let pinned = wit.join(format!("{}.sha256", options.version));
    if pinned.is_file() && !options.again {
        return Err(Failed::new(format!(
            "{} is frozen already; what is released never changes: add a version",
            options.version
        )));
    }
    let mut lines = String::new();
    for path in files {
        let bytes = std::fs::read(&path).tried(format_args!("reading {}", path.display()))?;
        let name = path.strip_prefix(&wit).unwrap_or(&path).display();
        lines.push_str(&format!("{}  {name}\n", hex::encode(Sha256::digest(bytes))));
    }
    std::fs::write(&pinned, lines).tried(format_args!("writing {}", pinned.display()))?;
    say(format_args!("froze wit/{} in {}", options.version, pinned.display()));
    Ok(())
}
