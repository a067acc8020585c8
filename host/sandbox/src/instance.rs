//! A compiled component as the broker sees it, and the one instance of a call.

use std::future::Future;
use std::hash::BuildHasher;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bulkhead_model::plugin::{Descriptor, PluginKind};
use bulkhead_model::seam::plugin::{Call, CallFailure, CallHost, Finished, Plugin, Stop};
use tokio::sync::Semaphore;
use wasmtime::component::{self, InstancePre, Linker};
use wasmtime::{Store, Trap, UpdateDeadline};
use zeroize::Zeroize;

use crate::admission::Admitted;
use crate::answer::Unsound;
use crate::compile::{Compiled, Facts, plain, store_limits};
use crate::error::SandboxError;
use crate::figures::{CountedLimits, Figures};
use crate::limits::CallLimits;
use crate::meter::Meter;
use crate::sandbox::Runtime;
use crate::ticker::Ticking;
use crate::turns::Turn;
use crate::v1::exports::{Exports, invoke};
use crate::way_out::WayOut;

/// A compiled component to be mounted: the sandbox's [`Plugin`].
pub(crate) struct Component {
    loaded: Loaded,
    kind: PluginKind,
    exports: Exports,
    facts: Facts,
}

/// A component, linked and ready for instances, whatever its world.
pub(crate) struct Loaded {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) pre: InstancePre<CallData>,
    figures: Arc<Figures>,
    /// Whether it imports what leads outside, or what is kept for that.
    reaches_out: bool,
    sha256: String,
}

/// A call that was let in.
pub(crate) struct Entered<'a> {
    _ticking: Ticking<'a>,
    _admitted: Admitted,
    _turn: Option<Turn>,
}

/// What a store holds: everything host functions can reach during one call.
pub(crate) struct CallData {
    pub(crate) host: Box<dyn CallHost>,
    /// The way out; none for what imports nothing that leads there.
    pub(crate) way_out: Option<WayOut>,
    pub(crate) budget: Budget,
    pub(crate) meter: Arc<Meter>,
    pub(crate) wall_ms: u64,
    pub(crate) lent: Lent,
    /// One is taken for the time a password is hashed; shared by all calls.
    pub(crate) password_places: Arc<Semaphore>,
    pub(crate) limits: CountedLimits,
}

/// What is left of a call's allowances.
pub(crate) struct Budget {
    left: CallLimits,
    log_full: bool,
}

/// A host function ends the call.
#[derive(Debug, thiserror::Error)]
#[error("the host ended the call")]
struct Stopped(Stop);

/// The call used up its time on a processor.
#[derive(Debug, thiserror::Error)]
#[error("the call used up its processor time")]
struct OutOfCpu;

/// Bytes handed to the guest and not yet overwritten here. The guest's copy is made
/// before the host function's value is dropped, and that drop would not wipe it.
#[derive(Default)]
pub(crate) struct Lent(Option<Arc<Vec<u8>>>);

impl Loaded {
    /// Links a component to the host's functions.
    ///
    /// # Errors
    /// [`SandboxError::Compile`] if it asks for a function that is not there.
    pub(crate) fn new(
        runtime: &Arc<Runtime>,
        linker: &Linker<CallData>,
        component: &component::Component,
        facts: &Facts,
    ) -> Result<Self, SandboxError> {
        let pre = linker.instantiate_pre(component);
        let pre = pre.map_err(|error| SandboxError::Compile { cause: format!("{error:#}") })?;
        let figures = runtime.figures.of(facts.world, &facts.descriptor);
        let reaches_out = facts.imports.iter().any(|import| ["net", "http", "keys"].contains(&import.as_str()));
        Ok(Self { runtime: Arc::clone(runtime), pre, figures, reaches_out, sha256: facts.sha256.clone() })
    }

    /// Counts a call that brought no answer.
    pub(crate) fn failed(&self, failure: CallFailure) -> CallFailure {
        self.figures.failed(failure)
    }

    /// Lets a call of a mount in. What comes back is to be dropped last: the instance's slot is
    /// free again before the next call is let in.
    ///
    /// # Errors
    /// [`CallFailure::Busy`], counted.
    pub(crate) async fn enter(&self, mount: &str) -> Result<Entered<'_>, CallFailure> {
        let admitted = self.runtime.admission.enter(mount).await.map_err(|busy| self.failed(busy))?;
        Ok(Entered { _ticking: self.runtime.ticker.begin(), _admitted: admitted, _turn: None })
    }

    /// Lets a call of a driver in that works for a mount, with this config, once it is its turn: so
    /// many are at work as there are connections to one address. Each waits for a database, and so does
    /// the engine's call that has it work: one that does not answer must leave room for the others.
    ///
    /// # Errors
    /// [`CallFailure::Busy`], counted.
    pub(crate) async fn enter_for(&self, mount: &str, config: &[u8]) -> Result<Entered<'_>, CallFailure> {
        let lane = format!("driver/{mount}/{:x}", self.runtime.hasher.hash_one(config));
        let turn = self.runtime.turns.take(&lane).await.map_err(|busy| self.failed(busy))?;
        let entered = self.enter(&lane).await?;
        Ok(Entered { _turn: Some(turn), ..entered })
    }

    /// The way out of a call, if the component has any use for one.
    pub(crate) fn way_out(&self, host: &dyn CallHost) -> Option<WayOut> {
        let Runtime { ways, outlets, .. } = &*self.runtime;
        self.reaches_out.then(|| WayOut::new(host.grants(), ways, outlets, (&host.mount().id, &self.sha256)))
    }

    /// A store for one call.
    pub(crate) fn store(&self, host: Box<dyn CallHost>, way_out: Option<WayOut>) -> Store<CallData> {
        let limits = &self.runtime.limits;
        let meter = Meter::new();
        let data = CallData {
            host,
            way_out,
            budget: Budget { left: limits.call.clone(), log_full: false },
            meter: Arc::clone(&meter),
            wall_ms: limits.call.wall_ms,
            lent: Lent::default(),
            password_places: Arc::clone(&self.runtime.password_places),
            limits: CountedLimits {
                limits: store_limits(limits.pool.memory_bytes),
                figures: Arc::clone(&self.figures),
            },
        };
        let mut store = Store::new(&self.runtime.engine, data);
        store.limiter(|data| &mut data.limits);
        store.set_hostcall_fuel(limits.call.lifted_bytes);
        store.set_epoch_deadline(1);
        let cpu_ms = limits.call.cpu_ms;
        // The callback reads the meter and touches nothing of the store: wasmtime had
        // an advisory on callbacks that do (CVE-2026-104855).
        store.epoch_deadline_callback(move |_| match meter.spent_ms() >= cpu_ms {
            true => Err(OutOfCpu.into()),
            // The runtime's own way of yielding lets it look at sockets and timers first;
            // a plain wake-up would put that off for sixty ticks.
            false => Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now()))),
        });
        store
    }

    /// Runs a call to its end, or until its time is up. After any failure its store is to be
    /// dropped with everything in it, never looked at.
    ///
    /// # Errors
    /// [`CallFailure`], counted.
    pub(crate) async fn bounded<T>(
        &self,
        meter: &Meter,
        run: Pin<&mut impl Future<Output = wasmtime::Result<T>>>,
    ) -> Result<T, CallFailure> {
        let wall = Duration::from_millis(self.runtime.limits.call.wall_ms);
        let result = match tokio::time::timeout(wall, meter.charge(run)).await {
            Ok(result) => result.map_err(|error| failure(&error)),
            Err(_) => Err(CallFailure::Timeout),
        };
        let result = result.map_err(|failure| self.failed(failure))?;
        self.figures.calls.record(meter.took());
        Ok(result)
    }
}

impl Component {
    /// # Errors
    /// [`SandboxError`] if it is of a world that is not mounted, or cannot be linked.
    pub(crate) fn new(runtime: &Arc<Runtime>, compiled: Compiled) -> Result<Self, SandboxError> {
        let Compiled { component, facts } = compiled;
        let (kind, mounted) = facts.world.mounted()?;
        let exports = Exports::find(&component, mounted)?;
        let loaded = Loaded::new(runtime, &runtime.linker, &component, &facts)?;
        Ok(Self { loaded, kind, exports, facts })
    }
}

#[async_trait]
impl Plugin for Component {
    fn descriptor(&self) -> &Descriptor {
        &self.facts.descriptor
    }

    fn kind(&self) -> PluginKind {
        self.kind
    }

    fn sha256(&self) -> &str {
        &self.facts.sha256
    }

    fn imports(&self) -> &[String] {
        &self.facts.imports
    }

    async fn call(&self, host: Box<dyn CallHost>, call: Call) -> Result<Finished, CallFailure> {
        let _entered = self.loaded.enter(&host.mount().id).await?;
        let way_out = self.loaded.way_out(&*host);
        let mut store = self.loaded.store(host, way_out);
        let meter = Arc::clone(&store.data().meter);
        let result = {
            // Pinned where it is made: moving a future of this size costs as much as a read.
            let run = pin!(async {
                let instance = self.loaded.pre.instantiate_async(&mut store).await?;
                invoke(&self.exports, &instance, &mut store, &call).await
            });
            self.loaded.bounded(&meter, run).await?
        };
        Ok(Finished { host: store.into_data().host, result })
    }
}

fn failure(error: &wasmtime::Error) -> CallFailure {
    if let Some(Stopped(stop)) = error.downcast_ref() {
        return CallFailure::Stopped(*stop);
    }
    if error.is::<OutOfCpu>() || matches!(error.downcast_ref(), Some(Trap::Interrupt)) {
        return CallFailure::Timeout;
    }
    if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        return CallFailure::Busy;
    }
    match error.downcast_ref::<Unsound>() {
        Some(unsound) => CallFailure::Trap(unsound.to_string()),
        None => CallFailure::Trap(plain(error)),
    }
}

/// The error that ends a call from within a host function.
pub(crate) fn stop(stop: Stop) -> wasmtime::Error {
    Stopped(stop).into()
}

impl CallData {
    /// The way out; only linkers of worlds that have one offer what asks for it.
    pub(crate) fn way_out(&mut self) -> wasmtime::Result<&mut WayOut> {
        self.way_out.as_mut().ok_or_else(|| wasmtime::Error::msg("this kind of plugin has no way out"))
    }
}

impl Lent {
    /// Keeps the bytes until the next loan or the end of the call, then wipes them.
    pub(crate) fn lend(&mut self, bytes: Vec<u8>) -> Arc<Vec<u8>> {
        self.wipe();
        let bytes = Arc::new(bytes);
        self.0 = Some(Arc::clone(&bytes));
        bytes
    }

    fn wipe(&mut self) {
        if let Some(bytes) = self.0.as_mut().and_then(Arc::get_mut) {
            bytes.zeroize();
        }
        self.0 = None;
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.wipe();
    }
}

impl Budget {
    /// Counts a host call that is not a storage read or write.
    pub(crate) fn host_call(&mut self) -> wasmtime::Result<()> {
        take(&mut self.left.host_calls, 1, "host calls")
    }

    /// Counts a storage read.
    pub(crate) fn read(&mut self) -> wasmtime::Result<()> {
        take(&mut self.left.storage.reads, 1, "storage reads")
    }

    /// Counts a storage write.
    pub(crate) fn write(&mut self) -> wasmtime::Result<()> {
        take(&mut self.left.storage.writes, 1, "storage writes")
    }

    /// Counts an advisory lock.
    pub(crate) fn lock(&mut self) -> wasmtime::Result<()> {
        take(&mut self.left.locks, 1, "locks")
    }

    /// Counts an intent.
    pub(crate) fn intent(&mut self) -> wasmtime::Result<()> {
        take(&mut self.left.intents, 1, "intents")
    }

    /// Counts a request to a server outside.
    pub(crate) fn http_request(&mut self) -> wasmtime::Result<()> {
        take(&mut self.left.outside.http_requests, 1, "http requests")
    }

    /// Counts a connection to a server outside.
    pub(crate) fn connection(&mut self) -> wasmtime::Result<()> {
        take(&mut self.left.outside.connections, 1, "connections")
    }

    /// Counts a private key that is made.
    pub(crate) fn key_made(&mut self) -> wasmtime::Result<()> {
        take(&mut self.left.outside.keys_made, 1, "keys made")
    }

    /// Counts a call of a driver.
    pub(crate) fn driver_call(&mut self) -> wasmtime::Result<()> {
        take(&mut self.left.outside.driver_calls, 1, "driver calls")
    }

    /// Counts rounds of a key derivation.
    pub(crate) fn kdf_rounds(&mut self, rounds: u32) -> wasmtime::Result<()> {
        take(&mut self.left.kdf_rounds, rounds, "key derivation rounds")
    }

    /// Counts a password hash.
    pub(crate) fn password_hash(&mut self) -> wasmtime::Result<()> {
        take(&mut self.left.password_hashes, 1, "password hashes")
    }

    /// Counts random bytes.
    pub(crate) fn random(&mut self, bytes: usize) -> wasmtime::Result<()> {
        match self.left.random_bytes.checked_sub(bytes) {
            Some(left) => {
                self.left.random_bytes = left;
                Ok(())
            }
            None => Err(stop(Stop::Budget("random bytes"))),
        }
    }

    /// Counts the text of a log line.
    pub(crate) fn log(&mut self, bytes: usize) -> LogRoom {
        match self.left.log_bytes.checked_sub(bytes) {
            Some(left) if !self.log_full => {
                self.left.log_bytes = left;
                LogRoom::Yes
            }
            _ if self.log_full => LogRoom::No,
            _ => {
                self.log_full = true;
                LogRoom::LastLine
            }
        }
    }
}

/// Whether a log line may be written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LogRoom {
    Yes,
    /// No, and this is the moment to say so.
    LastLine,
    No,
}

fn take(left: &mut u32, count: u32, what: &'static str) -> wasmtime::Result<()> {
    *left = left.checked_sub(count).ok_or_else(|| stop(Stop::Budget(what)))?;
    Ok(())
}
