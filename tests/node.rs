//! A server process of a test: started in a folder of its own, on a free port of
//! this machine, and stopped whatever happens. What must not live here: what is
//! asked of it (`http`), or what it should answer.

use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::ops::Range;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{Reply, Request};
use crate::programs::Program;

/// Longest wait for a server to answer its first request, to unseal, or to end.
pub const READY_SECS_MAX: u64 = 60;

/// The root token of a development server.
pub const DEV_ROOT: &str = "root";

/// How a server is started.
#[derive(Clone, Debug)]
pub struct Start {
    /// Which.
    pub program: Program,
    /// What stands before the program's name, e.g. `sh -c 'ulimit …; exec "$@"' sh`.
    pub prefix: Vec<String>,
    /// Arguments; `{dir}` and `{port}` are filled in.
    pub args: Vec<String>,
    /// More of the environment.
    pub env: Vec<(String, String)>,
}

impl Start {
    /// `server -dev` with the root token [`DEV_ROOT`].
    pub fn dev(program: Program) -> Start {
        let args = [
            "server",
            "-dev",
            "-dev-root-token-id=root",
            "-dev-no-store-token",
            "-dev-listen-address=127.0.0.1:{port}",
        ];
        Start { program, prefix: Vec::new(), args: args.map(str::to_owned).to_vec(), env: Vec::new() }
    }

    /// `server -config` with the file `config.hcl` of the node's folder.
    pub fn config(program: Program) -> Start {
        let args = ["server", "-config={dir}/config.hcl"].map(str::to_owned).to_vec();
        Start { program, prefix: Vec::new(), args, env: Vec::new() }
    }

    /// With more arguments.
    #[must_use]
    pub fn with(mut self, args: &[&str]) -> Start {
        self.args.extend(args.iter().map(|&arg| arg.to_owned()));
        self
    }
}

/// A running server, stopped when dropped; its folder goes with it.
pub struct Node {
    start: Start,
    child: Option<Child>,
    /// The port it listens on.
    pub port: u16,
    /// The token that [`Node::call`] sends.
    pub token: String,
    /// Unseal shares, in hex, where this test initialised it.
    pub shares: Vec<String>,
    dir: TempDir,
}

impl Node {
    /// A development server, unsealed, with KV v2 at `secret/`.
    pub fn dev(program: Program) -> Node {
        Node::dev_with(Start::dev(program))
    }

    /// A development server started like this.
    pub fn dev_with(start: Start) -> Node {
        let mut node = Node::prepare(start);
        node.token = DEV_ROOT.to_owned();
        node.spawn();
        node.until_up();
        node.until("the development mounts are there", |node| {
            node.get("sys/mounts").at("data").get("secret/").is_some()
        });
        node
    }

    /// A server with Raft storage on disk and a file audit device, not yet initialised.
    pub fn raft(program: Program) -> Node {
        let mut node = Node::prepare(Start::config(program));
        node.write_config(&node.raft_config());
        node.spawn();
        node.until_up();
        node
    }

    /// The same, initialised and unsealed.
    pub fn raft_open(program: Program) -> Node {
        let mut node = Node::raft(program);
        node.initialise(1, 1);
        node.unseal();
        node
    }

    /// A folder and a port, with nothing running yet.
    pub fn prepare(start: Start) -> Node {
        let dir = TempDir::with_prefix("bulkhead-test-").expect("a temporary folder");
        fs::create_dir(dir.path().join("data")).expect("a data folder");
        Node { start, child: None, port: free_port(), token: String::new(), shares: Vec::new(), dir }
    }

    /// The configuration of [`Node::raft`].
    pub fn raft_config(&self) -> String {
        self.member_config("node1", free_port(), "")
    }

    /// The configuration of a node of this id that listens for peers on this port; `joins` are
    /// its `retry_join` stanzas.
    pub fn member_config(&self, id: &str, cluster: u16, joins: &str) -> String {
        let (dir, port) = (self.dir.path().display(), self.port);
        format!(
            r#"
storage "raft" {{
  path    = "{dir}/data"
  node_id = "{id}"
{joins}}}
listener "tcp" {{
  address         = "127.0.0.1:{port}"
  cluster_address = "127.0.0.1:{cluster}"
  tls_disable     = true
}}
audit "file" "to-file" {{
  options = {{ file_path = "{dir}/audit.log" }}
}}
api_addr      = "http://127.0.0.1:{port}"
cluster_addr  = "https://127.0.0.1:{cluster}"
disable_mlock = true
telemetry {{
  disable_hostname          = true
  prometheus_retention_time = "30s"
}}
"#
        )
    }

    /// Writes `config.hcl`.
    pub fn write_config(&self, text: &str) {
        fs::write(self.path("config.hcl"), text).expect("writing the configuration");
    }

    /// A file of the node's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The folder of the node.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// How it is started; for the next start.
    pub fn start_mut(&mut self) -> &mut Start {
        &mut self.start
    }

    /// Starts the process, its output going to `stdout` and `stderr` of the folder.
    pub fn spawn(&mut self) {
        assert!(self.child.is_none(), "the node runs already");
        self.child = Some(self.command().spawn().expect("starting the server"));
    }

    /// The command that starts it.
    pub fn command(&self) -> Command {
        let fill = |arg: &String| {
            arg.replace("{dir}", &self.dir.path().display().to_string()).replace("{port}", &self.port.to_string())
        };
        let mut words = self.start.prefix.iter().map(fill).collect::<Vec<_>>();
        words.push(self.start.program.path().display().to_string());
        words.extend(self.start.args.iter().map(fill));
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir(self.dir.path()).env("HOME", self.dir.path());
        for name in ["VAULT_TOKEN", "BAO_TOKEN", "VAULT_ADDR", "BAO_ADDR"] {
            command.env_remove(name);
        }
        command.envs(self.start.env.iter().map(|(name, value)| (name, fill(value))));
        command.stdin(Stdio::null()).stdout(self.append("stdout")).stderr(self.append("stderr"));
        command.process_group(0);
        command
    }

    fn append(&self, name: &str) -> File {
        File::options().create(true).append(true).open(self.path(name)).expect("a log file")
    }

    /// What it has said so far.
    pub fn output(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.path(name)).unwrap_or_default();
        format!("{}{}", read("stdout"), read("stderr"))
    }

    /// Waits for the first answer.
    pub fn until_up(&mut self) {
        let asked = Request::new("GET", "/v1/sys/seal-status");
        let deadline = Instant::now() + Duration::from_secs(READY_SECS_MAX);
        while asked.send(self.port).is_err() {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            assert!(ended.is_none(), "the server ended ({ended:?}) before it answered:\n{}", self.output());
            assert!(Instant::now() < deadline, "the server does not answer:\n{}", self.output());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until something is so.
    pub fn until(&self, what: &str, is_so: impl Fn(&Node) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(READY_SECS_MAX);
        while !is_so(self) {
            assert!(Instant::now() < deadline, "waited in vain until {what}:\n{}", self.output());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Initialises it, keeping shares and root token.
    pub fn initialise(&mut self, shares: u8, threshold: u8) {
        let reply =
            self.call("PUT", "sys/init", Some(&json!({"secret_shares": shares, "secret_threshold": threshold})));
        assert_eq!(reply.status, 200, "init: {}", reply.text());
        let keys = reply.at("keys");
        self.shares = keys.as_array().expect("keys").iter().filter_map(Value::as_str).map(str::to_owned).collect();
        self.token = reply.at("root_token").as_str().expect("a root token").to_owned();
    }

    /// Gives it all shares it needs and waits until it serves.
    pub fn unseal(&self) {
        for share in &self.shares {
            let reply = self.call("PUT", "sys/unseal", Some(&json!({"key": share})));
            assert_eq!(reply.status, 200, "unseal: {}\n{}", reply.text(), self.output());
            if reply.at("sealed") == json!(false) {
                break;
            }
        }
        self.until("it is unsealed and active", |node| node.get("sys/health").status == 200);
    }

    /// A request with the node's token to `/v1/<path>`.
    ///
    /// # Errors
    /// If the node does not answer.
    pub fn try_call(&self, method: &str, path: &str, body: Option<&Value>) -> io::Result<Reply> {
        let mut request = Request::new(method, &format!("/v1/{path}"));
        if !self.token.is_empty() {
            request = request.token(&self.token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        request.send(self.port)
    }

    /// The same, where an answer is due.
    pub fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let reply = self.try_call(method, path, body);
        reply.unwrap_or_else(|error| panic!("{method} {path}: {error}\n{}", self.output()))
    }

    /// A read.
    pub fn get(&self, path: &str) -> Reply {
        self.call("GET", path, None)
    }

    /// A write that must succeed.
    pub fn put(&self, path: &str, body: &Value) -> Reply {
        let reply = self.call("PUT", path, Some(body));
        assert!(reply.status < 300, "PUT {path}: {} {}", reply.status, reply.text());
        reply
    }

    /// The process id.
    pub fn pid(&self) -> Option<Pid> {
        self.child.as_ref().and_then(|child| Pid::from_raw(i32::try_from(child.id()).ok()?))
    }

    /// Sends a signal to the server.
    pub fn signal(&self, signal: Signal) {
        let pid = self.pid().expect("the node runs");
        kill_process(pid, signal).expect("signalling the node");
    }

    /// SIGKILL, then waits for the end.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            if let Some(pid) = Pid::from_raw(i32::try_from(child.id()).unwrap_or(0)) {
                // The group, so that a program behind a wrapper goes too; gone is as good.
                let _ = kill_process_group(pid, Signal::KILL);
            }
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGTERM, and the exit status.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait_end()
    }

    /// Waits until the process ends by itself.
    pub fn wait_end(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("the node runs");
        let deadline = Instant::now() + Duration::from_secs(READY_SECS_MAX);
        loop {
            if let Some(status) = child.try_wait().expect("waiting for the server") {
                return status;
            }
            if Instant::now() > deadline {
                self.child = Some(child);
                self.kill();
                panic!("the server does not end:\n{}", self.output());
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether the process has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| child.try_wait().ok().flatten().is_some())
    }

    /// Kills it, starts it again, and waits for an answer.
    pub fn restart(&mut self) {
        self.kill();
        self.spawn();
        self.until_up();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port nobody listens on just now. Not one of those that the system gives to whoever
/// connects: another test's connection could have it before the server does.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let seed = u64::from(std::process::id()).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
    for _ in 0..PORTS.len() {
        let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed)) + seed as u32;
        let port = PORTS.start + (step % u32::from(PORTS.end - PORTS.start)) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port of {PORTS:?} is free");
}

/// Where ports for servers come from: below those that Linux gives to connections.
const PORTS: Range<u16> = 12_000..32_000;
