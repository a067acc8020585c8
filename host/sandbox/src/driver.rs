//! A driver of a kind of database: a component that engines call through the broker. It has
//! neither storage nor routes; each call brings the config of its connection.

use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use bulkhead_model::plugin::{Descriptor, PluginKind};
use bulkhead_model::seam::plugin::{Call, CallFailure, CallHost, Finished, Plugin, Returned};

use crate::compile::{Compiled, Facts};
use crate::error::SandboxError;
use crate::instance::Loaded;
use crate::sandbox::Runtime;
use crate::v1::driver::{DriverExports, invoke};

/// A compiled driver: a [`Plugin`] that takes [`Call::Driver`] and nothing else.
pub(crate) struct Driver {
    loaded: Loaded,
    exports: DriverExports,
    facts: Facts,
}

impl Driver {
    /// # Errors
    /// [`SandboxError`] if it is no driver, or cannot be linked.
    pub(crate) fn new(runtime: &Arc<Runtime>, compiled: Compiled) -> Result<Self, SandboxError> {
        let Compiled { component, facts } = compiled;
        let exports = DriverExports::find(&component)?;
        let loaded = Loaded::new(runtime, &runtime.linker, &component, &facts)?;
        Ok(Self { loaded, exports, facts })
    }
}

#[async_trait]
impl Plugin for Driver {
    fn descriptor(&self) -> &Descriptor {
        &self.facts.descriptor
    }

    fn kind(&self) -> PluginKind {
        PluginKind::Database
    }

    fn sha256(&self) -> &str {
        &self.facts.sha256
    }

    fn imports(&self) -> &[String] {
        &self.facts.imports
    }

    async fn call(&self, host: Box<dyn CallHost>, call: Call) -> Result<Finished, CallFailure> {
        let Call::Driver(call) = call else {
            return Err(CallFailure::Trap("a driver has no such export".to_owned()));
        };
        let _entered = self.loaded.enter_for(&host.mount().id, call.config.expose()).await?;
        let way_out = self.loaded.way_out(&*host);
        let mut store = self.loaded.store(host, way_out);
        let meter = Arc::clone(&store.data().meter);
        let answer = {
            let run = pin!(async {
                let instance = self.loaded.pre.instantiate_async(&mut store).await?;
                invoke(self.exports, &instance, &mut store, &call).await
            });
            self.loaded.bounded(&meter, run).await?
        };
        Ok(Finished { host: store.into_data().host, result: answer.map(Returned::Driven) })
    }
}
