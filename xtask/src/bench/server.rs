//! A server under measurement: its configuration, its life, and how long its start
//! and unseal take.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};

use super::load::{Asked, USER};
use super::{ANSWER_MAX, process};
use crate::http::{Connection, request};
use crate::shell::{Done, Failed, Tried};

/// How long a server may take to do anything at all.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long start and unseal took, in milliseconds.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Startup {
    /// From starting the process to its first answer on sys/health.
    pub(crate) ready_ms: f64,
    /// From the unseal request to being active.
    pub(crate) unseal_ms: f64,
}

/// A running server; it ends with this value.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    binary: PathBuf,
    folder: PathBuf,
    address: SocketAddr,
    child: Child,
    ready_ms: f64,
    key: String,
    token: String,
    role_id: String,
    secret_id: String,
}

impl Server {
    /// Writes the configuration and starts the server on it.
    pub(crate) fn start(name: &'static str, binary: PathBuf, scratch: &Path, audit: bool) -> Done<Self> {
        // The server runs in a folder of its own, where a relative path would lead nowhere.
        let binary = binary.canonicalize().tried(format_args!("finding {}", binary.display()))?;
        let folder = scratch.join(name);
        std::fs::create_dir_all(folder.join("data")).tried(format_args!("creating {}", folder.display()))?;
        let (address, cluster) = (free_address()?, free_address()?);
        let file = folder.join("config.hcl");
        std::fs::write(&file, config(&folder, address, cluster, audit)).tried("writing the configuration")?;
        let (child, ready_ms) = spawn(&binary, &folder, address)?;
        Ok(Self {
            name,
            binary,
            folder,
            address,
            child,
            ready_ms,
            key: String::new(),
            token: String::new(),
            role_id: String::new(),
            secret_id: String::new(),
        })
    }

    /// Initialises, unseals and mounts KV v2 at secret/.
    pub(crate) fn initialise(&mut self) -> Done<Startup> {
        let (_, keys) = self.call("PUT", "sys/init", &json!({"secret_shares": 1, "secret_threshold": 1}), &[200])?;
        self.key = text_at(&keys, "/keys_base64/0")?;
        self.token = text_at(&keys, "/root_token")?;
        let unseal_ms = self.unseal()?;
        self.call("POST", "sys/mounts/secret", &json!({"type": "kv", "options": {"version": "2"}}), &[200, 204])?;
        self.until_ready()?;
        Ok(Startup { ready_ms: self.ready_ms, unseal_ms })
    }

    /// Enables the auth methods whose logins are measured, alike on both: the same cost of a
    /// password's hash, no limit of uses.
    pub(crate) fn enable_logins(&mut self) -> Done {
        let (name, password) = USER;
        let role = json!({"token_policies": ["default"], "token_ttl": "60s"});
        for (path, body) in [
            ("sys/auth/approle", json!({"type": "approle"})),
            ("sys/auth/userpass", json!({"type": "userpass"})),
            ("auth/approle/role/bench", role.clone()),
            (&format!("auth/userpass/users/{name}"), json!({"password": password, "token_ttl": "60s"})),
        ] {
            self.call("POST", path, &body, &[200, 204])?;
        }
        let (_, role_id) = self.call("GET", "auth/approle/role/bench/role-id", &Value::Null, &[200])?;
        let (_, secret_id) = self.call("POST", "auth/approle/role/bench/secret-id", &json!({}), &[200])?;
        self.role_id = text_at(&role_id, "/data/role_id")?;
        self.secret_id = text_at(&secret_id, "/data/secret_id")?;
        Ok(())
    }

    /// Stops it and starts it again on its data, cold.
    pub(crate) fn restart(&mut self) -> Done<Startup> {
        self.stop()?;
        self.start_again()
    }

    /// Starts it again on its data, cold.
    pub(crate) fn start_again(&mut self) -> Done<Startup> {
        let (child, ready_ms) = spawn(&self.binary, &self.folder, self.address)?;
        self.child = child;
        let unseal_ms = self.unseal()?;
        Ok(Startup { ready_ms, unseal_ms })
    }

    /// What a phase needs to know of it.
    pub(crate) fn asked(&self) -> Asked {
        Asked {
            name: self.name,
            addresses: vec![self.address],
            token: self.token.clone(),
            mount: "secret",
            role_id: self.role_id.clone(),
            secret_id: self.secret_id.clone(),
            pids: vec![self.pid()],
        }
    }

    fn pid(&self) -> String {
        self.child.id().to_string()
    }

    pub(crate) fn rss_kib(&self) -> Done<u64> {
        process::rss_kib(&self.pid())
    }

    /// Processor time so far.
    pub(crate) fn cpu_us(&self) -> Done<u64> {
        process::cpu_us(&self.pid())
    }

    pub(crate) fn binary_bytes(&self) -> Done<u64> {
        Ok(std::fs::metadata(&self.binary).tried(format_args!("reading {}", self.binary.display()))?.len())
    }

    pub(crate) fn version(&self) -> Done<String> {
        let printed = crate::shell::read(Command::new(&self.binary).arg("version"))?;
        Ok(printed.lines().next().unwrap_or_default().to_owned())
    }

    fn unseal(&self) -> Done<f64> {
        let started = Instant::now();
        self.call("PUT", "sys/unseal", &json!({"key": self.key}), &[200])?;
        self.until("become active", || health(self.address) == Some(200))?;
        Ok(millis(started))
    }

    /// A fresh KV v2 mount may refuse requests for a moment.
    fn until_ready(&self) -> Done {
        let body = json!({"data": {"ready": "yes"}});
        self.until("mount secret/", || self.call("POST", "secret/data/ready", &body, &[200]).is_ok())
    }

    fn until(&self, what: &str, happened: impl Fn() -> bool) -> Done {
        wait(happened)
            .map_err(|()| Failed::new(format!("{} did not {what} within {} s", self.name, PATIENCE.as_secs())))
    }

    pub(crate) fn call(&self, method: &str, path: &str, body: &Value, wanted: &[u16]) -> Done<(u16, Value)> {
        let what = format!("{method} {path} on {}", self.name);
        let mut connection = Connection::open(self.address, ANSWER_MAX).tried(&what)?;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = connection.exchange(&request(method, path, &self.token, &body)).tried(&what)?;
        if !wanted.contains(&answer.status) {
            let text = String::from_utf8_lossy(answer.body).into_owned();
            return Err(Failed::new(format!("{what}: status {}: {text}", answer.status)));
        }
        Ok((answer.status, serde_json::from_slice(answer.body).unwrap_or_default()))
    }

    pub(crate) fn stop(&mut self) -> Done {
        let pid = self.pid();
        crate::shell::run(Command::new("kill").args(["-TERM", &pid]))?;
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait().tried("waiting for a server to stop")?.is_none() {
            if Instant::now() > deadline {
                return Err(Failed::new(format!("{} did not stop on SIGTERM", self.name)));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(binary: &Path, folder: &Path, address: SocketAddr) -> Done<(Child, f64)> {
    let log = File::create(folder.join("server.log")).tried("creating the server's log")?;
    let errors = log.try_clone().tried("opening the server's log twice")?;
    let mut command = Command::new(binary);
    command.arg("server").arg(format!("-config={}", folder.join("config.hcl").display()));
    command.current_dir(folder).env("HOME", folder).stdin(Stdio::null()).stdout(log).stderr(errors);
    // What a build or the other server left to be written would be written by the first
    // sync of this one.
    crate::shell::run(&mut Command::new("sync"))?;
    let started = Instant::now();
    let mut child = command.spawn().tried(format_args!("starting {}", binary.display()))?;
    if wait(|| health(address).is_some()).is_ok() {
        return Ok((child, millis(started)));
    }
    let _ = child.kill();
    let _ = child.wait();
    let log = std::fs::read_to_string(folder.join("server.log")).unwrap_or_default();
    Err(Failed::new(format!("{} did not answer; its log:\n{log}", binary.display())))
}

fn config(folder: &Path, address: SocketAddr, cluster: SocketAddr, audit: bool) -> String {
    let folder = folder.display();
    let audit = if audit {
        format!("audit \"file\" \"file\" {{\n  options {{\n    file_path = \"{folder}/audit.log\"\n  }}\n}}\n")
    } else {
        String::new()
    };
    format!(
        "storage \"raft\" {{\n  path = \"{folder}/data\"\n  node_id = \"one\"\n}}\n\
         listener \"tcp\" {{\n  address = \"{address}\"\n  cluster_address = \"{cluster}\"\n  tls_disable = true\n}}\n\
         api_addr = \"http://{address}\"\ncluster_addr = \"https://{cluster}\"\nlog_level = \"warn\"\n{audit}"
    )
}

fn free_address() -> Done<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).tried("finding a free port")?;
    listener.local_addr().tried("finding a free port")
}

/// What sys/health answers, if it answers at all.
fn health(address: SocketAddr) -> Option<u16> {
    let mut connection = Connection::open(address, ANSWER_MAX).ok()?;
    Some(connection.exchange(&request("GET", "sys/health", "", "")).ok()?.status)
}

fn wait(happened: impl Fn() -> bool) -> Result<(), ()> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if happened() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Err(())
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

pub(crate) fn text_at(value: &Value, pointer: &str) -> Done<String> {
    let text = value.pointer(pointer).and_then(Value::as_str);
    text.map(str::to_owned).ok_or_else(|| Failed::new(format!("an answer has no {pointer}")))
}
