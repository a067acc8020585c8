//! Clocks and disks that go wrong: a small library of C between the nodes and the system. Where
//! there is no C compiler, or the program takes no such library, there are no such faults.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::shell::{Done, Tried};
use crate::workspace;

/// What can be turned. The order is the one of the file that both sides share.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Knob {
    /// How far the wall clock is off, in seconds.
    ClockSecs,
    /// How much longer a sync takes, in milliseconds.
    SyncMs,
    /// Whether there is no room in the data directory.
    DataFull,
    /// Whether there is no room for the audit log.
    AuditFull,
}

const KNOBS: [Knob; 4] = [Knob::ClockSecs, Knob::SyncMs, Knob::DataFull, Knob::AuditFull];

/// The knobs of one node.
pub(crate) struct Knobs {
    path: PathBuf,
    file: File,
}

impl Knobs {
    /// All at 0, in a file of their own.
    pub(crate) fn new(folder: &Path) -> Done<Self> {
        let path = folder.join("knobs");
        let file = File::create(&path).tried(format_args!("creating {}", path.display()))?;
        let knobs = Self { path, file };
        knobs.reset()?;
        Ok(knobs)
    }

    pub(crate) fn turn(&self, knob: Knob, to: i64) -> Done {
        self.file.write_all_at(&to.to_ne_bytes(), knob as u64 * 8).tried("turning a knob of a node's")
    }

    pub(crate) fn reset(&self) -> Done {
        KNOBS.iter().try_for_each(|knob| self.turn(*knob, 0))
    }
}

/// The library, built, or why there is none.
pub(crate) struct Shim(Result<PathBuf, String>);

impl Shim {
    pub(crate) fn build(program: &Path) -> Self {
        if !is_dynamic(program) {
            return Self(Err("the program takes no LD_PRELOAD".to_owned()));
        }
        let library = workspace::root().join("target/chaos/shim.so");
        let mut cc = Command::new("cc");
        cc.args(["-O1", "-shared", "-fPIC", "-o"]).arg(&library);
        cc.arg(workspace::root().join("xtask/src/chaos/shim.c")).arg("-ldl").stdin(Stdio::null());
        Self(match cc.output() {
            Ok(built) if built.status.success() => Ok(library),
            Ok(built) => Err(format!("cc cannot build it: {}", String::from_utf8_lossy(&built.stderr).trim())),
            Err(error) => Err(format!("there is no C compiler: cc: {error}")),
        })
    }

    /// Has a program use it, with these knobs.
    pub(crate) fn put_under(&self, command: &mut Command, knobs: &Knobs) {
        if let Ok(library) = &self.0 {
            command.env("LD_PRELOAD", library).env("BULKHEAD_SHIM", &knobs.path);
        }
    }

    /// Why clocks and disks cannot be made to go wrong here.
    pub(crate) fn missing(&self) -> Option<&str> {
        self.0.as_ref().err().map(String::as_str)
    }
}

/// Whether a loader puts the program together: its name is near the beginning of the file.
fn is_dynamic(program: &Path) -> bool {
    let mut head = [0; 4096];
    let read = File::open(program).and_then(|mut file| file.read(&mut head)).unwrap_or_default();
    head[..read].windows(4).any(|window| window == b"/ld-")
}
