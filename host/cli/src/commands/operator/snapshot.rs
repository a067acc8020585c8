//! `operator raft snapshot …`: the state of a cluster, saved to a file, restored, and looked at.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bulkhead_server::{Inspection, inspect_snapshot};
use serde_json::json;

use crate::client::{Call, Client};
use crate::commands::{Command, Group, Prints};
use crate::fault::{Fault, plain_io};
use crate::flags::Flag;
use crate::output::table;
use crate::session::Session;

pub(in crate::commands) const GROUP: Group = Group {
    words: "operator raft snapshot",
    about: "Save and restore the state of a cluster",
    help: "A snapshot is the whole state of a cluster at one moment, encrypted as it is on the disk.\n\nSave one:\n\n    $ bulkhead operator raft snapshot save raft.snap",
};

pub(in crate::commands) const SAVE: Command = Command {
    words: "operator raft snapshot save",
    about: "Save a snapshot to a file",
    usage: "[options] FILE",
    help: "Saves a snapshot of everything that was acknowledged before. The file is there once all of\nit came and was checked. Who has it needs the key shares of its time to read it.\n\nSave one:\n\n    $ bulkhead operator raft snapshot save raft.snap",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[],
    run: save,
};

pub(in crate::commands) const RESTORE: Command = Command {
    words: "operator raft snapshot restore",
    about: "Put a snapshot in the place of the state",
    usage: "[options] FILE",
    help: "Puts a snapshot in the place of the cluster's state, on all of its nodes. What was written\nsince it was saved is gone. With -force it may be another cluster's, or of keys replaced since:\nthe nodes are sealed then, and the key shares that were good when it was saved unseal them.\n\nGo back to a snapshot:\n\n    $ bulkhead operator raft snapshot restore raft.snap\n\nTake over that of a cluster that is lost:\n\n    $ bulkhead operator raft snapshot restore -force raft.snap",
    prints: Prints::Formatted,
    is_client: true,
    flags: &[Flag::switch("force", "Take also one of another cluster, or of keys that were replaced.")],
    run: restore,
};

pub(in crate::commands) const INSPECT: Command = Command {
    words: "operator raft snapshot inspect",
    about: "Check a snapshot and print what it holds",
    usage: "[options] FILE",
    help: "Checks all of a snapshot, without a server and without any key, and prints how much of what\nit holds. It shows no name and no value.\n\nCheck a file:\n\n    $ bulkhead operator raft snapshot inspect raft.snap",
    prints: Prints::Formatted,
    is_client: false,
    flags: &[],
    run: inspect,
};

fn save(session: &Session) -> Result<u8, Fault> {
    let path = PathBuf::from(session.one()?);
    let part = beside(&path)?;
    let saved = save_to(session, &part)
        .and_then(|()| std::fs::rename(&part, &path).map_err(|error| local("Error writing", &path, &plain_io(&error))));
    if saved.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    saved.map(|()| 0)
}

/// A name in the same folder, for as long as not all of it is there.
fn beside(path: &Path) -> Result<PathBuf, Fault> {
    let name = path.file_name().ok_or_else(|| local("Error writing", path, "it is no name of a file"))?;
    let mut part = name.to_owned();
    part.push(format!(".part{}", std::process::id()));
    Ok(path.with_file_name(part))
}

fn save_to(session: &Session, part: &Path) -> Result<(), Fault> {
    let failed = |error: std::io::Error| local("Error writing", part, &plain_io(&error));
    let client = session.client()?;
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(part).map_err(failed)?;
    let mut out = BufWriter::new(file);
    client
        .download(&Call::new("GET", "sys/storage/raft/snapshot"), &mut out)
        .map_err(|error| Fault::request("Error taking the snapshot", error))?;
    out.flush().map_err(failed)?;
    out.get_ref().sync_all().map_err(failed)?;
    inspected(part).map(drop).map_err(|why| Fault::Refused(format!("Error taking the snapshot: {why}")))
}

fn restore(session: &Session) -> Result<u8, Fault> {
    let path = PathBuf::from(session.one()?);
    let forced = session.flags.switch("force");
    // The exit code of a refusal, as the peers have it: scripts test for it.
    let unopened = |error| Fault::Refused(format!("Error opening {}: {}", path.display(), plain_io(&error)));
    let file = File::open(&path).map_err(unopened)?;
    let target = if forced { "sys/storage/raft/snapshot-force" } else { "sys/storage/raft/snapshot" };
    session
        .client()?
        .upload(&Call::new("POST", target), &file)
        .map_err(|error| Fault::request("Error installing the snapshot", error))?;
    if forced && session.is_table() && is_sealed_soon(&session.client()?) {
        session.terminal.warn("The node is sealed now: unseal it with the key shares of the snapshot's time.");
    }
    Ok(0)
}

/// How often, and how far apart, it is asked whether a node has sealed itself. Source: ours. Why: it
/// does so just after its answer.
const LOOKS: usize = 5;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Whether the node is sealed, now or in a moment.
fn is_sealed_soon(client: &Client) -> bool {
    let sealed = || {
        let told = client.json(&Call::new("GET", "sys/seal-status"));
        told.is_ok_and(|told| told.get("sealed") == Some(&json!(true)))
    };
    (0..LOOKS).any(|look| {
        if look > 0 {
            std::thread::sleep(BETWEEN_LOOKS);
        }
        sealed()
    })
}

fn inspected(path: &Path) -> Result<Inspection, String> {
    let file = File::open(path).map_err(|error| plain_io(&error))?;
    inspect_snapshot(BufReader::new(file))
}

fn inspect(session: &Session) -> Result<u8, Fault> {
    let path = PathBuf::from(session.one()?);
    let Inspection { info, spaces } = inspected(&path).map_err(|why| local("Error reading", &path, &why))?;
    let digest: String = info.digest.iter().map(|byte| format!("{byte:02x}")).collect();
    if !session.is_table() {
        let spaces =
            spaces.iter().map(|space| json!({ "name": space.name, "records": space.records, "bytes": space.bytes }));
        return session.show_value(&json!({
            "index": info.index,
            "term": info.term,
            "records": info.records,
            "bytes": info.bytes,
            "digest": digest,
            "spaces": spaces.collect::<Vec<_>>(),
        }));
    }
    let rows = [
        ("Index", info.index.to_string()),
        ("Term", info.term.to_string()),
        ("Records", info.records.to_string()),
        ("Bytes", info.bytes.to_string()),
        ("Digest", digest),
    ];
    let rows = rows.map(|(key, value)| vec![key.to_owned(), value]);
    session.terminal.out(&table::with_header(&["Key", "Value"], &rows));
    let rows = spaces.into_iter().map(|space| vec![space.name, space.records.to_string(), space.bytes.to_string()]);
    session.terminal.out("");
    session.terminal.out(&table::with_header(&["Space", "Records", "Bytes"], &rows.collect::<Vec<_>>()));
    Ok(0)
}

fn local(tried: &str, path: &Path, why: &str) -> Fault {
    Fault::Local(format!("{tried} {}: {why}", path.display()))
}
