//! Plugins that an operator registers, as part of the suite: one gives out leases, the other
//! crashes when it is asked to.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::load::Load;
use crate::cluster::Cluster;
use crate::http::{Connection, request};
use crate::shell::{Done, Failed};
use crate::workspace::guests_dir;

/// What gives out leases: `examples/hello-engine`.
const LEASES: &str = "hello-engine";

/// What crashes: `tests/guests/almanac`.
const CRASHES: &str = "almanac";

/// How long it goes on crashing.
const CRASHING: Duration = Duration::from_secs(3);

/// Writes that others do meanwhile, at least: some of what they do in peace, on a slow machine.
const WRITES_MEANWHILE: u64 = 100;

/// How long they may take for them. It is more than a call may take: one that never ends has a
/// processor until then.
const WRITES_WITHIN: Duration = Duration::from_secs(15);

/// Longest answer to a call that crashes: it is longer than a call may take.
const ANSWER_MAX: Duration = Duration::from_secs(40);

/// Registers and mounts both.
///
/// # Errors
/// They are not built, or the cluster does not take them.
pub(crate) fn prepare(cluster: &mut Cluster, canary: &str) -> Done {
    for (name, mount) in [(LEASES, "hello"), (CRASHES, CRASHES)] {
        let component = guests_dir().join(format!("{name}.wasm"));
        register(cluster, name, &component)?;
        let path = format!("sys/mounts/{mount}");
        cluster.until(&format!("{mount}/ is mounted"), |cluster| {
            cluster.ask(0, "PUT", &path, &json!({"type": name})).is_ok()
                || cluster.ask(0, "GET", &path, &Value::Null).is_ok()
        })?;
    }
    let role = json!({"prefix": canary, "ttl": "24h"});
    cluster
        .until("codes are given out", |cluster| cluster.ask(0, "PUT", &format!("hello/roles/{canary}"), &role).is_ok())
}

fn register(cluster: &Cluster, name: &str, component: &Path) -> Done {
    if !component.is_file() {
        return Err(Failed::new(format!("{} is missing; first: cargo xtask plugins", component.display())));
    }
    let component = component.display().to_string();
    cluster.command(0, &["plugin", "register", "secret", name, &component])
}

/// Lets a plugin crash on every node, in every way, while clients go on.
pub(crate) fn crash_loop(cluster: &mut Cluster, load: &Load) -> Done {
    let until = Instant::now() + CRASHING;
    std::thread::scope(|scope| {
        for node in 0..cluster.nodes.len() {
            for (way, again) in [("panic", true), ("grow", true), ("loop", node == 0)] {
                let (api, token) = (cluster.nodes[node].api, cluster.token.as_str());
                scope.spawn(move || {
                    while again && Instant::now() < until {
                        crash(load, api, token, way);
                    }
                });
            }
        }
        if !load.has_written(WRITES_MEANWHILE, WRITES_WITHIN) {
            load.breaks("a plugin that crashes held up the clients of others".to_owned());
        }
    });
    for node in 0..cluster.nodes.len() {
        if cluster.nodes[node].health().is_none() {
            load.breaks(format!("a plugin that crashes took node{node} with it"));
        }
    }
    cluster.mend()
}

/// One call that crashes: it is answered with an error, and costs nothing but that.
fn crash(load: &Load, api: std::net::SocketAddr, token: &str, way: &str) {
    let asked = Connection::open(api, ANSWER_MAX).and_then(|mut connection| {
        let answer = connection.exchange(&request("GET", &format!("{CRASHES}/end/{way}"), token, ""))?;
        Ok((answer.status, String::from_utf8_lossy(answer.body).into_owned()))
    });
    match asked {
        Ok((500..600, text)) if text.contains("\"errors\"") => drop(load.crashed.fetch_add(1, Ordering::Relaxed)),
        Ok((status, text)) => load.breaks(format!("a call that crashed was answered {status}: {text}")),
        Err(error) => load.breaks(format!("a call that crashed ({way}) had no answer: {error}")),
    }
}
