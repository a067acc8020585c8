//! A server's life: harden, configure, assemble, serve until told to stop, end in order.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use bulkhead_api::{Api, ApiError, Listener, Tls};
use bulkhead_model::seam::entropy::Entropy;
use tokio::sync::watch;
use tokio::task::JoinSet;
use zeroize::Zeroizing;

use crate::banner;
use crate::config::error::ConfigError;
use crate::config::{AuditConfig, Config, Environment, ListenerConfig, ListenerKind};
use crate::dev;
use crate::entropy::SystemEntropy;
use crate::error::{ServerError, chain};
use crate::harden::harden;
use crate::log::{self, LogFormat, LogLevel};
use crate::metrics;
use crate::parts::{Assembled, Broker, hostname};
use crate::pid_file::PidFile;
use crate::signals::{Asked, Signals};

/// How to start a server: the flags of `server`.
#[derive(Clone, Debug, Default)]
pub struct ServerOptions {
    /// `-config`, in order: files or folders.
    pub configs: Vec<PathBuf>,
    /// `-dev`.
    pub dev: Option<DevOptions>,
    /// `-log-level`: overrides the config.
    pub log_level: Option<String>,
    /// `-log-format`: `standard` or `json`; overrides the config.
    pub log_format: Option<String>,
}

/// How to start a dev server.
#[derive(Clone, Debug, Default)]
pub struct DevOptions {
    /// `-dev-root-token-id`; without one, a random token is made.
    pub root_token_id: Option<String>,
    /// `-dev-listen-address`; default `127.0.0.1:8200`.
    pub listen_address: Option<String>,
    /// `-dev-no-store-token`.
    pub no_store_token: bool,
    /// Where the root token is put; default `~/.vault-token`.
    pub token_file: Option<PathBuf>,
    /// `-dev-kv-v1`: the store at `secret/` is of version 1.
    pub kv_v1: bool,
    /// `-dev-plugin-dir`: a folder whose components are compiled and offered.
    pub plugin_dir: Option<PathBuf>,
}

/// Longest wait for standard output. Source: ours.
const SAY_MAX: Duration = Duration::from_secs(1);

/// Longest wait for requests whose clients are gone, when the server ends. Source: ours.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// Runs a server until a signal ends it. Needs a multi-threaded runtime.
///
/// # Errors
/// [`ServerError`]: it could not start. Once it serves, it ends without an error.
pub async fn run(options: ServerOptions) -> Result<(), ServerError> {
    harden()?;
    let config = configured(&options)?;
    let level = log::start(config.log.level, config.log.format);
    warn_of(&config);
    // Before anything that takes time, so that a signal in between is not lost.
    let signals = Signals::take()?;
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::new());
    let dev_plugins = options.dev.as_ref().and_then(|dev| dev.plugin_dir.as_deref());
    let assembled = Assembled::from_config(&config, entropy, dev_plugins).await?;
    match serve(&options, config, &assembled, signals, &level).await {
        Ok(pid_file) => {
            assembled.end().await;
            drop(pid_file);
            Ok(())
        }
        Err(error) => {
            assembled.end().await;
            Err(error)
        }
    }
}

/// What in the config may not do what its writer thinks.
fn warn_of(config: &Config) {
    for note in &config.notes {
        tracing::warn!(key = %note.key, "a config key does nothing here: {}", note.reason);
    }
    if config.is_api_addr_vague() {
        tracing::warn!(
            api_addr = %config.api_addr(),
            "clients are told an address that other machines cannot reach: set api_addr"
        );
    }
}

/// Config files, or the dev server's config, with environment and flags on top.
fn configured(options: &ServerOptions) -> Result<Config, ServerError> {
    let environment = Environment::of_process()?;
    let mut config = match &options.dev {
        Some(dev) => {
            let address = dev.listen_address.as_deref().filter(|address| !address.is_empty());
            Config::dev(address.unwrap_or("127.0.0.1:8200"), &options.configs, &environment)?
        }
        None => Config::load(&options.configs, &environment)?,
    };
    if let Some(dir) = options.dev.as_ref().and_then(|dev| dev.plugin_dir.clone()) {
        config.paths.plugins = Some(dir);
    }
    apply_log_flags(options, &mut config)?;
    Ok(config)
}

fn apply_log_flags(options: &ServerOptions, config: &mut Config) -> Result<(), ConfigError> {
    if let Some(text) = &options.log_level {
        let unknown =
            || ConfigError::Missing(format!("log level {text:?} is not one of trace, debug, info, warn, error"));
        config.log.level = log::level(text).ok_or_else(unknown)?;
    }
    config.log.format = match options.log_format.as_deref() {
        None | Some("") => config.log.format,
        Some("standard") => LogFormat::Standard,
        Some("json") => LogFormat::Json,
        Some(text) => {
            return Err(ConfigError::Missing(format!("log format {text:?} is neither \"standard\" nor \"json\"")));
        }
    };
    Ok(())
}

/// Binds, announces, serves, and returns once every listener has ended.
async fn serve(
    options: &ServerOptions,
    config: Config,
    assembled: &Assembled,
    mut signals: Signals,
    level: &LogLevel,
) -> Result<Option<PidFile>, ServerError> {
    let (listeners, certificates) = bind(&config).await?;
    let addresses: Vec<_> = listeners.iter().map(Listener::address).collect();
    say(&banner::configuration(&config, &addresses));
    let pid_file = config.paths.pid_file.clone().map(PidFile::write).transpose()?;
    let furnished = match &options.dev {
        Some(dev) => Some(dev::furnish(&assembled.node, dev, &*assembled.entropy).await?),
        None => None,
    };
    let front = Arc::new(Broker(Arc::clone(&assembled.node)));
    let api = Api::new(front, Arc::clone(&assembled.entropy), Arc::clone(&assembled.http));
    let (stop, stopping) = watch::channel(false);
    let mut serving = JoinSet::new();
    for listener in listeners {
        serving.spawn(listener.serve(Arc::clone(&api), stopping.clone()));
    }
    let mut counting = JoinSet::new();
    counting.spawn(metrics::run(Arc::clone(&assembled.node), config.telemetry.clone(), hostname()));
    say(banner::STARTED);
    if let (Some(dev), Some(furnished)) = (&options.dev, furnished) {
        let address = addresses.first().map_or_else(String::new, |address| format!("http://{address}"));
        announce_dev(dev, &address, &furnished)?;
    }
    let mut reopening = JoinSet::new();
    while signals.next().await == Asked::Reload {
        reload(options, &certificates, level, &config.audits);
        // A device that hangs does not hold up the next signal.
        let node = Arc::clone(&assembled.node);
        reopening.spawn(async move { node.reopen_audit().await });
        while reopening.try_join_next().is_some() {}
    }
    say(banner::STOPPING);
    counting.shutdown().await;
    // While it still serves: what comes meanwhile goes to whoever leads then, and no client is
    // turned away by a node that nobody has taken over from.
    assembled.node.hand_over().await;
    // Fails only if no listener is left, which then need not be told.
    let _ = stop.send(true);
    while serving.join_next().await.is_some() {}
    api.drain(DRAIN_MAX).await;
    Ok(pid_file)
}

async fn bind(config: &Config) -> Result<(Vec<Listener>, Vec<Arc<Tls>>), ServerError> {
    let (mut listeners, mut certificates) = (Vec::new(), Vec::new());
    for listener in &config.listeners {
        listeners.push(match &listener.kind {
            ListenerKind::Unix(file) => Listener::bind_unix(file, listener.limits).await?,
            ListenerKind::Tcp { tls, behind } => {
                let tls = tls.clone().map(Tls::load).transpose()?.map(Arc::new);
                certificates.extend(tls.clone());
                bind_tcp(listener, tls).await?.behind(behind.clone())
            }
        });
    }
    Ok((listeners, certificates))
}

/// Binds an address. One without a host is every address of both families, or of the
/// older one on a machine that has no other.
async fn bind_tcp(listener: &ListenerConfig, tls: Option<Arc<Tls>>) -> Result<Listener, ApiError> {
    let Some(port) = listener.port_of_all() else {
        return Listener::bind(&listener.address, tls, listener.limits).await;
    };
    match Listener::bind(&format!("[::]:{port}"), tls.clone(), listener.limits).await {
        Err(ApiError::Bind { source, .. }) if source.kind() != io::ErrorKind::AddrInUse => {
            Listener::bind(&format!("0.0.0.0:{port}"), tls, listener.limits).await
        }
        bound => bound,
    }
}

fn announce_dev(dev: &DevOptions, address: &str, furnished: &dev::Furnished) -> Result<(), ServerError> {
    use base64::Engine;
    let key = Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(furnished.unseal_key.expose()));
    say(&Zeroizing::new(banner::dev(address, &key, furnished.root_token.expose())));
    if dev.no_store_token {
        return Ok(());
    }
    match dev.token_file.clone().or_else(dev::default_token_file) {
        Some(path) => dev::store_token(&path, &furnished.root_token),
        None => Ok(()),
    }
}

/// SIGHUP: certificates and log level. What is wrong is logged, and stays as it was, as do audit devices that the config
/// had otherwise when the server started.
fn reload(options: &ServerOptions, certificates: &[Arc<Tls>], level: &LogLevel, audits: &[AuditConfig]) {
    tracing::info!("reloading certificates, log level and audit files");
    for tls in certificates {
        if let Err(error) = tls.reload() {
            tracing::error!(error = %chain(&error), "the certificate was not reloaded; the old one stays in use");
        }
    }
    match configured(options) {
        Ok(config) => {
            level.set(config.log.level);
            if config.audits != audits {
                tracing::warn!(
                    "audit devices of the config have changed: they are taken over when the server starts next"
                );
            }
        }
        Err(error) => tracing::error!(error = %chain(&error), "the config was not read again; the log level stays"),
    }
}

/// Standard output. If nobody reads it, the server serves and ends all the same.
fn say(text: &str) {
    let text = Zeroizing::new(text.to_owned());
    let (said, done) = mpsc::channel();
    // A pipe that is full would be waited for without end, so it is not this thread that waits.
    let speaking = thread::Builder::new().spawn(move || {
        let mut out = io::stdout().lock();
        let _ = writeln!(out, "{}", *text).and_then(|()| out.flush());
        let _ = said.send(());
    });
    if speaking.is_ok() {
        let _ = done.recv_timeout(SAY_MAX);
    }
}
