//! Redis.

use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::program::{Running, first, folder, free_port, program, run};
use crate::{ADMIN, ADMIN_PASSWORD};

/// A server with an account [`ADMIN`] that may do everything; the account `default` is off.
#[derive(Debug)]
pub struct Redis {
    running: Option<Running>,
    port: u16,
    tls: Option<[PathBuf; 2]>,
    folder: TempDir,
}

impl Redis {
    /// Starts one.
    #[must_use]
    pub fn start() -> Self {
        let mut server = Self { running: None, port: free_port(), tls: None, folder: folder("root") };
        server.restart();
        server
    }

    /// Starts one that speaks TLS alone, with these: a certificate and its key, PEM.
    #[must_use]
    pub fn start_with_tls(certificate: &str, key: &str) -> Self {
        let folder = folder("root");
        let paths = ["server.crt", "server.key"].map(|name| folder.path().join(name));
        for (path, text) in paths.iter().zip([certificate, key]) {
            std::fs::write(path, text).expect("the folder can be written to");
        }
        let mut server = Self { running: None, port: free_port(), tls: Some(paths), folder };
        server.restart();
        server
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Ends it at once. Nothing is kept: the next start has [`ADMIN`] alone.
    pub fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            running.end(Signal::KILL);
        }
    }

    /// Starts it on the same port, if it does not run; else again.
    pub fn restart(&mut self) {
        self.kill();
        let accounts = self.folder.path().join("users.acl");
        let digest = sha256_hex(ADMIN_PASSWORD);
        let rules = format!("user default off\nuser {ADMIN} on #{digest} ~* &* +@all\n");
        std::fs::write(&accounts, rules).expect("the folder can be written to");
        let server = server_program();
        let mut command = Command::new(server);
        let port = self.port.to_string();
        match &self.tls {
            None => command.args(["--port", &port]),
            Some([certificate, key]) => command
                .args(["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no", "--tls-cert-file"])
                .arg(certificate)
                .arg("--tls-key-file")
                .arg(key)
                .arg("--tls-ca-cert-file")
                .arg(certificate),
        };
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"]).arg(self.folder.path());
        command.arg("--aclfile").arg(&accounts);
        let log = self.folder.path().join("log");
        self.running = Some(Running::start(command, &log, || self.can(ADMIN, ADMIN_PASSWORD, &["PING"])));
    }

    /// Runs a command, and gives what it answers.
    ///
    /// # Panics
    /// It fails.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> String {
        run(self.client(ADMIN, ADMIN_PASSWORD, words)).trim_end().to_owned()
    }

    /// Whether this account can log in and run this.
    #[must_use]
    pub fn can(&self, user: &str, password: &str, words: &[&str]) -> bool {
        let output = self.client(user, password, words).output();
        output.is_ok_and(|output| output.status.success() && !told_error(&output.stdout) && !told_error(&output.stderr))
    }

    fn client(&self, user: &str, password: &str, words: &[&str]) -> Command {
        let client = client_program();
        let mut command = Command::new(client);
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "--user", user, "--no-auth-warning"]);
        if self.tls.is_some() {
            command.args(["--tls", "--insecure"]);
        }
        command.env("REDISCLI_AUTH", password).args(words);
        command
    }
}

/// The client ends well with a command that failed.
fn told_error(told: &[u8]) -> bool {
    let told = String::from_utf8_lossy(told);
    ["WRONGPASS", "NOAUTH", "NOPERM", "ERR ", "AUTH failed", "Could not connect"].iter().any(|word| told.contains(word))
}

/// By a program, so that the tests need no crate for one line.
fn sha256_hex(text: &str) -> String {
    let folder = folder("root");
    let path = folder.path().join("text");
    std::fs::write(&path, text).expect("the folder can be written to");
    let mut command = Command::new("sha256sum");
    command.arg(&path);
    run(command).split_whitespace().next().unwrap_or_default().trim_start_matches('\\').to_owned()
}

pub(crate) fn server_program() -> std::path::PathBuf {
    program("redis-server", || first(&["/usr/bin/redis-server", "/usr/local/bin/redis-server"]))
}

pub(crate) fn client_program() -> std::path::PathBuf {
    program("redis-tools", || first(&["/usr/bin/redis-cli", "/usr/local/bin/redis-cli"]))
}
