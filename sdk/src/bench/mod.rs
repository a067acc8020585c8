//! Tests a plugin natively: the same handlers over an in-memory host, with the host's
//! rules for routes, fields, transactions and jobs. No wasm, no server.
//!
//! Every call runs twice on the same snapshot, time and randomness, and must come to the
//! same answer and writes: the real host re-runs a call when its commit met a conflict,
//! so a handler must not depend on running once.

use std::marker::PhantomData;

use serde_json::Value;

mod answer;
mod coerce;
mod digest;
mod driver;
pub(crate) mod drivers;
mod effects;
pub(crate) mod host;
pub(crate) mod key_pairs;
mod pattern;
mod seal;
mod shape;
pub(crate) mod web;
pub(crate) mod wires;
mod world;

pub use answer::Answer;
pub use driver::DriverBench;
pub use drivers::{Account, Databases, Failure, Server};
pub use seal::{SealBench, answer as http_answer};
pub use web::Sent;
pub use wires::Peer;
pub use world::LogLine;

use crate::bindings::mounted::bulkhead::plugin::identity::Entity;
use crate::bindings::mounted::bulkhead::plugin::types::{
    AuthGrant, Caller, Descriptor, Error, Existence, IssuedAuth, Lease, LeaseGrant, Operation, Renewal, Request, Route,
};
use crate::{Cx, Plugin, Reason, Result, UpgradeStep};
use world::World;

/// Runs something with a call's means and without a plugin. The clock stands at
/// 2026-01-01T00:00:00Z, and randomness is the same each time.
pub fn within<R>(call: impl FnOnce(&Cx) -> R) -> R {
    host::with(&mut World::new(0), || call(&Cx::new()))
}

/// A mount of one plugin in memory.
pub struct Bench<P> {
    world: World,
    databases: Databases,
    descriptor: Descriptor,
    caller: Caller,
    loses_commit: bool,
    plugin: PhantomData<P>,
}

impl<P: Plugin> Default for Bench<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Plugin> Bench<P> {
    /// A fresh mount; its clock stands at 2026-01-01T00:00:00Z.
    #[must_use]
    pub fn new() -> Self {
        let caller = Caller {
            authenticated: true,
            entity_id: None,
            display_name: "token".to_owned(),
            token_fingerprint: None,
            remote_address: "127.0.0.1".to_owned(),
            remote_port: 40_000,
            client_certificates: Vec::new(),
            metadata: Vec::new(),
        };
        let descriptor = P::describe();
        let world = World::new(descriptor.data_version);
        Self { world, databases: Databases::default(), descriptor, caller, loses_commit: false, plugin: PhantomData }
    }

    /// Gives the mount an option.
    #[must_use]
    pub fn option(mut self, name: &str, value: &str) -> Self {
        self.set_option(name, value);
        self
    }

    /// Changes an option, as tuning the mount does; follow it with
    /// `initialize(Reason::Reconfigured)`.
    pub fn set_option(&mut self, name: &str, value: &str) {
        let options = &mut self.world.mount.options;
        options.retain(|(known, _)| known != name);
        options.push((name.to_owned(), value.to_owned()));
    }

    /// Lets the identity store know an entity.
    pub fn add_entity(&mut self, entity: Entity) {
        self.world.entities.push(entity);
    }

    /// Who calls from now on; at first somebody with a token and without an entity.
    pub fn caller(&mut self) -> &mut Caller {
        &mut self.caller
    }

    /// What the plugin says about itself.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// GET.
    pub fn read(&mut self, path: &str) -> Answer {
        self.request(Operation::Read, path, "")
    }

    /// GET with query parameters, each a string as on the wire.
    pub fn read_with(&mut self, path: &str, query: Value) -> Answer {
        self.request(Operation::Read, path, &query.to_string())
    }

    /// POST: a create or an update, as the existence rule decides.
    pub fn write(&mut self, path: &str, body: Value) -> Answer {
        self.write_text(path, &body.to_string())
    }

    /// POST of this very text.
    pub fn write_text(&mut self, path: &str, body: &str) -> Answer {
        self.request(Operation::Update, path, body)
    }

    /// PATCH.
    pub fn patch(&mut self, path: &str, body: Value) -> Answer {
        self.request(Operation::Patch, path, &body.to_string())
    }

    /// DELETE.
    pub fn delete(&mut self, path: &str) -> Answer {
        self.request(Operation::Delete, path, "")
    }

    /// LIST; the path ends in a slash or is empty.
    pub fn list(&mut self, path: &str) -> Answer {
        self.request(Operation::List, path, "")
    }

    /// LIST with query parameters.
    pub fn list_with(&mut self, path: &str, query: Value) -> Answer {
        self.request(Operation::List, path, &query.to_string())
    }

    /// SCAN.
    pub fn scan(&mut self, path: &str) -> Answer {
        self.request(Operation::Scan, path, "")
    }

    /// Any operation; `Update` becomes `Create` where the existence rule says so.
    pub fn request(&mut self, operation: Operation, path: &str, body: &str) -> Answer {
        let (routes, options) = (&self.descriptor.routes, &self.world.mount.options);
        let Some(found) = pattern::find(routes, options, path, operation) else {
            // Where one can list and nothing else, that is told.
            let folder = pattern::find(routes, options, &format!("{path}/"), operation);
            let is_folder = folder.is_some_and(|found| routes[found.route as usize].pattern.ends_with('/'));
            return Answer::failed(if is_folder { Error::UnsupportedOperation } else { Error::NotFound });
        };
        let route = self.descriptor.routes[found.route as usize].clone();
        let shaped = match shape::shape(&route, operation, &found.captures, body) {
            Ok(shaped) => shaped,
            Err(text) => return Answer::failed(Error::InvalidRequest(text)),
        };
        let mut request = self.bare_request(operation, path);
        request.route = found.route;
        request.captures = found.captures;
        request.data = shaped.data.into_bytes();
        request.supplied = shaped.supplied;
        if operation == Operation::Update && !self.exists(&route, &request) {
            request.operation = Operation::Create;
        }
        if !route.operations.iter().any(|doc| doc.operation == request.operation) {
            return Answer::failed(Error::UnsupportedOperation);
        }
        let result = self.run(|cx| P::handle(cx, &request));
        Answer::new(result, shaped.warnings)
    }

    fn bare_request(&self, operation: Operation, path: &str) -> Request {
        Request {
            id: "00000000-0000-4000-8000-000000000001".to_owned(),
            operation,
            path: path.to_owned(),
            route: 0,
            captures: Vec::new(),
            data: Vec::new(),
            supplied: Vec::new(),
            body: None,
            headers: Vec::new(),
            caller: self.caller.clone(),
            wrap_ttl: None,
            extra: Vec::new(),
        }
    }

    fn exists(&mut self, route: &Route, request: &Request) -> bool {
        match &route.existence {
            Existence::None => true,
            Existence::Key(template) => {
                self.world.state.store.contains_key(&pattern::fill(template, &request.captures))
            }
            Existence::Ask => {
                // Not the call whose commit the test wants lost.
                let loses_commit = std::mem::take(&mut self.loses_commit);
                let exists = self.run(|cx| P::exists(cx, request)).unwrap_or(true);
                self.loses_commit = loses_commit;
                exists
            }
        }
    }

    /// Ends a lease.
    ///
    /// # Errors
    /// What the handler returns.
    pub fn revoke(&mut self, grant: &LeaseGrant) -> Result<()> {
        let lease = self.lease(grant);
        self.run(|cx| P::revoke(cx, &lease))
    }

    /// Prolongs a lease.
    ///
    /// # Errors
    /// What the handler returns.
    pub fn renew(&mut self, grant: &LeaseGrant, increment: Option<u64>) -> Result<Renewal> {
        let lease = self.lease(grant);
        self.run(|cx| P::renew(cx, &lease, increment))
    }

    fn lease(&self, grant: &LeaseGrant) -> Lease {
        Lease {
            id: format!("bench/{}/1", grant.kind),
            kind: grant.kind.clone(),
            path: grant.kind.clone(),
            issued_at: self.world.now_ms,
            expires_at: self.world.now_ms + grant.ttl.unwrap_or(self.world.mount.default_ttl) * 1000,
            internal: grant.internal.clone(),
            data_version: self.descriptor.data_version,
            unmounting: false,
        }
    }

    /// Renews a token that a login granted.
    ///
    /// # Errors
    /// What the handler returns: the renewal is refused.
    pub fn renew_token(&mut self, grant: &AuthGrant, increment: Option<u64>) -> Result<AuthGrant> {
        let issued = IssuedAuth {
            grant: grant.clone(),
            entity_id: None,
            issued_at: self.world.now_ms,
            expires_at: self.world.now_ms + grant.ttl.unwrap_or(self.world.mount.default_ttl) * 1000,
            data_version: self.descriptor.data_version,
        };
        self.run(|cx| P::renew_token(cx, issued.clone(), increment))
    }

    /// Calls `initialize`.
    ///
    /// # Errors
    /// What the handler returns.
    pub fn initialize(&mut self, reason: Reason) -> Result<()> {
        self.run(|cx| P::initialize(cx, reason))
    }

    /// Upgrades stored data, step by step to the end; gives the number of steps.
    ///
    /// # Errors
    /// What the handler returns.
    pub fn upgrade(&mut self, from: u32) -> Result<usize> {
        let mut cursor = None;
        for steps in 1.. {
            match self.run(|cx| P::upgrade(cx, from, cursor.clone()))? {
                UpgradeStep::Done => return Ok(steps),
                UpgradeStep::More(next) => cursor = Some(next),
            }
        }
        unreachable!("the loop ends by returning")
    }

    /// How many times the last call read from storage.
    #[must_use]
    pub fn gets(&self) -> usize {
        self.world.gets
    }

    /// The costs of each password hash that the last call computed or compared with, such
    /// as `10` for bcrypt: the time that its caller can measure.
    #[must_use]
    pub fn password_work(&self) -> &[String] {
        &self.world.password_work
    }

    /// All keys in storage, in order.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.world.state.store.keys().cloned().collect()
    }

    /// The bytes at a key.
    #[must_use]
    pub fn stored(&self, key: &str) -> Option<&[u8]> {
        self.world.state.store.get(key).map(Vec::as_slice)
    }

    /// Puts bytes at a key, as an older version of the plugin may have left them.
    pub fn store(&mut self, key: &str, value: &[u8]) {
        self.world.state.store.insert(key.to_owned(), value.to_owned());
    }

    /// Takes a key away.
    pub fn remove(&mut self, key: &str) {
        self.world.state.store.remove(key);
    }

    /// What the handlers logged.
    #[must_use]
    pub fn log(&self) -> &[LogLine] {
        &self.world.log
    }

    /// Runs something as a call: twice, and undone if it fails. One that made an intent or had a
    /// driver do something has touched the outside, and the host does not run such a call again.
    fn run<R: std::fmt::Debug>(&mut self, call: impl Fn(&Cx) -> Result<R>) -> Result<R> {
        let before = self.world.state.clone();
        let (mut result, state) = self.once(&call);
        if self.world.intended.is_empty() && !self.databases.were_touched() {
            self.world.state = before.clone();
            let (second, again) = self.once(&call);
            assert_eq!(
                format!("{result:?}"),
                format!("{second:?}"),
                "a call that was run again came to another answer"
            );
            assert!(state == again, "a call that was run again wrote something else");
            result = second;
        }
        if std::mem::take(&mut self.loses_commit) && result.is_ok() {
            result = Err(Error::Unavailable("the node went away before the commit".to_owned()));
        }
        match &result {
            Ok(_) => self.world.fulfil_intents(),
            Err(_) => self.world.state = before,
        }
        result
    }

    fn once<R>(&mut self, call: impl Fn(&Cx) -> Result<R>) -> (Result<R>, world::State) {
        self.world.gets = 0;
        self.world.password_work.clear();
        self.world.intended.clear();
        self.world.locks.clear();
        let result = drivers::with(&mut self.databases, || host::with(&mut self.world, || call(&Cx::new())));
        (result, self.world.state.clone())
    }
}

#[cfg(test)]
mod tests;
