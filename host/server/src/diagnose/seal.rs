//! Whether the keys outside that unseal the node can be had.

use super::access::exposed;
use super::address::reach;
use super::report::Check;
use crate::config::{KeySource, SealStanza, SealsConfig, StaticKeyConfig};
use crate::error::chain;
use crate::transit::{self, TransitSettings};

pub(super) fn examine(seals: &SealsConfig) -> Vec<Check> {
    let checks: Vec<Check> = seals
        .all()
        .flat_map(|(seal, _)| match seal {
            SealStanza::Static(config) => static_key(config),
            SealStanza::Transit(settings) => transit(settings),
        })
        .collect();
    match checks.is_empty() {
        true => vec![Check::skipped("autounseal", "key shares unseal the node: the config has no other seal")],
        false => checks,
    }
}

fn static_key(config: &StaticKeyConfig) -> Vec<Check> {
    let keys = [Some(("current_key", &config.current)), config.previous.as_ref().map(|key| ("previous_key", key))];
    keys.into_iter().flatten().map(|(name, (id, source))| key(&format!("static {name}"), id, source)).collect()
}

fn key(name: &str, id: &str, source: &KeySource) -> Check {
    if let Err(error) = crate::seal::key(source) {
        let advice = "the node stays sealed without it: 32 bytes, raw in a file, or in hexadecimal or base64";
        return Check::failure(name, chain(&error), advice);
    }
    match source {
        KeySource::File(path) => match exposed(path) {
            Some(mode) => {
                let message = format!("{} has mode {mode:04o}: others may read or replace it", path.display());
                Check::warning(name, message, format!("chmod 0400 {}", path.display()))
            }
            None => Check::ok(name, format!("{id:?} in {}", path.display())),
        },
        KeySource::Variable(variable) => Check::ok(name, format!("{id:?} in the variable {variable}")),
        KeySource::Text(_) => {
            let message = format!("{id:?} is in the config itself: whoever reads that can open the node");
            Check::warning(name, message, "put it into a file of its own: current_key = \"file:///path\"")
        }
    }
}

fn transit(settings: &TransitSettings) -> Vec<Check> {
    let origin = match transit::origin(settings) {
        Ok(origin) => origin,
        Err(error) => return vec![Check::failure("transit address", chain(&error), "correct the address")],
    };
    let mut checks = vec![match reach(&origin.address()) {
        Ok(()) => Check::ok("transit address", format!("{origin} takes connections; nothing was asked of it")),
        Err(error) => {
            let advice = "the node stays sealed until it answers: see whether that cluster is up, and the way there";
            Check::warning("transit address", format!("{origin} takes no connection: {error}"), advice)
        }
    }];
    if let Err(error) = transit::roots(settings) {
        checks.push(Check::failure("transit tls_ca_cert", chain(&error), "correct the path, or who may read the file"));
    }
    if settings.tls_skip_verify || !origin.tls {
        let message = "whoever is on the way can pose as the other cluster, and take the token";
        checks.push(Check::warning("transit TLS", message, "use https, with tls_ca_cert in place of tls_skip_verify"));
    }
    checks
}
