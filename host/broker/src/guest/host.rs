//! The broker's side of a guest call. The mount is fixed here, so a guest can never
//! name another one.

use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bulkhead_barrier::{Folder, Key, StoreError, Transaction};
use bulkhead_model::grants::Grants;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::password::PasswordPolicy;
use bulkhead_model::plugin::{DriverAnswer, DriverCall, GuestError, MountFacts, PluginKind, Seconds, TimestampMs};
use bulkhead_model::reply::{Envelope, HiddenJson};
use bulkhead_model::seam::ledger::LedgerError;
use bulkhead_model::seam::plugin::{CallHost, HostEntity, LogLevel, NamePage, Stop, StorageError};
use bulkhead_model::template;

use super::driver::{self, DriverHost};
use crate::book::config::Config;
use crate::book::identity::persona::Persona;
use crate::book::jobs::{self, JobRecord};
use crate::book::kept::Kept;
use crate::book::mounts::{Engine, Mount};
use crate::book::passwords;
use crate::book::registry::Kind;
use crate::components;
use crate::fault::Fault;
use crate::mint::{self, WrapAsk};
use crate::open::Open;
use crate::step::intent::{self, Pending};
use crate::step::room;
use crate::tally::Seat;
use crate::underway::Held;

/// Longest template a guest may have expanded, in bytes. Source: ours. Why: each directive
/// may grow into a value of some hundred bytes, in the host's memory.
const TEMPLATE_BYTES_MAX: usize = 16 * 1024;

/// What one call works with. Taken apart again by [`GuestHost::into_parts`].
pub(crate) struct GuestHost {
    open: Arc<Open>,
    mount: Arc<Mount>,
    tx: Transaction,
    now_ms: u64,
    request_id: String,
    /// Whether something outside was touched.
    outside: Arc<AtomicBool>,
    held: Held,
    /// Of the quotas for tokens that it wraps something with.
    seats: Vec<Seat>,
    intents: Vec<Pending>,
    /// Of a mount that starts afresh: its cache is as good as empty.
    afresh: bool,
    /// Why the call cannot count, whatever the guest makes of it: another node is to serve
    /// it, or this one has to learn a key first.
    void: Option<Fault>,
}

impl GuestHost {
    pub(crate) fn new(open: Arc<Open>, mount: Arc<Mount>, tx: Transaction, now_ms: u64, request_id: &str) -> Self {
        Self {
            open,
            mount,
            tx,
            now_ms,
            request_id: request_id.to_owned(),
            outside: Arc::default(),
            held: Held::default(),
            seats: Vec::new(),
            intents: Vec::new(),
            afresh: false,
            void: None,
        }
    }

    /// The same over an empty cache. It is emptied for the others when the call is committed.
    pub(crate) fn afresh(self, afresh: bool) -> Self {
        Self { afresh, ..self }
    }

    /// What a guest keeps is its own: another version that serves the mount, before or after it
    /// and on whichever node, would not understand it.
    fn cache_key<'k>(&self, key: &'k str) -> Cow<'k, str> {
        match &self.mount.engine {
            Engine::Plugin(plugin, _) if !self.mount.entry.plugin_version.is_empty() => {
                Cow::Owned(format!("{}:{key}", plugin.sha256()))
            }
            _ => Cow::Borrowed(key),
        }
    }

    /// Drops the call's intents with its commit: what they were for has succeeded.
    pub(crate) fn fulfil(&mut self) -> Result<(), StoreError> {
        for pending in std::mem::take(&mut self.intents) {
            self.held.at_work.push(intent::fulfil(&mut self.tx, pending)?);
        }
        Ok(())
    }

    /// Why the call does not count, if it does not.
    pub(crate) fn void(&mut self) -> Option<Fault> {
        self.void.take()
    }

    /// Its seats, taken out.
    pub(crate) fn take_seats(&mut self) -> Vec<Seat> {
        std::mem::take(&mut self.seats)
    }

    /// Tells whether the call touched the outside, whatever becomes of this.
    pub(crate) fn outside(&self) -> Arc<AtomicBool> {
        self.outside.clone()
    }

    fn is_outside(&self) -> bool {
        self.outside.load(Ordering::SeqCst)
    }

    /// The transaction, and what the call holds.
    pub(crate) fn into_parts(self) -> (Transaction, Held) {
        (self.tx, self.held)
    }

    fn key(&self, name: &str) -> Result<Key, StorageError> {
        Key::leaf(self.mount.space, name).map_err(|e| StorageError::Denied(e.to_string()))
    }

    /// The persona behind an entity id, as this call's transaction has it.
    fn persona(&mut self, entity_id: &str) -> Option<Arc<Persona>> {
        let found = self.open.config(&mut self.tx).and_then(|config| config.persona(&mut self.tx, entity_id));
        found.unwrap_or_else(|error| {
            tracing::error!(error = %error, "an entity could not be read");
            None
        })
    }

    /// What is parsed of the configuration, with what is registered in it.
    fn registry(&mut self) -> Option<Arc<Config>> {
        let found = self.open.config(&mut self.tx);
        found.inspect_err(|error| tracing::error!(error = %error, "the configuration could not be read")).ok()
    }

    /// A seat for a token that is made in this call.
    fn seat(&mut self, path: &str) -> Result<Option<Seat>, Fault> {
        let config = self.open.config(&mut self.tx)?;
        room::taken((&self.open, &config), (&self.mount.namespace.full(path), ""), path)
    }

    fn folder(&self, prefix: &str) -> Result<Folder, StorageError> {
        Folder::new(self.mount.space, prefix).map_err(|e| StorageError::Denied(e.to_string()))
    }
}

fn refused(error: StoreError) -> StorageError {
    match error {
        StoreError::TooLarge { limit, .. } => StorageError::TooLarge(limit as u64),
        // No number of bytes, and no fault of the guest's caller.
        StoreError::TooMany { .. } => StorageError::Denied(error.to_string()),
        StoreError::BadKey(error) => StorageError::Denied(error.to_string()),
        other => {
            tracing::error!(error = %other, "a plugin's storage failed");
            StorageError::Backend("storage failed".into())
        }
    }
}

/// Why names were refused. Here the limit may be one of names as well as of bytes, and
/// the caller is to hear of it: it asked for a folder that holds so many.
fn names_refused(error: StoreError) -> StorageError {
    match error {
        StoreError::TooMany { limit, .. } => StorageError::TooLarge(limit as u64),
        other => refused(other),
    }
}

#[async_trait]
impl CallHost for GuestHost {
    fn mount(&self) -> &MountFacts {
        &self.mount.facts
    }

    fn now_ms(&self) -> TimestampMs {
        self.now_ms
    }

    fn random(&mut self, buffer: &mut [u8]) {
        self.open.parts.entropy.fill(buffer);
    }

    fn cluster_id(&self) -> String {
        self.open.cluster_id.clone()
    }

    fn log(&mut self, level: LogLevel, message: &str, fields: &[(String, String)]) {
        super::log(level, (&self.request_id, &self.mount), message, fields);
    }

    fn grants(&self) -> Arc<Grants> {
        self.mount.grants.clone()
    }

    fn touch_outside(&mut self) -> Result<(), Stop> {
        // Whoever leads would do it a second time.
        if !self.open.ledger().standing().leader {
            return Err(Stop::Forward);
        }
        self.outside.store(true, Ordering::SeqCst);
        Ok(())
    }

    fn drivers(&mut self) -> Vec<String> {
        let mut names: Vec<String> = self.registry().map_or_else(Vec::new, |config| {
            let registered = config.registry.all().iter().filter(|one| one.kind == Kind::Database);
            registered.map(|one| one.name.clone()).filter(|name| self.mount.grants.admits_driver(name, false)).collect()
        });
        let brought = self.open.catalog.plugins.keys().filter(|(kind, _)| *kind == PluginKind::Database);
        names.extend(brought.map(|(_, name)| name.clone()).filter(|name| self.mount.grants.admits_driver(name, true)));
        names.sort_unstable();
        names.dedup();
        names
    }

    async fn drive(&mut self, driver: &str, call: DriverCall) -> Result<DriverAnswer, GuestError> {
        let config = self.registry().ok_or_else(|| GuestError::Internal("the catalog could not be read".to_owned()))?;
        let found = components::driver(&self.open, &config.registry, driver).await;
        let (plugin, brought) = found.map_err(GuestError::InvalidRequest)?;
        let name = driver.split('@').next().unwrap_or_default();
        if !self.mount.grants.admits_driver(name, brought) {
            return Err(GuestError::PermissionDenied(format!(
                "this mount is not granted \"driver {name}\": give it with `bulkhead plugin grant {} \"driver {name}\"`",
                self.mount.full_path
            )));
        }
        let host = DriverHost::new(&self.open, &self.mount, self.now_ms, &self.request_id);
        driver::call(host, &plugin, call).await
    }

    fn get(&mut self, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let key = self.key(key)?;
        let found = match self.tx.get(&key) {
            // Another node has rotated the key: this one learns it, and calls anew.
            Err(error @ StoreError::UnknownTerm { .. }) => {
                self.void = Some(error.into());
                return Err(StorageError::Backend("storage failed".into()));
            }
            found => found.map_err(refused)?,
        };
        Ok(found.map(|mut bytes| std::mem::take(bytes.expose_mut())))
    }

    fn put(&mut self, key: &str, value: Vec<u8>) -> Result<(), StorageError> {
        let (key, value) = (self.key(key)?, Hidden::new(value));
        self.tx.put(&key, value.expose()).map_err(refused)
    }

    fn delete(&mut self, key: &str) -> Result<(), StorageError> {
        let key = self.key(key)?;
        self.tx.delete(&key).map_err(refused)
    }

    fn list(&mut self, prefix: &str, after: Option<&str>, limit: u32) -> Result<NamePage, StorageError> {
        let folder = self.folder(prefix)?;
        self.tx.list(&folder, after, limit as usize).map_err(names_refused)
    }

    fn scan(&mut self, prefix: &str, after: Option<&str>, limit: u32) -> Result<NamePage, StorageError> {
        let folder = self.folder(prefix)?;
        self.tx.walk(&folder, after, limit as usize).map_err(names_refused)
    }

    async fn acquire(&mut self, name: &str, timeout_ms: u32) -> Result<(), StorageError> {
        let lock = self.open.lock(self.mount.space, name);
        let wait = std::time::Duration::from_millis(u64::from(timeout_ms));
        match tokio::time::timeout(wait, lock.lock_owned()).await {
            Ok(guard) => self.held.locks.push(guard),
            Err(_) => return Err(StorageError::Backend("the lock is taken".into())),
        }
        let view = self.open.ledger().view().map_err(|e| refused(e.into()))?;
        match self.tx.renew(view).map_err(refused)? {
            true => Ok(()),
            // What was done outside cannot be done twice.
            false if self.is_outside() => Err(StorageError::Backend("the data changed meanwhile; try again".into())),
            false => Err(StorageError::Stop(Stop::Conflict)),
        }
    }

    fn cache_get(&mut self, key: &str) -> Option<Vec<u8>> {
        let own = self.cache_key(key).into_owned();
        if self.afresh { None } else { self.open.cache.get(&mut self.tx, self.mount.space, &own, self.now_ms) }
    }

    fn cache_put(&mut self, key: &str, value: Vec<u8>, ttl: Seconds, depends_on: &[String]) {
        let ends_ms = self.now_ms.saturating_add(ttl.saturating_mul(1000));
        let own = self.cache_key(key).into_owned();
        self.open.cache.put(&mut self.tx, self.mount.space, &own, value, (ends_ms, depends_on));
    }

    fn cache_remove(&mut self, key: &str) {
        self.open.cache.remove(self.mount.space, &self.cache_key(key));
    }

    async fn intend(&mut self, kind: &str, data: HiddenJson) -> Result<String, String> {
        let intending = intent::intend(&self.open, &self.mount, kind, &data).await;
        // Before anything outside was touched, another node can do it as well.
        if let (Err(fault), false) = (&intending, self.is_outside())
            && fault.is_not_leader()
        {
            self.void = Some(Fault::Ledger(LedgerError::NotLeader { leader: None }));
        }
        self.outside.store(true, Ordering::SeqCst);
        let pending = intending.map_err(|fault| fault.into_failure().errors.join("; "))?;
        let id = pending.id.clone();
        self.intents.push(pending);
        Ok(id)
    }

    fn resolve(&mut self, id: &str) {
        let own = self.intents.iter().position(|pending| pending.id == id);
        let resolved = match own.map(|at| self.intents.swap_remove(at)) {
            Some(pending) => intent::fulfil(&mut self.tx, pending).map(|at_work| self.held.at_work.push(at_work)),
            // An unknown id is none of this mount's: there is nothing to drop.
            None => intent::resolve(&self.open, &mut self.tx, self.mount.space, id)
                .map(|going| self.held.going.extend(going)),
        };
        if let Err(error) = resolved {
            tracing::error!(error = %error, "an intent could not be resolved");
        }
    }

    fn schedule(&mut self, job: &str, key: &str, payload: HiddenJson, at: TimestampMs) -> Result<(), String> {
        let record = JobRecord {
            mount: self.mount.space.0,
            job: job.to_owned(),
            key: key.to_owned(),
            payload: Kept::from(payload),
            due_ms: at,
            failures: 0,
        };
        jobs::save(&mut self.tx, &record).map_err(|e| e.to_string())
    }

    fn cancel(&mut self, job: &str, key: &str) {
        let id = jobs::id(&self.mount.space.0, job, key);
        if let Err(error) = jobs::remove(&mut self.tx, &id) {
            tracing::error!(error = %error, "a job could not be cancelled");
        }
    }

    fn generate_password(&mut self, policy: Option<&str>) -> Result<String, String> {
        let policy = match policy {
            None => PasswordPolicy::default(),
            Some(name) => passwords::policy(&mut self.tx, name)
                .map_err(|error| {
                    tracing::error!(error = %error, "a password policy could not be read");
                    "the password policy could not be read".to_owned()
                })?
                .ok_or_else(|| format!("password policy {name:?} does not exist"))?,
        };
        let mut password = policy.generate(&*self.open.parts.entropy);
        Ok(std::mem::take(password.expose_mut()))
    }

    async fn wrap(&mut self, data: HiddenJson, ttl: Seconds) -> Result<String, String> {
        if ttl == 0 {
            return Err("a wrapping token needs a lifetime".into());
        }
        let path = self.mount.request_path().to_owned();
        let seat = match self.seat(&path) {
            Ok(seat) => seat,
            Err(fault @ Fault::Answer(_)) => return Err(fault.into_failure().errors.join("; ")),
            Err(fault) => {
                let text = "this node has to look at something first";
                self.void = Some(fault);
                return Err(text.to_owned());
            }
        };
        let envelope = Envelope { data: Some(data), ..Envelope::default() };
        let content = crate::sys::wrapping::stored(&envelope, "");
        let asked = WrapAsk {
            ttl_secs: ttl.min(self.mount.facts.max_ttl),
            creation_path: &path,
            display_name: String::new(),
            wrapped_accessor: None,
            namespace: self.mount.entry.namespace.clone(),
        };
        let wrapped = mint::wrap((&self.open, seat.as_ref()), &mut self.tx, self.now_ms, asked, &content);
        self.seats.extend(seat);
        match wrapped {
            Ok(wrapped) => Ok(wrapped.token.expose().clone()),
            Err(fault) => Err(fault.into_failure().errors.join("; ")),
        }
    }

    fn entity(&mut self, entity_id: &str) -> Option<HostEntity> {
        let persona = self.persona(entity_id)?;
        Some(HostEntity { subject: persona.subject.clone(), disabled: persona.entity.disabled })
    }

    fn expand(&mut self, template: &str, entity_id: &str) -> Result<String, String> {
        if template.len() > TEMPLATE_BYTES_MAX {
            return Err(format!("a template may have {TEMPLATE_BYTES_MAX} bytes at most"));
        }
        let persona = self.persona(entity_id).ok_or("there is no such entity")?;
        // What a value may hold depends on where the guest puts it: that is its own check.
        template::expand(template, Some(&persona.subject), &[]).map_err(|error| error.to_string())
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}
