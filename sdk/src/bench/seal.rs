//! A seal natively: its config, a clock, and the servers it asks, as a test answers for them.

use std::marker::PhantomData;

use serde_json::Value;

use super::LogLine;
use super::host;
use super::web::{self, Sent, Web};
use super::world::World;
use crate::http::{HttpError, HttpResponse};
use crate::{Cx, Result, Seal, Status, Wrapped};

/// A seal in memory.
pub struct SealBench<S> {
    world: World,
    web: Web,
    config: Value,
    seal: PhantomData<S>,
}

impl<S: Seal> SealBench<S> {
    /// A seal with this config. `web` answers whatever it asks.
    #[must_use]
    pub fn new(config: Value, web: impl FnMut(&Sent) -> Result<HttpResponse, HttpError> + 'static) -> Self {
        Self { world: World::new(0), web: Box::new(web), config, seal: PhantomData }
    }

    /// Asks for the key that wraps now.
    ///
    /// # Errors
    /// What the seal says.
    pub fn check(&mut self) -> Result<Status> {
        self.call(S::check)
    }

    /// Wraps a secret.
    ///
    /// # Errors
    /// What the seal says.
    pub fn wrap(&mut self, secret: &[u8], label: &[u8]) -> Result<Wrapped> {
        self.call(|cx, config| S::wrap(cx, config, secret, label))
    }

    /// Unwraps it.
    ///
    /// # Errors
    /// What the seal says.
    pub fn unwrap(&mut self, wrapped: &Wrapped, label: &[u8]) -> Result<Vec<u8>> {
        self.call(|cx, config| S::unwrap(cx, config, wrapped, label))
    }

    /// What it logged.
    #[must_use]
    pub fn log(&self) -> &[LogLine] {
        &self.world.log
    }

    fn call<R>(&mut self, call: impl FnOnce(&Cx, &S::Config) -> Result<R>) -> Result<R> {
        let config = crate::seal::config(self.config.to_string().as_bytes())?;
        host::with(&mut self.world, || web::with(&mut self.web, || call(&Cx::new(), &config)))
    }
}

/// An answer of a server: a status, and JSON.
#[must_use]
pub fn answer(status: u16, json: &Value) -> HttpResponse {
    HttpResponse { status, headers: Vec::new(), body: json.to_string().into_bytes(), peer_certificates: Vec::new() }
}
