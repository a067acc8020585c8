//! A node whose disk fails under it, or which is killed.

use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

use super::*;
use crate::files::{DiskFile, Files, RealFiles};

/// Real files whose writes or syncs fail with an error number once one is set.
#[derive(Default)]
struct Failing {
    write: Arc<AtomicI32>,
    sync: Arc<AtomicI32>,
}

struct FailingFile {
    file: Arc<dyn DiskFile>,
    write: Arc<AtomicI32>,
    sync: Arc<AtomicI32>,
}

fn fail(errno: &AtomicI32) -> io::Result<()> {
    match errno.load(SeqCst) {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

impl Failing {
    fn wrap(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(FailingFile { file, write: Arc::clone(&self.write), sync: Arc::clone(&self.sync) })
    }
}

impl DiskFile for FailingFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_at(buffer, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        fail(&self.write)?;
        self.file.write_at(bytes, offset)
    }
    fn sync(&self) -> io::Result<()> {
        fail(&self.sync)?;
        self.file.sync()
    }
}

impl Files for Failing {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        RealFiles.open(path).map(|file| self.wrap(file))
    }
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        RealFiles.create(path).map(|file| self.wrap(file))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealFiles.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        RealFiles.remove(path)
    }
    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        RealFiles.list(directory)
    }
    fn sync_dir(&self, directory: &Path) -> io::Result<()> {
        RealFiles.sync_dir(directory)
    }
}

async fn opened_on(config: LedgerConfig, files: Arc<dyn Files>) -> Arc<RaftLedger> {
    RaftLedger::open_on(config, files, |_| Ok(Arc::new(crate::peer::NoLink))).await.unwrap()
}

async fn stops_on(failing: Failing, which: fn(&Failing) -> &AtomicI32, errno: i32, text: &str) {
    let dir = tempfile::tempdir().unwrap();
    let failing = Arc::new(failing);
    let ledger = opened_on(small(dir.path()), Arc::clone(&failing) as Arc<dyn Files>).await;
    ledger.bootstrap().await.unwrap();
    ledger.propose(put("before", "kept")).await.unwrap();
    which(&failing).store(errno, SeqCst);
    let Err(LedgerError::Storage { doing, cause }) = ledger.propose(put("during", "lost")).await else {
        panic!("a write on a failing disk was acknowledged")
    };
    assert_eq!(doing, "writing the log");
    assert!(cause.contains(text), "{cause}");
    assert!(matches!(ledger.propose(put("after", "lost")).await, Err(LedgerError::Storage { .. })));
    assert_eq!(read(&ledger, "before").as_deref(), Some("kept"), "reads go on");
    assert_eq!(read(&ledger, "during"), None);
    which(&failing).store(0, SeqCst);
    assert!(ledger.propose(put("later", "lost")).await.is_err(), "only a restart makes it well");
    let ended = tokio::time::timeout(std::time::Duration::from_secs(5), ledger.shutdown()).await;
    assert!(ended.is_ok(), "it ends in time");

    let ledger = RaftLedger::open(small(dir.path())).await.unwrap();
    assert_eq!(read(&ledger, "before").as_deref(), Some("kept"));
    ledger.propose(put("again", "fine")).await.unwrap();
    ledger.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_full_disk_stops_writes_says_so_and_leaves_reads() {
    stops_on(Failing::default(), |failing| &failing.write, 28, "disk full: free space and restart").await;
}

#[tokio::test]
async fn a_failed_sync_is_never_acknowledged() {
    stops_on(Failing::default(), |failing| &failing.sync, 5, "os error 5").await;
}

const CHILD: &str = "BULKHEAD_LEDGER_TEST_CHILD";

/// Not a rule: the process that the next test kills. Prints each key once it is acknowledged.
#[test]
fn child_that_writes_until_it_is_killed() {
    let Some(directory) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let ledger = started(small(&directory)).await;
        let mut writing = tokio::task::JoinSet::new();
        for writer in 0..8 {
            let ledger = Arc::clone(&ledger);
            writing.spawn(async move {
                for n in 0.. {
                    let key = format!("{writer}/{n}");
                    ledger.propose(put(&key, &key)).await.unwrap();
                    println!("acknowledged {key} .");
                }
            });
        }
        writing.join_all().await;
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_it_comes_back_with_all_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for round in 1..=4 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "node::tests::faults::child_that_writes_until_it_is_killed", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut seen = 0;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            // A line cut off by the kill does not end in the mark.
            if let Some(key) = line.split("acknowledged ").nth(1).and_then(|rest| rest.strip_suffix(" .")) {
                acknowledged.push(key.to_owned());
                seen += 1;
            }
            if seen == 150 * round {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        let ledger = RaftLedger::open(small(dir.path())).await.unwrap();
        for key in &acknowledged {
            assert_eq!(read(&ledger, key).as_ref(), Some(key), "round {round}");
        }
        ledger.shutdown().await.unwrap();
    }
    assert!(acknowledged.len() >= 150 + 300 + 450 + 600);
}
