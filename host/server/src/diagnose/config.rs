//! Whether the config can be used, and what in it may not do what its writer thinks.

use std::path::PathBuf;

use super::report::Check;
use crate::config::Config;
use crate::config::error::ConfigError;
use crate::error::chain;

pub(super) fn examine(config: &Result<Config, ConfigError>, paths: &[PathBuf]) -> Vec<Check> {
    let mut checks = read(config, paths);
    if let Ok(config) = config
        && config.is_api_addr_vague()
    {
        let message = format!("clients are told {}, which other machines cannot reach", config.api_addr());
        checks.push(Check::warning("api_addr", message, "set api_addr"));
    }
    checks
}

/// Whether it can be used, and which keys in it have no effect.
pub(super) fn read(config: &Result<Config, ConfigError>, paths: &[PathBuf]) -> Vec<Check> {
    let config = match config {
        Ok(config) => config,
        Err(error) => {
            let advice = "put that right: a server ends with the same words. All else depends on it";
            return vec![Check::failure("read", chain(error), advice)];
        }
    };
    let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    let mut checks = vec![Check::ok("read", paths.join(", "))];
    checks.extend(
        config
            .notes
            .iter()
            .map(|note| Check::warning(&note.key, format!("does nothing here: {}", note.reason), "leave it out")),
    );
    checks
}
