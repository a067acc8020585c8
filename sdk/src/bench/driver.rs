//! A driver of databases natively: with real connections, or with servers that a test plays.

use std::marker::PhantomData;

use serde_json::Value;

use super::LogLine;
use super::host;
use super::wires::{self, Peer, Wires};
use super::world::World;
use crate::databases::Failed;
use crate::driver::{Driver, Settings, UserChange, UserRemoval, UserSpec};
use crate::net::{NetError, Tls};
use crate::{Cx, Result};

/// A driver in memory. Connections that it parks stay with the bench.
///
/// A call runs once: it touches the outside, and the host does not run such calls again.
pub struct DriverBench<D> {
    world: World,
    wires: Wires,
    was_begun: bool,
    driver: PhantomData<D>,
}

impl<D: Driver> Default for DriverBench<D> {
    fn default() -> Self {
        Self::new()
    }
}

impl<D: Driver> DriverBench<D> {
    /// Connects to whoever really listens, without TLS. The clock stands at 2026-01-01T00:00:00Z.
    #[must_use]
    pub fn new() -> Self {
        Self { world: World::new(0), wires: Wires::default(), was_begun: false, driver: PhantomData }
    }

    /// Every connection is to whom the test plays at that address.
    #[must_use]
    pub fn played(switch: impl FnMut(&str) -> Result<Peer, NetError> + 'static) -> Self {
        let mut bench = Self::new();
        bench.wires.switch = Some(Box::new(switch));
        bench
    }

    /// Checks a config; gives what is to be stored.
    ///
    /// # Errors
    /// What the driver says.
    pub fn verify(&mut self, config: &Value, connect: bool) -> Result<Value> {
        let stored = self.call(config, |cx, settings| D::verify(cx, settings, connect))?;
        Ok(serde_json::from_str(&stored.json()).expect("settings are written as JSON"))
    }

    /// The name that [`DriverBench::create_user`] would use.
    ///
    /// # Errors
    /// What the driver says.
    pub fn propose_username(&mut self, config: &Value, spec: &UserSpec) -> Result<String> {
        self.call(config, |cx, settings| D::propose_username(cx, settings, spec))
    }

    /// Makes a user.
    ///
    /// # Errors
    /// What the driver says.
    pub fn create_user(&mut self, config: &Value, spec: &UserSpec) -> Result<String> {
        self.call(config, |cx, settings| D::create_user(cx, settings, spec))
    }

    /// Changes a user.
    ///
    /// # Errors
    /// What the driver says.
    pub fn change_user(&mut self, config: &Value, change: &UserChange) -> Result<()> {
        self.call(config, |cx, settings| D::change_user(cx, settings, change))
    }

    /// Removes a user.
    ///
    /// # Errors
    /// What the driver says.
    pub fn delete_user(&mut self, config: &Value, removal: &UserRemoval) -> Result<()> {
        self.call(config, |cx, settings| D::delete_user(cx, settings, removal))
    }

    /// Whether the call that failed last may have begun something, as far as the driver says.
    #[must_use]
    pub const fn was_begun(&self) -> bool {
        self.was_begun
    }

    /// Moves the clock on.
    pub fn advance(&mut self, secs: u64) {
        self.world.now_ms += secs * 1000;
    }

    /// The time that calls see.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.world.now_ms
    }

    /// The addresses that were connected to, each time.
    #[must_use]
    pub fn connected(&self) -> &[String] {
        &self.wires.made
    }

    /// How many connections are parked, in all pools.
    #[must_use]
    pub fn parked(&self) -> usize {
        self.wires.parked.values().map(Vec::len).sum()
    }

    /// What was asked of TLS, each time.
    #[must_use]
    pub fn tls_asked(&self) -> &[Tls] {
        &self.wires.tls_asked
    }

    /// What the driver logged.
    #[must_use]
    pub fn log(&self) -> &[LogLine] {
        &self.world.log
    }

    fn call<R>(&mut self, config: &Value, call: impl FnOnce(&Cx, &Settings) -> Result<R>) -> Result<R> {
        let settings = Settings::read(config.to_string().as_bytes())?;
        let done = host::with(&mut self.world, || wires::with(&mut self.wires, || call(&Cx::new(), &settings)));
        done.map_err(|error| {
            let Failed { error, is_begun } = error.into();
            self.was_begun = is_begun;
            error
        })
    }
}
