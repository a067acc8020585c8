//! `server`: runs a node. What a node is, is the server room's business.

use std::path::PathBuf;
use std::time::Duration;

use bulkhead_server::{DevOptions, ServerOptions};

use super::{Command, Prints};
use crate::env::Environment;
use crate::fault::Fault;
use crate::flags::{Flag, Parsed};
use crate::session::Session;
use crate::token_helper::Helper;

pub(super) const COMMAND: Command = Command {
    words: "server",
    about: "Start a Bulkhead server",
    usage: "[options]",
    help: "Starts a server. It is sealed until it is initialized and unsealed with \"bulkhead operator\ninit\" and \"bulkhead operator unseal\". SIGTERM ends it, SIGHUP reloads certificates, log\nlevel and audit files.\n\nStart one by a configuration (HCL or JSON; a directory for all files in it):\n\n    $ bulkhead server -config=/etc/bulkhead/config.hcl\n\nTry it out, in memory and unsealed:\n\n    $ bulkhead server -dev -dev-root-token-id=root\n\nWith a configuration beside -dev, its listeners, limits and audit devices count as well; what\nis stored stays in memory, so that storage \"raft\" is refused:\n\n    $ bulkhead server -dev -config=limits.hcl",
    prints: Prints::Lines,
    is_client: false,
    flags: &[
        Flag::list("config", "Configuration file or directory; may be given many times.").env("CONFIG_PATH"),
        Flag::switch(
            "dev",
            "Run in memory, unsealed, with a KV store at secret/ and the root token shown. Never for real secrets.",
        ),
        Flag::switch("dev-kv-v1", "Make the KV store of -dev one of version 1, without versions of secrets."),
        Flag::text("dev-listen-address", "Address to listen on with -dev. The default is 127.0.0.1:8200.")
            .env("DEV_LISTEN_ADDRESS"),
        Flag::switch("dev-no-store-token", "Do not keep the root token of -dev in ~/.vault-token."),
        Flag::text("dev-plugin-dir", "Directory whose *.wasm files -dev compiles as plugins, beside its own."),
        Flag::text(
            "dev-root-token-id",
            "Root token for -dev, instead of a random one. On the command line whoever may list processes sees it.",
        )
        .env("DEV_ROOT_TOKEN_ID"),
        Flag::switch("exit-on-core-shutdown", "Without effect: a server here stops by ending, and no other way."),
        Flag::text("log-file", "Without effect: the log goes to standard error, for the service manager to keep."),
        Flag::int("log-rotate-bytes", "Without effect, as -log-file."),
        Flag::text("log-rotate-duration", "Without effect, as -log-file."),
        Flag::int("log-rotate-max-files", "Without effect, as -log-file."),
        Flag::text("log-format", "\"standard\" or \"json\".").env("LOG_FORMAT"),
        Flag::text("log-level", "\"trace\", \"debug\", \"info\", \"warn\" or \"error\".").env("LOG_LEVEL"),
    ],
    run,
};

/// Flags of the peers that say where a log goes, and what becomes of it there.
const WITHOUT_EFFECT: [&str; 4] = ["log-file", "log-rotate-bytes", "log-rotate-duration", "log-rotate-max-files"];

fn run(session: &Session) -> Result<u8, Fault> {
    session.at_most(0)?;
    for flag in WITHOUT_EFFECT.into_iter().filter(|flag| session.flags.given(flag)) {
        session.terminal.warn(&format!("-{flag} does nothing here: the log goes to standard error"));
    }
    if session.flags.switch("dev") && is_kept_by_helper(&session.env) {
        session.terminal.warn("The root token is not stored: a token helper keeps tokens here. Log in with it.");
    }
    let options = options(&session.flags, &session.env)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Fault::Server(format!("this system refuses threads: {error}")))?;
    let ended = runtime.block_on(bulkhead_server::run(options));
    // What still waits for another machine is not waited for: nothing of it is kept.
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended.map_err(|error| Fault::Server(with_sources(&error)))?;
    Ok(0)
}

/// What the flags say, as the server takes it.
fn options(flags: &Parsed, env: &Environment) -> Result<ServerOptions, Fault> {
    let text = |name: &str| flags.text(name).map(str::to_owned);
    let configs: Vec<PathBuf> = flags.list("config").into_iter().map(PathBuf::from).collect();
    if configs.is_empty() && !flags.switch("dev") {
        return Err(Fault::Usage("Must specify at least one config path using -config".to_owned()));
    }
    let token_file = env.setting("TOKEN_PATH").map(PathBuf::from);
    let dev = flags.switch("dev").then(|| DevOptions {
        root_token_id: text("dev-root-token-id"),
        listen_address: text("dev-listen-address"),
        no_store_token: flags.switch("dev-no-store-token") || is_kept_by_helper(env),
        token_file,
        plugin_dir: text("dev-plugin-dir").map(PathBuf::from),
        kv_v1: flags.switch("dev-kv-v1"),
    });
    Ok(ServerOptions { configs, dev, log_level: text("log-level"), log_format: text("log-format") })
}

/// Whether commands ask a program for the token, and would not find it in a file.
fn is_kept_by_helper(env: &Environment) -> bool {
    Helper::of(env).is_ok_and(|helper| helper.is_some())
}

/// An error and everything that caused it, on one line.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
