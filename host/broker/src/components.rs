//! Components of registered plugins, compiled on this node. The bytes are replicated, native code
//! is not: every node compiles them for itself, once, when a mount needs them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bulkhead_model::framework::RouteTable;
use bulkhead_model::plugin::PluginKind;
use bulkhead_model::seam::plugin::{Compiler, Plugin};
use parking_lot::RwLock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, MissedTickBehavior};

use crate::book::mounts::{Engine, Mount};
use crate::book::registry::{self, Kind, Registered, Registry, parse_version};
use crate::fault::Fault;
use crate::open::Open;

/// How often a node looks whether mounts wait for a component. Source: ours. Why: a request that
/// comes sooner has it compiled itself.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a component counts as one that does not compile. Source: ours. Why: a node that is
/// short of time or memory may do better later; the same bytes seldom do.
const FAILED_FOR: Duration = Duration::from_secs(30);

/// What became of a component.
#[derive(Clone)]
pub(crate) enum Compiled {
    Ready(Arc<dyn Plugin>, Arc<RouteTable>),
    /// It does not compile on this node, why, and when that was found.
    Failed(String, Instant),
}

impl Compiled {
    fn of(made: Result<Arc<dyn Plugin>, String>) -> Self {
        match made {
            Ok(plugin) => {
                let routes = RouteTable::new(&plugin.descriptor().routes);
                Self::Ready(plugin, Arc::new(routes))
            }
            Err(why) => Self::Failed(why, Instant::now()),
        }
    }
}

/// All that were compiled, by the digest of their bytes.
pub(crate) struct Components {
    compiler: Arc<dyn Compiler>,
    known: RwLock<HashMap<String, Compiled>>,
    /// One is compiled at a time: it takes seconds of processor time.
    turn: Arc<Semaphore>,
}

impl Components {
    pub(crate) fn new(compiler: Arc<dyn Compiler>) -> Self {
        Self { compiler, known: RwLock::default(), turn: Arc::new(Semaphore::new(1)) }
    }

    pub(crate) fn get(&self, sha256: &str) -> Option<Compiled> {
        self.known.read().get(sha256).cloned()
    }

    async fn turn(&self) -> OwnedSemaphorePermit {
        self.turn.clone().acquire_owned().await.expect("it is never closed")
    }

    /// Compiles what somebody registers.
    ///
    /// # Errors
    /// A sentence for whoever does.
    pub(crate) async fn compile(self: &Arc<Self>, sha256: &str, component: Vec<u8>) -> Result<Arc<dyn Plugin>, String> {
        let turn = self.turn().await;
        let compiled = match self.get(sha256) {
            Some(ready @ Compiled::Ready(..)) => ready,
            _ => self.made(turn, sha256, component).await,
        };
        match compiled {
            Compiled::Ready(plugin, _) => Ok(plugin),
            Compiled::Failed(why, _) => Err(why),
        }
    }

    /// Compiles what is registered under this digest, unless that was done.
    ///
    /// # Errors
    /// [`Fault`] from the store.
    async fn make_ready(self: &Arc<Self>, open: &Open, sha256: &str) -> Result<(), Fault> {
        let turn = self.turn().await;
        if self.get(sha256).is_none() {
            let Some((registered, component)) = stored(open, sha256)? else { return Ok(()) };
            if let Compiled::Failed(why, _) = self.made(turn, sha256, component).await {
                let (name, version) = (registered.name, registered.version);
                tracing::error!(plugin = %name, %version, why, "a registered plugin does not compile");
            }
        }
        open.outdate_config(|mount| matches!(&mount.engine, Engine::Loading(awaited) if awaited == sha256));
        Ok(())
    }

    /// Compiles in a task of its own, which ends with its turn: whoever waits for it may go away,
    /// and the next must not begin beside it.
    async fn made(self: &Arc<Self>, turn: OwnedSemaphorePermit, sha256: &str, component: Vec<u8>) -> Compiled {
        let (this, sha256) = (self.clone(), sha256.to_owned());
        let making = tokio::spawn(async move {
            let compiled = Compiled::of(this.compiler.compile(component).await);
            this.known.write().insert(sha256, compiled.clone());
            drop(turn);
            compiled
        });
        making.await.unwrap_or_else(|_| Compiled::Failed("the compiler panicked".to_owned(), Instant::now()))
    }

    /// Forgets which did not compile some time ago. Says whether there were any.
    fn forgive(&self) -> bool {
        let is_old = |compiled: &Compiled| matches!(compiled, Compiled::Failed(_, at) if at.elapsed() >= FAILED_FOR);
        let mut known = self.known.write();
        let before = known.len();
        known.retain(|_, compiled| !is_old(compiled));
        known.len() < before
    }

    /// Forgets those that are not registered. Calls under way keep theirs; one that is being
    /// registered just now may be compiled once more.
    fn keep(&self, registry: &Registry) {
        self.known.write().retain(|sha256, _| registry.with_digest(sha256).is_some());
    }
}

/// What is registered under this digest, and its bytes.
fn stored(open: &Open, sha256: &str) -> Result<Option<(Registered, Vec<u8>)>, Fault> {
    let mut tx = open.begin()?;
    let Some(registered) = Registry::load(&tx)?.with_digest(sha256).cloned() else { return Ok(None) };
    let component = registry::component(&mut tx, &registered)?;
    Ok(Some((registered, component)))
}

/// The plugin that serves a mount; `None`: this node does not have it, or the mount is the
/// host's own.
///
/// # Errors
/// [`Fault::Conflict`] once it was compiled: what was parsed before does not hold any more.
/// [`Fault`] from the store.
pub(crate) async fn serving(open: &Open, mount: &Mount) -> Result<Option<Arc<dyn Plugin>>, Fault> {
    match &mount.engine {
        Engine::Plugin(plugin, _) => Ok(Some(plugin.clone())),
        Engine::Loading(sha256) => {
            open.catalog.components.make_ready(open, sha256).await?;
            Err(Fault::Conflict)
        }
        _ => Ok(None),
    }
}

/// A driver that engines may call, and whether the server brings it: one version where the name
/// ends in `@version`, else the server's own, else the newest that is registered.
///
/// # Errors
/// A sentence for who named it.
pub(crate) async fn driver(open: &Open, registry: &Registry, name: &str) -> Result<(Arc<dyn Plugin>, bool), String> {
    let (bare, version) = name.split_once('@').unwrap_or((name, ""));
    let brought = open.catalog.plugins.get(&(PluginKind::Database, bare.to_owned()));
    let is_asked = |has: &str| version.is_empty() || parse_version(version) == parse_version(has);
    if let Some((plugin, _)) = brought.filter(|(plugin, _)| is_asked(&plugin.descriptor().version)) {
        return Ok((plugin.clone(), true));
    }
    let registered = match version {
        "" => registry.of(Kind::Database, bare).last(),
        version => registry.find(Kind::Database, bare, version),
    };
    let registered = registered.ok_or_else(|| format!("the driver {name:?} is not in the catalog"))?;
    let components = &open.catalog.components;
    if components.get(&registered.sha256).is_none() {
        let made = components.make_ready(open, &registered.sha256).await;
        made.map_err(|_| format!("the driver {name:?} could not be read"))?;
    }
    match components.get(&registered.sha256) {
        Some(Compiled::Ready(plugin, _)) => Ok((plugin, false)),
        Some(Compiled::Failed(why, _)) => Err(format!("the driver {name:?} does not compile on this server: {why}")),
        None => Err(format!("the driver {name:?} is not in the catalog")),
    }
}

/// Compiles what mounts wait for, until the node is sealed.
pub(crate) async fn run(open: Arc<Open>) {
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let Ok(config) = open.begin().and_then(|mut tx| Ok(open.config(&mut tx)?)) else { continue };
        open.catalog.components.keep(&config.registry);
        if open.catalog.components.forgive() {
            open.outdate_config(|mount| matches!(mount.engine, Engine::Missing(_)));
        }
        for mount in config.mounts.with_leaving() {
            match serving(&open, mount).await {
                Ok(_) | Err(Fault::Conflict) => {}
                Err(fault) => tracing::warn!(
                    mount = %mount.entry.accessor, cause = ?fault,
                    "the component of a mount could not be read; it is tried again"
                ),
            }
        }
    }
}
