//! `dev`: a server to play with. This process *becomes* the server, so that Ctrl-C and
//! every other signal reach it without us in between.

use std::env::VarError;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::program;
use crate::shell::{Done, Failed, Tried, say};
use crate::workspace::{self, Profile};

/// What `cargo xtask dev` can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Build in the release profile: slower to build, faster to run
    #[arg(long)]
    release: bool,
    /// The port to listen on; the next free one if it is taken
    #[arg(long, default_value_t = 8200)]
    port: u16,
}

/// What the process that prints the instructions is told.
#[derive(clap::Args)]
pub(crate) struct Banner {
    address: SocketAddr,
    program: String,
}

/// Runs the command: returns only if the server could not be started.
///
/// # Errors
/// Something does not build, or no port is free.
pub(crate) fn run(options: &Options) -> Done {
    let profile = if options.release { Profile::Release } else { Profile::Dev };
    let binary = program::build(profile)?;
    let address = free_address(options.port)?;
    let token = root_token()?;
    let program = binary.strip_prefix(workspace::root()).unwrap_or(&binary).display().to_string();
    say(format_args!("starting {program} server -dev on {address}; Ctrl-C ends it"));
    let us = std::env::current_exe().tried("finding this program")?;
    let mut banner = Command::new(us);
    banner.arg("dev-banner").arg(address.to_string()).arg(&program).env(ROOT_TOKEN, &token);
    banner.spawn().tried("starting the process that prints the instructions")?;
    let mut server = Command::new(&binary);
    server.args(["server", "-dev", "-dev-no-store-token"]);
    server.arg(format!("-dev-listen-address={address}")).env(ROOT_TOKEN, token);
    let error = server.exec();
    Err(Failed::new(format!("starting {program}: {error}")))
}

/// Waits until the server answers, then prints how to use it.
///
/// # Errors
/// The server did not answer in time.
pub(crate) fn banner(options: &Banner) -> Done {
    let deadline = Instant::now() + Duration::from_secs(60);
    let server = std::os::unix::process::parent_id();
    while !answers(options.address) {
        if std::os::unix::process::parent_id() != server {
            // It has ended, and has said why.
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Failed::new("the dev server did not answer within a minute"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    // The server's own lines come first: what to type should stand last on the screen.
    std::thread::sleep(Duration::from_millis(300));
    let Banner { address, program } = options;
    let token = std::env::var(ROOT_TOKEN).tried(format_args!("reading {ROOT_TOKEN}"))?;
    println!(
        "\n  Address      http://{address}\n  Root token   {token}\n\n  In a second terminal, here:\n\n    \
         export VAULT_ADDR=http://{address} VAULT_TOKEN={token}\n\n    \
         {program} kv put -mount=secret app/db user=app password=s3cret\n    \
         {program} kv get -mount=secret app/db\n    \
         {program} secrets list\n\n  \
         The same commands work with `bao` and `vault`. Everything is in memory: Ctrl-C forgets it.\n"
    );
    Ok(())
}

fn answers(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else { return false };
    let asked = stream.write_all(b"GET /v1/sys/health HTTP/1.1\r\nHost: dev\r\nConnection: close\r\n\r\n").is_ok();
    let mut start = [0; 12];
    asked
        && stream.set_read_timeout(Some(Duration::from_secs(2))).is_ok()
        && stream.read_exact(&mut start).is_ok()
        && start.ends_with(b"200")
}

/// The address asked for, or the next port that is free.
fn free_address(port: u16) -> Done<SocketAddr> {
    const TRIES: u16 = 100;
    let ports = port..=port.saturating_add(TRIES);
    let mut addresses = ports.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    addresses
        .find(|address| TcpListener::bind(address).is_ok())
        .ok_or_else(|| Failed::new(format!("no free port from {port} on")))
}

/// The root token that the environment names, or a random one.
fn root_token() -> Done<String> {
    match std::env::var(ROOT_TOKEN) {
        Ok(token) if !token.is_empty() => Ok(token),
        Ok(_) | Err(VarError::NotPresent) => random_token(),
        Err(error) => Err(Failed::new(format!("reading {ROOT_TOKEN}: {error}"))),
    }
}

fn random_token() -> Done<String> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .tried("reading randomness")?;
    Ok(format!("dev-{}", hex::encode(bytes)))
}

/// Holds the root token for the server and for the process that prints the instructions:
/// on their command lines it would show to whoever may list processes.
const ROOT_TOKEN: &str = "BULKHEAD_DEV_ROOT_TOKEN_ID";
