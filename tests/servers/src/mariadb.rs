//! MariaDB.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::program::{Running, as_user, first, folder, free_port, give, program, run};
use crate::{ADMIN, ADMIN_PASSWORD};

/// Whom the package has made for it.
const USER: &str = "mysql";

/// A server with an account [`ADMIN`] that may do everything.
#[derive(Debug)]
pub struct MariaDb {
    running: Option<Running>,
    port: u16,
    tls: Option<[PathBuf; 2]>,
    folder: TempDir,
}

impl MariaDb {
    /// Starts one.
    #[must_use]
    pub fn start() -> Self {
        let mut server = Self::made();
        server.restart();
        server.make_admin();
        server
    }

    /// Starts one that speaks TLS with these: a certificate and its key, PEM.
    #[must_use]
    pub fn start_with_tls(certificate: &str, key: &str) -> Self {
        let mut server = Self::made();
        let paths = ["server.crt", "server.key"].map(|name| server.folder.path().join(name));
        for (path, text) in paths.iter().zip([certificate, key]) {
            fs::write(path, text).expect("the folder can be written to");
            give(path, USER);
        }
        server.tls = Some(paths);
        server.restart();
        server.make_admin();
        server
    }

    fn made() -> Self {
        let install = installer();
        let folder = folder(USER);
        let mut command = as_user(USER, &install);
        command.arg("--no-defaults").arg(format!("--datadir={}", folder.path().join("data").display()));
        command.args(["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]);
        // In a folder that several share, each removes what looks like another's leftovers.
        command.arg(format!("--tmpdir={}", folder.path().display())).env("TMPDIR", folder.path());
        run({
            command.current_dir(folder.path());
            command
        });
        Self { running: None, port: free_port(), tls: None, folder }
    }

    fn make_admin(&self) {
        let password = ADMIN_PASSWORD.replace('\\', "\\\\").replace('\'', "''");
        let statements = format!(
            "CREATE USER '{ADMIN}'@'%' IDENTIFIED BY '{password}'; GRANT ALL ON *.* TO '{ADMIN}'@'%' WITH GRANT OPTION"
        );
        run(self.client("root", "", &statements));
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The path of its Unix socket.
    #[must_use]
    pub fn socket(&self) -> String {
        self.folder.path().join("socket").to_string_lossy().into_owned()
    }

    /// Ends it at once, as a machine does that loses power.
    pub fn kill(&mut self) {
        self.end(Signal::KILL);
    }

    /// Ends it, and all connections.
    pub fn stop(&mut self) {
        self.end(Signal::TERM);
    }

    fn end(&mut self, signal: Signal) {
        if let Some(running) = self.running.take() {
            running.end(signal);
        }
    }

    /// Starts it, on the same port with the same data, if it does not run; else again.
    pub fn restart(&mut self) {
        self.stop();
        let server = program("mariadb-server", || first(&["/usr/sbin/mariadbd", "/usr/sbin/mysqld"]));
        let mut command = as_user(USER, &server);
        command.arg("--no-defaults").arg(format!("--datadir={}", self.folder.path().join("data").display()));
        command.arg(format!("--socket={}", self.socket())).arg(format!("--port={}", self.port));
        command.args(["--bind-address=127.0.0.1", "--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0"]);
        command.args([
            "--innodb-flush-method=nosync",
            "--innodb-buffer-pool-size=16M",
            "--plugin-load-add=auth_ed25519",
        ]);
        command.arg(format!("--tmpdir={}", self.folder.path().display())).arg("--skip-log-bin");
        if let Some([certificate, key]) = &self.tls {
            command.arg(format!("--ssl-cert={}", certificate.display())).arg(format!("--ssl-key={}", key.display()));
        }
        command.current_dir(self.folder.path());
        let log = self.folder.path().join("log");
        let is_ready =
            || self.client("nobody", "-", "select 1").output().is_ok_and(|output| refused_by_server(&output.stderr));
        self.running = Some(Running::start(command, &log, is_ready));
    }

    /// Runs statements, and gives what they answer: a line a row, tabs between columns.
    ///
    /// # Panics
    /// They fail.
    #[must_use]
    pub fn sql(&self, statements: &str) -> String {
        run(self.client(ADMIN, ADMIN_PASSWORD, statements)).trim_end().to_owned()
    }

    /// Whether this account can log in and run this.
    #[must_use]
    pub fn can(&self, user: &str, password: &str, statements: &str) -> bool {
        self.client(user, password, statements).output().is_ok_and(|output| output.status.success())
    }

    fn client(&self, user: &str, password: &str, statements: &str) -> Command {
        let client = client_program();
        let mut command = Command::new(client);
        command.arg("--no-defaults").arg(format!("--socket={}", self.socket())).arg(format!("--user={user}"));
        command.env("MYSQL_PWD", password).args(["--batch", "--skip-column-names", "-e", statements]);
        command
    }
}

/// A refusal comes from a server that works; that there is none, from the client.
fn refused_by_server(told: &[u8]) -> bool {
    String::from_utf8_lossy(told).contains("ERROR 1045")
}

pub(crate) fn installer() -> std::path::PathBuf {
    program("mariadb-server", || first(&["/usr/bin/mariadb-install-db", "/usr/bin/mysql_install_db"]))
}

pub(crate) fn client_program() -> std::path::PathBuf {
    program("mariadb-client", || first(&["/usr/bin/mariadb", "/usr/bin/mysql"]))
}
