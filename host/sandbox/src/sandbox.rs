//! The sandbox of a node: one engine, one pool of instances, one ticker, and the ways
//! a component comes in.

use std::hash::RandomState;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bulkhead_model::metrics::Sheet;
use bulkhead_model::seam::egress::{Egress, EgressError, EgressRequest, EgressResponse};
use bulkhead_model::seam::metrics::Measured;
use bulkhead_model::seam::net::{Admits, Dialer, NetAddress, Wire};
use bulkhead_model::seam::plugin::Plugin;
use bulkhead_model::seam::seal::SealKey;
use tokio::sync::Semaphore;
use wasmtime::Engine;
use wasmtime::component::Linker;

use crate::admission::Admission;
use crate::compile::{Compiled, compile};
use crate::container;
use crate::driver::Driver;
use crate::error::SandboxError;
use crate::figures::AllFigures;
use crate::grants::World;
use crate::instance::{CallData, Component};
use crate::limits::SandboxLimits;
use crate::outlets::Outlets;
use crate::seal::{GuestSeal, SealParts};
use crate::ticker::Ticker;
use crate::turns::Turns;
use crate::way_out::Ways;
use crate::{engine, trusted, v1};

/// Runs guests. One for the whole node: mounts share compiled components, and all
/// calls share the pool of instances.
pub struct Sandbox {
    runtime: Arc<Runtime>,
}

/// What compiled components keep alive.
pub(crate) struct Runtime {
    pub(crate) engine: Engine,
    /// For what is mounted.
    pub(crate) linker: Linker<CallData>,
    pub(crate) seal_linker: Linker<CallData>,
    pub(crate) limits: SandboxLimits,
    pub(crate) admission: Admission,
    pub(crate) ticker: Ticker,
    pub(crate) password_places: Arc<Semaphore>,
    pub(crate) figures: AllFigures,
    pub(crate) ways: Ways,
    pub(crate) outlets: Arc<Outlets>,
    /// Tells configs of drivers apart, in a way that nobody outside can foresee.
    pub(crate) hasher: RandomState,
    pub(crate) turns: Turns,
}

/// Where guests get that have no way out.
pub(crate) struct Nowhere;

fn nowhere<T>() -> Result<T, EgressError> {
    Err(EgressError::Refused("this sandbox leads nowhere".to_owned()))
}

#[async_trait]
impl Egress for Nowhere {
    async fn send(&self, _request: EgressRequest) -> Result<EgressResponse, EgressError> {
        nowhere()
    }
}

#[async_trait]
impl Dialer for Nowhere {
    async fn connect(
        &self,
        _address: &NetAddress,
        _admits: Admits<'_>,
        _within: Duration,
    ) -> Result<Box<dyn Wire>, EgressError> {
        nowhere()
    }
}

impl Measured for Sandbox {
    fn tell(&self, sheet: &mut Sheet) {
        self.runtime.figures.tell(sheet);
    }
}

impl Sandbox {
    /// A sandbox whose guests get nowhere outside.
    ///
    /// # Errors
    /// [`SandboxError::Engine`].
    pub fn new(limits: SandboxLimits) -> Result<Arc<Self>, SandboxError> {
        Self::with_ways(limits, Ways { egress: Arc::new(Nowhere), dialer: Arc::new(Nowhere) })
    }

    /// Sets up the engine and reserves address space for its pool. Guests get outside by these
    /// ways, as far as it is granted.
    ///
    /// # Errors
    /// [`SandboxError::Engine`].
    pub fn with_ways(limits: SandboxLimits, ways: Ways) -> Result<Arc<Self>, SandboxError> {
        let engine = engine::make(&limits.pool)?;
        let failed = |error: wasmtime::Error| SandboxError::Engine { cause: format!("{error:#}") };
        let linker = v1::linker(&engine).map_err(failed)?;
        let seal_linker = v1::seal_linker(&engine).map_err(failed)?;
        let ticker =
            Ticker::start(engine.clone()).map_err(|error| SandboxError::Engine { cause: error.to_string() })?;
        let admission = Admission::new(&limits.pool);
        let password_places = Arc::new(Semaphore::new(limits.pool.password_hashes.max(1)));
        let figures = AllFigures::default();
        let (outlets, hasher, turns) = Default::default();
        let runtime = Runtime {
            engine,
            linker,
            seal_linker,
            limits,
            admission,
            ticker,
            password_places,
            figures,
            ways,
            outlets,
            hasher,
            turns,
        };
        Ok(Arc::new(Self { runtime: Arc::new(runtime) }))
    }

    /// Compiles a component to be mounted, or a driver, and asks it to describe itself. Takes tens of milliseconds
    /// to seconds of processor time: not for a thread that serves requests.
    ///
    /// # Errors
    /// [`SandboxError`], with a text for whoever registers the component.
    pub fn compile(&self, wasm: &[u8]) -> Result<Arc<dyn Plugin>, SandboxError> {
        let compiled = compile(&self.runtime, wasm, |world| world.registered().map(drop))?;
        self.plugin(compiled)
    }

    /// Compiles a component into a container for [`Sandbox::load_trusted`] or
    /// [`Sandbox::load_trusted_seal`], for any machine of this architecture.
    ///
    /// # Errors
    /// As for [`Sandbox::compile`].
    pub fn precompile(&self, wasm: &[u8]) -> Result<Vec<u8>, SandboxError> {
        container::seal(&self.runtime, &compile(&self.runtime, wasm, |_| Ok(()))?)
    }

    /// Loads what [`Sandbox::precompile`] made, in well under a millisecond. The bytes
    /// hold native code that runs with all rights of this process: they must come out
    /// of our own binary, never from a disk, a store or the network.
    ///
    /// # Errors
    /// [`SandboxError::Container`] if the bytes are damaged or of another build.
    pub fn load_trusted(&self, precompiled: &[u8]) -> Result<Arc<dyn Plugin>, SandboxError> {
        self.plugin(self.open_trusted(precompiled)?)
    }

    fn plugin(&self, compiled: Compiled) -> Result<Arc<dyn Plugin>, SandboxError> {
        Ok(match compiled.facts.world {
            World::Driver => Arc::new(Driver::new(&self.runtime, compiled)?),
            _ => Arc::new(Component::new(&self.runtime, compiled)?),
        })
    }

    /// Loads a seal, under the same contract as [`Sandbox::load_trusted`]. It is not asked
    /// anything yet.
    ///
    /// # Errors
    /// As for [`Sandbox::load_trusted`]; [`SandboxError::NotAPlugin`] if it is no seal.
    pub fn load_trusted_seal(&self, precompiled: &[u8], parts: SealParts) -> Result<Arc<dyn SealKey>, SandboxError> {
        Ok(Arc::new(GuestSeal::new(&self.runtime, self.open_trusted(precompiled)?, parts)?))
    }

    fn open_trusted(&self, precompiled: &[u8]) -> Result<Compiled, SandboxError> {
        let opened = container::open(&self.runtime, precompiled)?;
        let component = trusted::load(&self.runtime.engine, opened.native_code)?;
        Ok(Compiled { component, facts: opened.facts })
    }
}
