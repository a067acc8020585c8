//! What the node has parsed of its slowly changing state: mounts, policies, quotas
//! and settings of one epoch. Requests share it and check the epoch's version, which is
//! exact: a change shows to the first request after its commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bulkhead_barrier::{StoreError, Transaction};
use bulkhead_model::acl::Acl;
use bulkhead_model::change::Version;
use bulkhead_model::policy::{Policy, PolicyError, PolicyName};

use super::identity::persona::{Acls, Persona, Personas};
use super::mounts::{self, Catalog, MountTable};
use super::quotas::Quotas;
use super::registry::Registry;
use super::settings::Settings;
use super::{epoch_key, policies};

/// ACLs kept parsed at most; beyond this they are parsed anew. Source: ours.
const ACLS_MAX: usize = 4_096;

/// The same of one entity's tokens. Source: ours. Why: there are many entities.
const ACLS_OF_PERSONA_MAX: usize = 16;

/// Everything parsed in one epoch.
pub(crate) struct Config {
    version: Option<Version>,
    /// It does not hold any more, though the epoch is the same.
    outdated: AtomicBool,
    pub mounts: MountTable,
    /// Plugins that operators registered.
    pub registry: Registry,
    pub quotas: Arc<Quotas>,
    pub settings: Settings,
    personas: Personas,
    /// Rules of tokens without an entity.
    acls: Acls,
}

/// Why the rules of a token could not be put together.
pub(crate) enum AclError {
    Store(StoreError),
    /// This policy cannot be what it is meant to be for this caller.
    Policy {
        name: String,
        error: PolicyError,
    },
}

impl From<StoreError> for AclError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Config {
    /// Reads the mount table of the transaction's snapshot.
    ///
    /// # Errors
    /// [`StoreError`] from the barrier.
    pub(crate) fn load(tx: &mut Transaction, catalog: &Catalog) -> Result<Self, StoreError> {
        let version = tx.version(&epoch_key())?;
        let registry = Registry::load(tx)?;
        let (mounts, quotas) = (mounts::load(tx, catalog, &registry)?, Arc::new(Quotas::load(tx)?));
        let settings = Settings::load(tx)?;
        let (personas, acls) = (Personas::default(), Acls::default());
        Ok(Self { version, outdated: AtomicBool::new(false), mounts, registry, quotas, settings, personas, acls })
    }

    /// Takes over the counts of the epoch before, if its quotas were the same.
    pub(crate) fn go_on_from(&mut self, before: &Self) {
        if self.quotas.same(&before.quotas) {
            self.quotas = before.quotas.clone();
        }
    }

    /// Whether this is still what the transaction's snapshot says. Recorded in the read
    /// set, so that a change between here and the commit is a conflict.
    ///
    /// # Errors
    /// [`StoreError`] from the barrier.
    pub(crate) fn holds(&self, tx: &mut Transaction) -> Result<bool, StoreError> {
        Ok(tx.version(&epoch_key())? == self.version && !self.outdated.load(Ordering::Acquire))
    }

    /// Lets it not hold any more.
    pub(crate) fn outdate(&self) {
        self.outdated.store(true, Ordering::Release);
    }

    /// The persona behind a token's entity id; `None`: there is none any more.
    ///
    /// # Errors
    /// [`StoreError`] from the barrier.
    pub(crate) fn persona(&self, tx: &mut Transaction, entity_id: &str) -> Result<Option<Arc<Persona>>, StoreError> {
        self.personas.get(tx, entity_id)
    }

    /// The rules of these policies together, and of those that come with the persona; a
    /// policy that does not exist grants nothing.
    ///
    /// # Errors
    /// [`AclError`]: also where a value in a template would change what a policy means.
    pub(crate) fn acl(
        &self,
        tx: &mut Transaction,
        names: &[String],
        persona: Option<&Persona>,
        now_ms: u64,
    ) -> Result<Arc<Acl>, AclError> {
        if names.iter().any(|n| n == "root") {
            return Ok(Arc::new(Acl::root()));
        }
        let (acls, most) = persona.map_or((&self.acls, ACLS_MAX), |persona| (&persona.acls, ACLS_OF_PERSONA_MAX));
        if let Some(acl) = acls.read().get(names) {
            return Ok(acl.clone());
        }
        let through = persona.map_or(&[][..], |persona| &persona.policies);
        let mut parsed = Vec::new();
        let mut ends = false;
        for name in names.iter().chain(through.iter().filter(|name| !names.contains(name))) {
            let Ok(policy_name) = PolicyName::parse(name) else { continue };
            let Some(record) = policies::read(tx, &policy_name, now_ms)? else { continue };
            ends |= record.expires_ms != 0;
            // Checked when it was written; a rule that this version cannot read grants nothing.
            let policy = Policy::parse(&record.text).unwrap_or_default();
            ends |= policy.ends();
            let subject = persona.map(|persona| &persona.subject);
            let policy = policy
                .at(now_ms)
                .resolved(subject, record.template_values())
                .map_err(|error| AclError::Policy { name: name.clone(), error })?;
            parsed.push((name.as_str(), policy));
        }
        let acl = Arc::new(Acl::of(parsed.iter().map(|(name, policy)| (*name, policy))));
        if ends {
            // A policy that ends is looked at anew by every request.
            return Ok(acl);
        }
        let mut acls = acls.write();
        if acls.len() >= most {
            acls.clear();
        }
        acls.insert(names.to_vec(), acl.clone());
        Ok(acl)
    }
}
