//! The nodes: their folders, processes and shares, and what the runner asks of them.

mod links;
pub(crate) mod shim;

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use self::links::{Links, listener};
use self::shim::{Knob, Knobs, Shim};
use crate::http::{Connection, request};
use crate::shell::{Done, Failed, Tried, say};

/// How long the cluster may take for anything that is no fault.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long one answer to the runner may take.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// How long a new cluster's first answers may take: they make keys.
const FOUNDING_MAX: Duration = Duration::from_secs(60);

/// Entries of the log before a snapshot takes their place, and behind it, where nodes are to be
/// broken. Why so few: whoever is away for seconds is to be sent a snapshot.
const SMALL_LOGS: &str = "  snapshot_threshold = 300\n  trailing_logs      = 100\n";

/// What a cluster is started as.
pub(crate) struct Setup<'a> {
    pub(crate) program: Program,
    pub(crate) folder: &'a Path,
    pub(crate) nodes: usize,
    /// Whether it is to be broken: between the nodes are relays, below them a disk and a clock
    /// that can go wrong, and their logs are small.
    pub(crate) breakable: bool,
    /// Whether each has a file audit device.
    pub(crate) audit: bool,
}

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

impl Node {
    /// Its process, if it runs.
    pub(crate) fn pid(&self) -> Option<String> {
        self.child.as_ref().map(|child| child.id().to_string())
    }

    /// The status of `sys/health`, if it answers.
    pub(crate) fn health(&self) -> Option<u16> {
        if self.child.is_none() || self.paused {
            return None;
        }
        let mut connection = Connection::open(self.api, ANSWER_MAX).ok()?;
        Some(connection.exchange(&request("GET", "sys/health", "", "")).ok()?.status)
    }
}

impl Cluster {
    /// Starts the nodes, unsealed, voting, with KV version 2 at `kv/`. A bug on purpose is there
    /// once this returns, and not before.
    pub(crate) fn start(setup: Setup<'_>) -> Done<Self> {
        let Setup { program, folder, nodes, breakable, audit } = setup;
        let found = program.binary.canonicalize().tried(format_args!("finding {}", program.binary.display()))?;
        let program = Program { binary: found, ..program };
        let links = Links::new(nodes);
        let apis: Vec<SocketAddr> = (0..nodes).map(|_| Ok(listener()?.1)).collect::<Done<_>>()?;
        let mut started = Vec::new();
        for at in 0..nodes {
            let folder = folder.join(format!("node{at}"));
            fs::create_dir_all(folder.join("data")).tried(format_args!("creating {}", folder.display()))?;
            let (_, inside) = listener()?;
            let told = if breakable {
                let (outside, told) = listener()?;
                links.relay(outside, at, inside);
                told
            } else {
                inside
            };
            let logs = if breakable { SMALL_LOGS } else { "" };
            let text = config(&folder, at, &apis, (inside, told), logs) + &audit_config(&folder, audit);
            fs::write(folder.join("config.hcl"), text).tried("writing a configuration")?;
            let knobs = Knobs::new(&folder)?;
            started.push(Node { folder, api: apis[at], child: None, knobs, paused: false, spent: false });
        }
        let (share, token) = (String::new(), String::new());
        let bug = program.bug;
        let program = Program { bug: None, ..program };
        let shim = if breakable { Shim::build(&program.binary) } else { Shim::none() };
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
            self.until(&format!("node{at} answers"), |cluster| cluster.nodes[at].health().is_some())?;
        }
        let alone = json!({"secret_shares": 1, "secret_threshold": 1});
        let keys = self.ask_within(FOUNDING_MAX, 0, ("PUT", "sys/init"), &alone)?;
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
        self.ask_within(FOUNDING_MAX, 0, ("PUT", "sys/mounts/kv"), &kv)?;
        let ready = json!({"data": {"ready": "yes"}});
        self.until("the mount takes writes", |cluster| cluster.ask(0, "PUT", "kv/data/ready", &ready).is_ok())
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
        match self.nodes[at].health() {
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
        (0..self.nodes.len()).find(|at| self.nodes[*at].health() == Some(200))
    }

    /// Waits until a node says that it leads.
    pub(crate) fn until_led(&mut self) -> Done<usize> {
        let mut found = None;
        self.until("one of the nodes leads", |cluster| {
            found = cluster.leader();
            found.is_some()
        })?;
        found.ok_or_else(|| Failed::new("no node leads"))
    }

    fn voters(&self, leader: usize) -> Option<usize> {
        let told = self.ask(leader, "GET", "sys/storage/raft/configuration", &Value::Null).ok()?;
        let servers = told.pointer("/data/config/servers")?.as_array()?;
        Some(servers.iter().filter(|server| server["voter"] == json!(true)).count())
    }

    /// The JSON of a good answer.
    pub(crate) fn ask(&self, at: usize, method: &str, path: &str, body: &Value) -> Done<Value> {
        self.ask_within(ANSWER_MAX, at, (method, path), body)
    }

    fn ask_within(&self, answer_max: Duration, at: usize, (method, path): (&str, &str), body: &Value) -> Done<Value> {
        let what = format!("{method} {path} on node{at}");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut connection = Connection::open(self.nodes[at].api, answer_max).tried(&what)?;
        let answer = connection.exchange(&request(method, path, &self.token, &body)).tried(&what)?;
        if !(200..300).contains(&answer.status) {
            let text = String::from_utf8_lossy(answer.body).into_owned();
            return Err(Failed::new(format!("{what}: status {}: {text}", answer.status)));
        }
        Ok(serde_json::from_slice(answer.body).unwrap_or_default())
    }

    /// Runs the program as a client of this node.
    pub(crate) fn command(&self, at: usize, arguments: &[&str]) -> Done {
        let mut command = Command::new(&self.program.binary);
        command.args(arguments).env("VAULT_TOKEN", &self.token);
        command.env("VAULT_ADDR", format!("http://{}", self.nodes[at].api));
        let what = format!("bulkhead {}", arguments.join(" "));
        let output = command.output().tried(&what)?;
        if !output.status.success() {
            return Err(Failed::new(format!("{what}: {}", String::from_utf8_lossy(&output.stderr).trim())));
        }
        Ok(())
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

fn config(
    folder: &Path,
    at: usize,
    apis: &[SocketAddr],
    (inside, told): (SocketAddr, SocketAddr),
    logs: &str,
) -> String {
    let (folder, api) = (folder.display(), apis[at]);
    let others = apis.iter().filter(|other| **other != api);
    let joins: String = others.map(|api| format!("  retry_join {{ leader_api_addr = \"http://{api}\" }}\n")).collect();
    format!(
        r#"storage "raft" {{
  path    = "{folder}/data"
  node_id = "node{at}"
{logs}{joins}}}
listener "tcp" {{
  address         = "{api}"
  cluster_address = "{inside}"
  tls_disable     = true
}}
api_addr      = "http://{api}"
cluster_addr  = "https://{told}"
disable_mlock = true
log_level     = "info"
"#
    )
}

fn audit_config(folder: &Path, audit: bool) -> String {
    let path = folder.join("audit.log");
    let device = format!("audit \"file\" \"file\" {{\n  options = {{ file_path = \"{}\" }}\n}}\n", path.display());
    if audit { device } else { String::new() }
}
