//! The room's own tests: guests that misbehave, guests that do not, and what is
//! refused before it can run.

mod container;
mod dummies;
mod figures;
mod guests;
mod honest;
mod host;
mod hostile;
mod refused;
mod seal;

use std::sync::{Arc, OnceLock};

use bulkhead_model::plugin::{GuestError, GuestResponse};
use bulkhead_model::seam::plugin::{Call, CallFailure, Finished, Plugin, Returned};

use self::host::{FakeHost, Shared, mount, request};
use crate::{Sandbox, SandboxLimits};

/// A sandbox with limits that end hostile calls soon.
fn sandbox() -> &'static Arc<Sandbox> {
    static SANDBOX: OnceLock<Arc<Sandbox>> = OnceLock::new();
    SANDBOX.get_or_init(|| {
        let mut limits = SandboxLimits::default();
        limits.call.cpu_ms = 500;
        limits.call.wall_ms = 5_000;
        Sandbox::new(limits).unwrap()
    })
}

/// The probe, as a component.
fn probe() -> &'static [u8] {
    static PROBE: OnceLock<Vec<u8>> = OnceLock::new();
    PROBE.get_or_init(|| guests::component(&guests::probe_module()))
}

/// The probe, compiled by [`sandbox`].
fn plugin() -> &'static Arc<dyn Plugin> {
    static PLUGIN: OnceLock<Arc<dyn Plugin>> = OnceLock::new();
    PLUGIN.get_or_init(|| sandbox().compile(probe()).unwrap())
}

async fn call_over(plugin: &Arc<dyn Plugin>, shared: &Arc<Shared>, path: &str) -> Result<Finished, CallFailure> {
    plugin.call(FakeHost::boxed(&mount("mount"), shared), Call::Handle(request(path))).await
}

async fn call(path: &str) -> Result<Finished, CallFailure> {
    call_over(plugin(), &Arc::default(), path).await
}

fn response(finished: Result<Finished, CallFailure>) -> Result<GuestResponse, GuestError> {
    match finished.unwrap().result? {
        Returned::Secret { response, .. } => Ok(response),
        _ => panic!("a secrets engine answers with a secret"),
    }
}

/// The `data` of a call that must succeed.
fn data(finished: Result<Finished, CallFailure>) -> serde_json::Value {
    let response = response(finished).unwrap();
    serde_json::from_slice(response.data.unwrap().expose()).unwrap()
}

fn trap_text(finished: Result<Finished, CallFailure>) -> String {
    match finished {
        Err(CallFailure::Trap(text)) => text,
        Err(other) => panic!("not a trap: {other}"),
        Ok(_) => panic!("the call succeeded"),
    }
}
