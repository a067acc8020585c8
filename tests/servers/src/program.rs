//! A server as a process: found or installed, started, waited for, ended.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Longest time until a server answers, or has ended.
const WAIT: Duration = Duration::from_secs(60);

/// A program of a package.
pub(crate) fn program(package: &str, find: impl Fn() -> Option<PathBuf>) -> PathBuf {
    if let Some(path) = find() {
        return path;
    }
    install(package);
    find().unwrap_or_else(|| panic!("{package} is installed, but its programs are not where they should be"))
}

/// The first of these files that there is.
pub(crate) fn first(paths: &[&str]) -> Option<PathBuf> {
    paths.iter().map(PathBuf::from).find(|path| path.is_file())
}

fn install(package: &str) {
    assert!(is_root(), "the tests need {package}: install it");
    let apt =
        |arguments: &[&str]| Command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive").output();
    // A stale list is only a reason to renew it if the package is not found.
    for arguments in
        [&["install", "-y", "--no-install-recommends", package][..], &["update"], &["install", "-y", package]]
    {
        match apt(arguments) {
            Ok(output) if output.status.success() && arguments[0] == "install" => return,
            Ok(_) => {}
            Err(error) => panic!("the tests need {package}, and apt-get does not run: {error}"),
        }
    }
    panic!("the tests need {package}, and apt-get does not install it");
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A folder that this user may write to, if we are root, and anybody else may not.
pub(crate) fn folder(user: &str) -> TempDir {
    let folder = tempfile::Builder::new().prefix("bulkhead-server-").tempdir().expect("a folder can be made");
    give(folder.path(), user);
    folder
}

/// Gives a file or folder to a user, if we are root.
pub(crate) fn give(path: &Path, user: &str) {
    if is_root() {
        let status = Command::new("chown").arg("-R").arg(format!("{user}:{user}")).arg(path).status();
        assert!(status.is_ok_and(|status| status.success()), "{} cannot be given to {user}", path.display());
    }
}

/// A command run as a package's user where we are root: some servers refuse to be root.
pub(crate) fn as_user(user: &str, program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={user}")).arg(format!("--regid={user}")).arg("--init-groups").arg(program);
    command
}

/// Runs a command to its end.
pub(crate) fn run(mut command: Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {told}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there are free ports");
    listener.local_addr().expect("it is bound").port()
}

/// A server that runs.
#[derive(Debug)]
pub(crate) struct Running {
    server: Child,
    /// Ends the server when its input does, which is when this process ends, however it does.
    watch: Child,
}

impl Running {
    /// Starts a server and waits until it is ready. Its output goes to a file.
    pub(crate) fn start(mut command: Command, log: &Path, is_ready: impl Fn() -> bool) -> Self {
        let output = fs::File::options().create(true).append(true).open(log).expect("a log can be written");
        let errors = output.try_clone().expect("a file can be opened twice");
        let server = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn();
        let server = server.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let watch = Command::new("sh")
            .args(["-c", "cat > /dev/null; kill -9 \"$0\"", &server.id().to_string()])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("there is a shell");
        let mut running = Self { server, watch };
        let begun = Instant::now();
        while !is_ready() {
            let told = || fs::read_to_string(log).unwrap_or_default();
            if let Ok(Some(status)) = running.server.try_wait() {
                panic!("{command:?} ended with {status}: {}", told());
            }
            assert!(begun.elapsed() < WAIT, "{command:?} is not ready: {}", told());
            std::thread::sleep(Duration::from_millis(20));
        }
        running
    }

    /// Asks it to end by this signal, and waits until it has.
    pub(crate) fn end(mut self, signal: Signal) {
        self.signal(signal);
        let begun = Instant::now();
        while let Ok(None) = self.server.try_wait() {
            if begun.elapsed() > WAIT {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.server.id()).ok().and_then(Pid::from_raw) {
            // It may have ended by itself.
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // First the watch: once the server is gone, its number may be somebody else's.
        let _ = self.watch.kill();
        let _ = self.watch.wait();
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
