//! Whether other nodes can reach this one, and this one those that it is to join.

use bulkhead_model::seam::egress::Origin;

use super::address::reach;
use super::listener;
use super::report::Check;
use crate::cluster;
use crate::config::{ClusterConfig, RetryJoin};
use crate::connect::stream::resolved;
use crate::error::chain;

pub(super) fn examine(config: Option<&ClusterConfig>) -> Vec<Check> {
    let Some(config) = config else {
        return vec![Check::skipped("cluster", "the node stays alone: the config names no cluster_addr")];
    };
    let mut checks = vec![listener::address(&config.bind), name(&config.address)];
    checks.extend(config.retry_join.iter().map(join));
    checks
}

fn name(address: &str) -> Check {
    match resolved(address) {
        Ok(_) => Check::ok("cluster_addr", format!("{address} is an address")),
        Err(error) => {
            let advice = "other nodes look for this one there: correct it, or the name service";
            Check::warning("cluster_addr", format!("{address} is no address here: {error}"), advice)
        }
    }
}

fn join(node: &RetryJoin) -> Check {
    let name = format!("retry_join {}", node.url);
    if let Err(error) = cluster::address(node) {
        return Check::failure(name, chain(&error), "correct the path, or who may read the file");
    }
    let Some((origin, _)) = Origin::split(&node.url) else {
        return Check::failure(name, "is not of the form https://host:port", "correct leader_api_addr");
    };
    match reach(&origin.address()) {
        Ok(()) => Check::ok(name, "takes connections"),
        Err(error) => {
            let advice = "a node that is not yet of the cluster tries until one of these answers";
            Check::warning(name, format!("takes no connection: {error}"), advice)
        }
    }
}
