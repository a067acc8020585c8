//! What the node has parsed of its slowly changing state: mounts, policies, quotas
//! and settings of one epoch. Requests share it and check the epoch's version, which is
//! exact: a change shows to the first request after its commit.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bulkhead_barrier::{Realm, StoreError, Transaction};
use bulkhead_model::acl::Acl;
use bulkhead_model::change::Version;
use bulkhead_model::policy::{Policy, PolicyError, PolicyName};

use parking_lot::RwLock;

use super::identity::persona::{Persona, Personas, Rules};
use super::lease_quotas::LeaseQuotas;
use super::mounts::{self, Catalog, Mount, MountEntry, MountTable};
use super::namespaces::{Namespace, Namespaces};
use super::quotas::Quotas;
use super::registry::Registry;
use super::settings::Settings;
use super::{epoch_key, policies, structure_key};

/// ACLs kept parsed at most; beyond this they are parsed anew. Source: ours.
const ACLS_MAX: usize = 4_096;

/// The same of one entity's tokens. Source: ours. Why: there are many entities.
const ACLS_OF_PERSONA_MAX: usize = 16;

/// Everything parsed in one epoch.
pub(crate) struct Config {
    version: Option<Version>,
    /// Of its namespaces, mounts and plugins.
    structure: Option<Version>,
    /// It does not hold any more, though the epoch is the same.
    outdated: AtomicBool,
    pub namespaces: Arc<Namespaces>,
    pub mounts: Arc<MountTable>,
    /// Plugins that operators registered.
    pub registry: Arc<Registry>,
    pub quotas: Arc<Quotas>,
    pub lease_quotas: Arc<LeaseQuotas>,
    pub settings: Settings,
    personas: Personas,
    /// Rules of tokens without an entity, of each namespace.
    acls: RwLock<HashMap<Realm, Rules>>,
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
    /// Reads what the transaction's snapshot has. What was parsed before is taken over where it is
    /// the same, and so are the counts of quotas. The transaction is bound to the epoch alone.
    ///
    /// # Errors
    /// [`StoreError`] from the barrier.
    pub(crate) fn load(tx: &mut Transaction, catalog: &Catalog, before: Option<&Self>) -> Result<Self, StoreError> {
        let (version, structure) = (tx.version(&epoch_key())?, tx.version(&structure_key())?);
        // A state from before there was that record says nothing by not having it.
        let is_same = |before: &&Self| {
            structure.is_some() && before.structure == structure && !before.outdated.load(Ordering::Acquire)
        };
        let (namespaces, registry, mounts) = match before.filter(is_same) {
            Some(before) => (before.namespaces.clone(), before.registry.clone(), before.mounts.clone()),
            None => {
                let (namespaces, registry) = (Namespaces::load(tx)?, Registry::load(tx)?);
                let mounts = mounts::load(tx, catalog, (&namespaces, &registry))?;
                (Arc::new(namespaces), Arc::new(registry), Arc::new(mounts))
            }
        };
        let quotas = Arc::new(Quotas::load(&mut tx.afresh())?);
        let quotas = before.map(|before| before.quotas.clone()).filter(|old| old.same(&quotas)).unwrap_or(quotas);
        Ok(Self {
            version,
            structure,
            outdated: AtomicBool::new(false),
            namespaces,
            mounts,
            registry,
            quotas,
            lease_quotas: Arc::new(LeaseQuotas::load(tx)?),
            settings: Settings::load(&mut tx.afresh())?,
            personas: Personas::default(),
            acls: RwLock::default(),
        })
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

    /// A mount of this entry, as it is with what is known.
    pub(crate) fn bind(&self, entry: MountEntry, catalog: &Catalog) -> Mount {
        let namespace = self.namespaces.with_id(&entry.namespace).unwrap_or_else(|| self.namespaces.root()).clone();
        mounts::bind(entry, namespace, catalog, &self.registry)
    }

    /// The persona behind a token's entity id, of the transaction's namespace; `None`: there is none
    /// any more.
    ///
    /// # Errors
    /// [`StoreError`] from the barrier.
    pub(crate) fn persona(&self, tx: &mut Transaction, entity_id: &str) -> Result<Option<Arc<Persona>>, StoreError> {
        self.personas.get(tx, entity_id)
    }

    /// The rules of these policies of a namespace together, and of those that come with the
    /// persona; a policy that does not exist grants nothing.
    ///
    /// # Errors
    /// [`AclError`]: also where a value in a template would change what a policy means.
    pub(crate) fn acl(
        &self,
        tx: &mut Transaction,
        (namespace, names): (&Namespace, &[String]),
        persona: Option<&Persona>,
        now_ms: u64,
    ) -> Result<Arc<Acl>, AclError> {
        // Invariant: full power is over all namespaces, and so no other than the root gives it.
        if names.iter().any(|n| n == "root") && namespace.is_root() {
            return Ok(Arc::new(Acl::root()));
        }
        let known = match persona {
            Some(persona) => persona.acls.read().get(names).cloned(),
            None => self.acls.read().get(&namespace.realm()).and_then(|acls| acls.get(names).cloned()),
        };
        if let Some(acl) = known {
            return Ok(acl);
        }
        let (acl, ends) = tx.within(namespace.realm(), |tx| parsed(tx, (namespace, names), persona, now_ms))?;
        // A policy that ends is looked at anew by every request.
        if !ends {
            self.keep(namespace.realm(), names, persona, &acl);
        }
        Ok(acl)
    }

    fn keep(&self, realm: Realm, names: &[String], persona: Option<&Persona>, acl: &Arc<Acl>) {
        let Some(persona) = persona else {
            let mut acls = self.acls.write();
            if acls.values().map(HashMap::len).sum::<usize>() >= ACLS_MAX {
                acls.clear();
            }
            acls.entry(realm).or_default().insert(names.to_vec(), acl.clone());
            return;
        };
        let mut acls = persona.acls.write();
        if acls.len() >= ACLS_OF_PERSONA_MAX {
            acls.clear();
        }
        acls.insert(names.to_vec(), acl.clone());
    }
}

/// The rules of these policies, as the transaction has them, and whether any of them ends.
fn parsed(
    tx: &mut Transaction,
    (namespace, names): (&Namespace, &[String]),
    persona: Option<&Persona>,
    now_ms: u64,
) -> Result<(Arc<Acl>, bool), AclError> {
    let through = persona.map_or(&[][..], |persona| &persona.policies);
    let mut parsed = Vec::new();
    let mut ends = false;
    for name in names.iter().chain(through.iter().filter(|name| !names.contains(name))) {
        let Ok(policy_name) = PolicyName::parse(name) else { continue };
        let Some(record) = policies::read(tx, &policy_name, now_ms)? else { continue };
        ends |= record.expires_ms != 0;
        // Checked when it was written. Of one that this version cannot read a ban would be lost.
        let policy = Policy::parse(&record.text).map_err(|error| AclError::Policy { name: name.clone(), error })?;
        ends |= policy.ends();
        let subject = persona.map(|persona| &persona.subject);
        let policy = policy
            .at(now_ms)
            .resolved(subject, record.template_values())
            .map_err(|error| AclError::Policy { name: name.clone(), error })?
            .within(namespace.path());
        parsed.push((name.as_str(), policy));
    }
    let acl = Acl::of(parsed.iter().map(|(name, policy)| (*name, policy)));
    Ok((Arc::new(acl), ends))
}
