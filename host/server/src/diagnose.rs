//! What would stand against a start, found without one: nothing is served, made or changed.
//! Each file of `diagnose/` looks at one thing with the code the server itself reads it by.

mod access;
mod address;
mod audit;
mod cluster;
mod config;
mod files;
mod listener;
mod report;
mod seal;
mod storage;
mod system;
mod tls;

use std::path::PathBuf;

pub use self::report::{Check, Diagnosis, Group, Status};
use self::system::Limits;
use crate::config::{Config, Environment};
use crate::harden::harden;

/// What to look at, and what not.
#[derive(Clone, Debug, Default)]
pub struct DiagnoseOptions {
    /// `-config`, in order: files or folders.
    pub configs: Vec<PathBuf>,
    /// `-skip`: names of [`Diagnosis::GROUPS`].
    pub skip: Vec<String>,
}

/// Looks at everything that can be looked at.
#[must_use]
pub fn diagnose(options: &DiagnoseOptions) -> Diagnosis {
    let limits = Limits::of_process();
    // Keys are read here as well.
    let hardened = harden();
    let config = Environment::of_process().and_then(|environment| Config::load(&options.configs, &environment));
    let groups = Diagnosis::GROUPS.map(|name| {
        let checks = match (name, &config) {
            _ if options.skip.iter().any(|skipped| skipped == name) => vec![Check::skipped(name, "as asked")],
            ("system", _) => system::examine(&limits, &hardened, config.as_ref().ok()),
            ("config", config) => config::examine(config, &options.configs),
            (_, Ok(config)) => of_config(name, config),
            (_, Err(_)) => vec![Check::skipped(name, "there is no config to go by")],
        };
        Group { name, checks }
    });
    Diagnosis { groups: groups.into(), is_complete: config.is_ok() }
}

/// Reads a config as a server would, and looks at nothing else: whether it can be used, and which keys in it have
/// no effect.
#[must_use]
pub fn validate_config(configs: &[PathBuf]) -> Vec<Check> {
    let config = Environment::of_process().and_then(|environment| Config::load(configs, &environment));
    config::read(&config, configs)
}

fn of_config(name: &str, config: &Config) -> Vec<Check> {
    match name {
        "storage" => storage::examine(&config.storage),
        "listener" => listener::examine(&config.listeners),
        "tls" => tls::examine(config),
        "cluster" => cluster::examine(config.cluster.as_ref()),
        "autounseal" => seal::examine(&config.seals),
        "audit" => audit::examine(&config.audits),
        _ => files::examine(&config.paths),
    }
}
