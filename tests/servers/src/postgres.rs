//! PostgreSQL.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::program::{Running, as_user, first, folder, free_port, give, program, run};
use crate::{ADMIN, ADMIN_PASSWORD};

/// Whom the package has made for it.
const USER: &str = "postgres";

/// A server with a role [`ADMIN`] that is a superuser.
#[derive(Debug)]
pub struct Postgres {
    running: Option<Running>,
    programs: PathBuf,
    port: u16,
    has_tls: bool,
    folder: TempDir,
}

impl Postgres {
    /// Starts one where passwords are proved by SCRAM.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with("scram-sha-256")
    }

    /// Starts one where passwords are proved in this way, which is a method of `pg_hba.conf`.
    #[must_use]
    pub fn start_with(method: &str) -> Self {
        let mut server = Self::made(method);
        server.restart();
        server
    }

    /// Starts one that speaks TLS with these: a certificate and its key, PEM.
    #[must_use]
    pub fn start_with_tls(certificate: &str, key: &str) -> Self {
        let mut server = Self::made("scram-sha-256");
        server.has_tls = true;
        for (name, text) in [("server.crt", certificate), ("server.key", key)] {
            let path = server.data().join(name);
            fs::write(&path, text).expect("the folder can be written to");
            give(&path, USER);
            let mut chmod = Command::new("chmod");
            chmod.arg("600").arg(&path);
            run(chmod);
        }
        server.restart();
        server
    }

    /// Starts one that speaks TLS with the first two, and lets everybody but [`ADMIN`] in by certificates of the last:
    /// whoever has one logs in as its common name, and by nothing else.
    #[must_use]
    pub fn start_with_client_certificates(certificate: &str, key: &str, roots: &str) -> Self {
        let mut server = Self::start_with_tls(certificate, key);
        let hba = format!("host all {ADMIN} 127.0.0.1/32 scram-sha-256\nhostssl all all 127.0.0.1/32 cert\n");
        let settings = "ssl_ca_file = 'clients.crt'\n";
        for (name, text) in [("clients.crt", roots), ("pg_hba.conf", &hba), ("postgresql.auto.conf", settings)] {
            let path = server.data().join(name);
            let before = if name == "postgresql.auto.conf" {
                fs::read_to_string(&path).unwrap_or_default()
            } else {
                String::new()
            };
            fs::write(&path, before + text).expect("the folder can be written to");
            give(&path, USER);
        }
        server.restart();
        server
    }

    fn made(method: &str) -> Self {
        let programs = programs();
        let folder = folder(USER);
        let password = folder.path().join("password");
        fs::write(&password, ADMIN_PASSWORD).expect("the folder can be written to");
        let hashed = if method == "md5" { "md5" } else { "scram-sha-256" };
        let mut initdb = as_user(USER, &programs.join("initdb"));
        initdb.arg("-D").arg(folder.path().join("data")).arg("--pwfile").arg(&password);
        initdb.args(["--no-sync", "--encoding=UTF8", "--locale=C", "--username", ADMIN, "--auth", method]);
        initdb.args(["--set", &format!("password_encryption={hashed}")]).current_dir(folder.path());
        give(folder.path(), USER);
        run_initdb(initdb, &folder, hashed);
        Self { running: None, programs, port: free_port(), has_tls: false, folder }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What it has written down, since it was made.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The folder of its Unix socket.
    #[must_use]
    pub fn socket_folder(&self) -> String {
        self.folder.path().to_string_lossy().into_owned()
    }

    /// Ends it at once, as a machine does that loses power.
    pub fn kill(&mut self) {
        // Its other processes notice, and must be gone before the next start.
        self.end(Signal::KILL);
        until_nobody_is_in(&self.data());
        let _ = fs::remove_file(self.data().join("postmaster.pid"));
    }

    /// Ends it, and all connections.
    pub fn stop(&mut self) {
        self.end(Signal::INT);
    }

    fn end(&mut self, signal: Signal) {
        if let Some(running) = self.running.take() {
            running.end(signal);
        }
    }

    /// Starts it, on the same port with the same data, if it does not run; else again.
    pub fn restart(&mut self) {
        self.stop();
        let mut command = as_user(USER, &self.programs.join("postgres"));
        command.arg("-D").arg(self.data()).arg("-p").arg(self.port.to_string());
        command.arg("-k").arg(self.folder.path()).current_dir(self.folder.path());
        let ssl = if self.has_tls { "ssl=on" } else { "ssl=off" };
        for setting in [
            "listen_addresses=127.0.0.1",
            "fsync=off",
            "full_page_writes=off",
            "shared_buffers=16MB",
            "max_connections=60",
            ssl,
        ] {
            command.args(["-c", setting]);
        }
        let log = self.folder.path().join("log");
        self.running = Some(Running::start(command, &log, || self.try_sql("postgres", "select 1").is_some()));
    }

    /// Runs statements in a database, and gives what they answer: a line a row, `|` between columns.
    ///
    /// # Panics
    /// They fail.
    #[must_use]
    pub fn sql(&self, database: &str, statements: &str) -> String {
        run(self.psql(database, ADMIN, ADMIN_PASSWORD, statements)).trim_end().to_owned()
    }

    /// Whether this account can log in and run this.
    #[must_use]
    pub fn can(&self, database: &str, user: &str, password: &str, statements: &str) -> bool {
        self.psql(database, user, password, statements).output().is_ok_and(|output| output.status.success())
    }

    /// Whether this account is let in by a certificate and its key, and can run this. If not, what it is told.
    ///
    /// # Errors
    /// What the client says.
    ///
    /// # Panics
    /// There is no place for the two.
    pub fn try_with_certificate(&self, user: &str, (pem, key): (&str, &str), statements: &str) -> Result<(), String> {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let [certificate, private] = ["client.crt", "client.key"].map(|name| folder.path().join(name));
        for (path, text) in [(&certificate, pem), (&private, key)] {
            fs::write(path, text).expect("the folder can be written to");
            let mut chmod = Command::new("chmod");
            chmod.arg("600").arg(path);
            run(chmod);
        }
        let mut command = self.psql("postgres", user, "", statements);
        command.env("PGSSLMODE", "require").env("PGSSLCERT", certificate).env("PGSSLKEY", private);
        let output = command.output().expect("the client runs");
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    }

    fn try_sql(&self, database: &str, statements: &str) -> Option<String> {
        let output = self.psql(database, ADMIN, ADMIN_PASSWORD, statements).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn psql(&self, database: &str, user: &str, password: &str, statements: &str) -> Command {
        let mut command = Command::new(self.programs.join("psql"));
        command.env("PGPASSWORD", password).env("PGDATABASE", database).env("PGUSER", user);
        command.env("PGHOST", "127.0.0.1").env("PGPORT", self.port.to_string()).env("PGCONNECT_TIMEOUT", "5");
        command.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-c", statements]);
        command
    }
}

/// Debian's settings of initdb are not the same in all versions: `--set` came with 16.
fn run_initdb(mut initdb: Command, folder: &TempDir, hashed: &str) {
    if initdb.output().is_ok_and(|output| output.status.success()) {
        return;
    }
    let mut without = Command::new(initdb.get_program());
    let mut arguments = initdb.get_args().peekable();
    while let Some(argument) = arguments.next() {
        if argument == "--set" {
            arguments.next();
        } else {
            without.arg(argument);
        }
    }
    run({
        without.current_dir(folder.path());
        without
    });
    let settings = folder.path().join("data/postgresql.auto.conf");
    let mut text = fs::read_to_string(&settings).unwrap_or_default();
    text.push_str(&format!("password_encryption = '{hashed}'\n"));
    fs::write(&settings, text).expect("the settings can be written");
    give(&settings, USER);
}

/// Waits until no process is at work in this folder: what is left of a server would keep the next from
/// starting.
fn until_nobody_is_in(folder: &Path) {
    let is_there = || {
        let all = fs::read_dir("/proc").into_iter().flatten().flatten();
        all.filter_map(|entry| fs::read_link(entry.path().join("cwd")).ok()).any(|cwd| cwd == folder)
    };
    for _ in 0..2_000 {
        if !is_there() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// The newest of the versions that are installed.
pub(crate) fn programs() -> PathBuf {
    let find = || {
        let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
        let number = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
        let mut found: Vec<(u32, PathBuf)> =
            versions.flatten().filter_map(|entry| Some((number(&entry.path())?, entry.path().join("bin")))).collect();
        found.retain(|(_, path)| path.join("initdb").is_file());
        found.sort();
        found.pop().map(|(_, path)| path)
    };
    let on_the_path =
        || first(&["/usr/local/bin/initdb", "/usr/bin/initdb"]).and_then(|path| Some(path.parent()?.to_owned()));
    program("postgresql", || find().or_else(on_the_path))
}
