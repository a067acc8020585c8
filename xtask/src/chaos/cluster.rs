//! The nodes: their folders, processes and shares, and what the runner asks of them.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::links::{Links, listener};
use super::shim::{Knob, Knobs, Shim};
use crate::http::{Connection, request};
use crate::shell::{Done, Failed, Tried, say};

/// How long the cluster may take for anything that is no fault.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long one answer to the runner may take.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Entries of the log before a snapshot takes their place, and behind it. Why so few: whoever
/// is away for seconds is to be sent a snapshot.
const SNAPSHOT_ENTRIES: u64 = 300;
const TRAILING_ENTRIES: u64 = 100;

/// Several nodes and the network between them.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    pub(crate) links: Arc<Links>,
    pub(crate) shim: Shim,
    program: Program,
    share: String,
    pub(crate) token: String,
}

pub(crate) struct Node {
    folder: PathBuf,
    pub(crate) api: SocketAddr,
    child: Option<Child>,
    knobs: Knobs,
    /// Stopped by SIGSTOP.
    paused: bool,
    /// Its disk was full: it writes nothing more until it is started anew.
    spent: bool,
}

/// What the nodes run.
pub(crate) struct Program {
    pub(crate) binary: PathBuf,
    /// What is wrong with it on purpose.
    pub(crate) bug: Option<&'static str>,
}

impl Cluster {
    /// Starts the nodes, unsealed, voting, with KV version 2 at `kv/`. A bug on purpose is there
    /// once this returns, and not before.
    pub(crate) fn start(program: Program, folder: &Path, nodes: usize) -> Done<Self> {
        let found = program.binary.canonicalize().tried(format_args!("finding {}", program.binary.display()))?;
        let program = Program { binary: found, ..program };
        let links = Links::new(nodes);
        let apis: Vec<SocketAddr> = (0..nodes).map(|_| Ok(listener()?.1)).collect::<Done<_>>()?;
        let mut started = Vec::new();
        for at in 0..nodes {
            let folder = folder.join(format!("node{at}"));
            fs::create_dir_all(folder.join("data")).tried(format_args!("creating {}", folder.display()))?;
            let (outside, told) = listener()?;
            let (_, inside) = listener()?;
            links.relay(outside, at, inside);
            let text = config(&folder, at, &apis, (inside, told));
            fs::write(folder.join("config.hcl"), text).tried("writing a configuration")?;
            let knobs = Knobs::new(&folder)?;
            started.push(Node { folder, api: apis[at], child: None, knobs, paused: false, spent: false });
        }
        let (share, token) = (String::new(), String::new());
        let bug = program.bug;
        let program = Program { bug: None, ..program };
        let shim = Shim::build(&program.binary);
        let mut cluster = Self { nodes: started, links, shim, program, share, token };
        cluster.found()?;
        if bug.is_some() {
            cluster.program.bug = bug;
            (0..nodes).try_for_each(|at| cluster.kill(at))?;
            cluster.mend()?;
        }
        Ok(cluster)
    }

    fn found(&mut self) -> Done {
        for at in 0..self.nodes.len() {
            self.spawn(at)?;
        }
        for at in 0..self.nodes.len() {
            self.until(&format!("node{at} answers"), |cluster| cluster.health(at).is_some())?;
        }
        let keys = self.ask(0, "PUT", "sys/init", &json!({"secret_shares": 1, "secret_threshold": 1}))?;
        self.share = text_at(&keys, "/keys_base64/0")?;
        self.token = text_at(&keys, "/root_token")?;
        for at in 0..self.nodes.len() {
            self.until(&format!("node{at} joins"), |cluster| cluster.unseal(at))?;
            if at == 0 {
                let fast = json!({"server_stabilization_time": "0s", "last_contact_threshold": "3s"});
                self.until("the autopilot takes its settings", |cluster| {
                    cluster.ask(0, "PUT", "sys/storage/raft/autopilot/configuration", &fast).is_ok()
                })?;
            }
        }
        self.until_whole()?;
        let kv = json!({"type": "kv", "options": {"version": "2"}});
        self.ask(0, "PUT", "sys/mounts/kv", &kv).map(drop)
    }

    /// Starts the process of a node. It is sealed.
    pub(crate) fn spawn(&mut self, at: usize) -> Done {
        let node = &mut self.nodes[at];
        let log = File::options().create(true).append(true).open(node.folder.join("server.log"));
        let log = log.tried("opening a server's log")?;
        let errors = log.try_clone().tried("opening a server's log twice")?;
        let mut command = Command::new(&self.program.binary);
        command.arg("server").arg(format!("-config={}", node.folder.join("config.hcl").display()));
        command.current_dir(&node.folder).stdin(Stdio::null()).stdout(log).stderr(errors);
        command.envs(self.program.bug.map(|bug| ("BULKHEAD_PLANTED_BUG", bug)));
        self.shim.put_under(&mut command, &node.knobs);
        let child = command.spawn().tried(format_args!("starting {}", self.program.binary.display()))?;
        self.links.set_pid(at, child.id());
        node.child = Some(child);
        Ok(())
    }

    /// Ends it as a power cut does, as far as a process can be.
    pub(crate) fn kill(&mut self, at: usize) -> Done {
        let node = &mut self.nodes[at];
        (node.paused, node.spent) = (false, false);
        let Some(mut child) = node.child.take() else { return Ok(()) };
        child.kill().tried(format_args!("killing node{at}"))?;
        child.wait().tried(format_args!("waiting for node{at}")).map(drop)
    }

    /// Asks it to end, and waits.
    pub(crate) fn terminate(&mut self, at: usize) -> Done {
        let Some(mut child) = self.nodes[at].child.take() else { return Ok(()) };
        signal(&child, "TERM")?;
        child.wait().tried(format_args!("waiting for node{at}")).map(drop)
    }

    /// Stops the process where it is, or lets it go on as if no time had passed.
    pub(crate) fn pause(&mut self, at: usize, paused: bool) -> Done {
        let node = &mut self.nodes[at];
        let Some(child) = &node.child else { return Ok(()) };
        signal(child, if paused { "STOP" } else { "CONT" })?;
        node.paused = paused;
        Ok(())
    }

    /// Makes a node's clock or disk go wrong, until it is mended.
    pub(crate) fn turn(&mut self, at: usize, knob: Knob, to: i64) -> Done {
        self.nodes[at].spent |= matches!(knob, Knob::DataFull);
        self.nodes[at].knobs.turn(knob, to)
    }

    /// Removes everything a node knew. It must not run.
    pub(crate) fn wipe(&mut self, at: usize) -> Done {
        let data = self.nodes[at].folder.join("data");
        fs::remove_dir_all(&data).tried(format_args!("wiping node{at}"))?;
        fs::create_dir_all(&data).tried(format_args!("wiping node{at}"))
    }

    /// Starts what does not run, lets go on what is paused, heals network, clocks and disks, and
    /// waits until all nodes are unsealed and voting.
    pub(crate) fn mend(&mut self) -> Done {
        self.links.heal();
        for at in 0..self.nodes.len() {
            self.nodes[at].knobs.reset()?;
            if self.nodes[at].spent {
                self.kill(at)?;
            }
            if self.nodes[at].paused {
                self.pause(at, false)?;
            }
            if self.nodes[at].child.is_none() {
                self.spawn(at)?;
            }
        }
        self.until_whole()
    }

    /// Waits until all nodes are unsealed and voting and one leads.
    fn until_whole(&mut self) -> Done {
        self.until("all nodes are unsealed, one of them leads and all vote", |cluster| {
            let all = 0..cluster.nodes.len();
            let open = all.clone().filter(|at| cluster.unseal(*at)).count() == all.len();
            open && cluster.leader().is_some_and(|leader| cluster.voters(leader) == Some(cluster.nodes.len()))
        })
    }

    /// Gives a node its share if it wants it; says whether it is unsealed.
    pub(crate) fn unseal(&self, at: usize) -> bool {
        match self.health(at) {
            Some(200 | 429) => true,
            Some(503) => {
                let _ = self.ask(at, "PUT", "sys/unseal", &json!({"key": self.share}));
                false
            }
            _ => false,
        }
    }

    /// The node that says it leads.
    pub(crate) fn leader(&self) -> Option<usize> {
        (0..self.nodes.len()).find(|at| self.health(*at) == Some(200))
    }

    fn voters(&self, leader: usize) -> Option<usize> {
        let told = self.ask(leader, "GET", "sys/storage/raft/configuration", &Value::Null).ok()?;
        let servers = told.pointer("/data/config/servers")?.as_array()?;
        Some(servers.iter().filter(|server| server["voter"] == json!(true)).count())
    }

    pub(crate) fn health(&self, at: usize) -> Option<u16> {
        if self.nodes[at].child.is_none() || self.nodes[at].paused {
            return None;
        }
        let mut connection = Connection::open(self.nodes[at].api, ANSWER_MAX).ok()?;
        Some(connection.exchange(&request("GET", "sys/health", "", "")).ok()?.status)
    }

    /// The JSON of a good answer.
    pub(crate) fn ask(&self, at: usize, method: &str, path: &str, body: &Value) -> Done<Value> {
        let what = format!("{method} {path} on node{at}");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut connection = Connection::open(self.nodes[at].api, ANSWER_MAX).tried(&what)?;
        let answer = connection.exchange(&request(method, path, &self.token, &body)).tried(&what)?;
        if !(200..300).contains(&answer.status) {
            let text = String::from_utf8_lossy(answer.body).into_owned();
            return Err(Failed::new(format!("{what}: status {}: {text}", answer.status)));
        }
        Ok(serde_json::from_slice(answer.body).unwrap_or_default())
    }

    /// Waits for something.
    ///
    /// # Errors
    /// It does not happen: what was seen last is in the servers' logs, which are kept.
    pub(crate) fn until(&mut self, what: &str, mut happened: impl FnMut(&mut Self) -> bool) -> Done {
        let deadline = Instant::now() + PATIENCE;
        while !happened(self) {
            if Instant::now() > deadline {
                say(format_args!("the nodes' folders are kept: {}", self.keep().display()));
                return Err(Failed::new(format!("not within {} s: {what}", PATIENCE.as_secs())));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// What each node says its records are, once all stand at one entry: the entry, and a digest
    /// for each node.
    ///
    /// # Errors
    /// They do not come to one entry.
    pub(crate) fn digests(&mut self) -> Done<(u64, Vec<String>)> {
        let mut found = (0, Vec::new());
        self.until("all nodes stand at one entry", |cluster| {
            let told = (0..cluster.nodes.len()).map(|at| cluster.digest(at));
            let Ok(told) = told.collect::<Done<Vec<_>>>() else { return false };
            let index = told[0].0;
            let alike = told.iter().all(|(other, _)| *other == index);
            found = (index, told.into_iter().map(|(_, digest)| digest).collect());
            alike
        })?;
        Ok(found)
    }

    fn digest(&self, at: usize) -> Done<(u64, String)> {
        let told = self.ask(at, "GET", "sys/storage/raft/digest", &Value::Null)?;
        let index = told.pointer("/data/applied_index").and_then(Value::as_u64).unwrap_or_default();
        Ok((index, text_at(&told, "/data/digest")?))
    }

    /// Copies what was written, for whoever looks for the reason.
    pub(crate) fn keep(&self) -> PathBuf {
        let kept = crate::workspace::root().join("target/chaos-kept");
        let _ = fs::remove_dir_all(&kept);
        if let Some(all) = self.nodes[0].folder.parent() {
            let _ = Command::new("cp").arg("-r").arg(all).arg(&kept).status();
        }
        kept
    }

    /// Every file that a node wrote.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut folders: Vec<PathBuf> = self.nodes.iter().map(|node| node.folder.clone()).collect();
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        files
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.nodes.iter_mut().filter_map(|node| node.child.as_mut()) {
            // Both fail only if it has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn signal(child: &Child, name: &str) -> Done {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status();
    match sent.tried("running kill")?.success() {
        true => Ok(()),
        false => Err(Failed::new(format!("process {} took no signal {name}", child.id()))),
    }
}

fn text_at(json: &Value, pointer: &str) -> Done<String> {
    let text = json.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    text.ok_or_else(|| Failed::new(format!("an answer has no {pointer}")))
}

fn config(folder: &Path, at: usize, apis: &[SocketAddr], (inside, told): (SocketAddr, SocketAddr)) -> String {
    let (folder, api) = (folder.display(), apis[at]);
    let others = apis.iter().filter(|other| **other != api);
    let joins: String = others.map(|api| format!("  retry_join {{ leader_api_addr = \"http://{api}\" }}\n")).collect();
    format!(
        r#"storage "raft" {{
  path    = "{folder}/data"
  node_id = "node{at}"
  snapshot_threshold = {SNAPSHOT_ENTRIES}
  trailing_logs      = {TRAILING_ENTRIES}
{joins}}}
listener "tcp" {{
  address         = "{api}"
  cluster_address = "{inside}"
  tls_disable     = true
}}
audit "file" "file" {{
  options = {{ file_path = "{folder}/audit.log" }}
}}
api_addr      = "http://{api}"
cluster_addr  = "https://{told}"
disable_mlock = true
log_level     = "info"
"#
    )
}
