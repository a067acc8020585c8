//! An unsealed node: everything a visit may use. While sealed there is none of this.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bulkhead_barrier::{Barrier, HmacKey, SealConfig, SpaceId, StoreError, Transaction};
use bulkhead_model::change::{Verdict, Version};
use bulkhead_model::seam::ledger::Ledger;
use parking_lot::{Mutex, MutexGuard, RwLock, RwLockUpgradableReadGuard};
use tokio::sync::Notify;

use crate::book::audits::Device;
use crate::book::cluster_key;
use crate::book::config::Config;
use crate::book::identity::Names;
use crate::book::mounts::{Catalog, Mount};
use crate::book::namespaces::Namespace;
use crate::book::tokens::Salt;
use crate::ceremony::Ceremonies;
use crate::cluster::Peering;
use crate::cluster::restoring::Snapshots;
use crate::fault::Fault;
use crate::fence::Fence;
use crate::guest::cache::GuestCache;
use crate::in_flight::InFlight;
use crate::node::Parts;
use crate::tally::{Endings, Tally};

/// A lock that a guest takes by name.
type AdvisoryLock = Arc<tokio::sync::Mutex<()>>;

/// The open state of a node.
pub(crate) struct Open {
    pub parts: Arc<Parts>,
    pub barrier: Arc<Barrier>,
    pub catalog: Catalog,
    pub salt: Salt,
    /// Keys of identity's indexes by name.
    pub names: Names,
    /// Keys the fingerprint of a token that a guest sees, per mount.
    pub fingerprints: HmacKey,
    pub cluster_id: String,
    pub cluster_name: String,
    pub active_since_ms: AtomicU64,
    pub devices: RwLock<Arc<Vec<Arc<Device>>>>,
    pub cache: GuestCache,
    /// Requests that are being served.
    pub in_flight: Arc<InFlight>,
    /// What holders of key shares are at: [`Open::ceremonies`].
    ceremonies: Mutex<Ceremonies>,
    /// Wakes whoever settles what is due.
    pub due: Notify,
    /// What it knows of its peers.
    pub peering: Peering,
    /// Snapshots that are saved and restored.
    pub snapshots: Snapshots,
    /// How long it may go on.
    pub fence: Fence,
    /// How many leases there are of each quota.
    pub tally: Arc<Tally>,
    config: RwLock<Option<Arc<Config>>>,
    locks: Mutex<HashMap<(SpaceId, String), AdvisoryLock>>,
}

/// What an open node is made of.
pub(crate) struct OpenParts {
    pub parts: Arc<Parts>,
    pub barrier: Arc<Barrier>,
    pub catalog: Catalog,
    pub cluster_id: String,
    pub cluster_name: String,
    pub devices: Vec<Arc<Device>>,
    pub moment: Version,
}

impl Open {
    pub(crate) fn new(from: OpenParts) -> Self {
        from.catalog.figures.cluster.get_or_init(|| from.cluster_name.clone());
        Self {
            salt: Salt::of(&from.barrier),
            names: Names::of(&from.barrier),
            fingerprints: from.barrier.hmac_key("token fingerprints"),
            active_since_ms: AtomicU64::new(from.parts.clock.now_ms()),
            peering: Peering::new(&from.barrier, &*from.parts.entropy),
            parts: from.parts,
            barrier: from.barrier,
            catalog: from.catalog,
            cluster_id: from.cluster_id,
            cluster_name: from.cluster_name,
            devices: RwLock::new(Arc::new(from.devices)),
            cache: GuestCache::default(),
            in_flight: Arc::default(),
            ceremonies: Mutex::default(),
            due: Notify::new(),
            snapshots: Snapshots::default(),
            fence: Fence::new(from.moment),
            tally: Arc::default(),
            config: RwLock::new(None),
            locks: Mutex::default(),
        }
    }

    pub(crate) fn ledger(&self) -> &dyn Ledger {
        &*self.parts.ledger
    }

    /// A transaction over the latest state. Call `linearizable` first where an earlier
    /// acknowledged change must show.
    pub(crate) fn begin(&self) -> Result<Transaction, Fault> {
        self.fence.refuse_shut()?;
        Ok(self.barrier.begin(self.ledger().view()?))
    }

    /// A transaction over the books of a namespace.
    pub(crate) fn begin_in(&self, namespace: &Namespace) -> Result<Transaction, Fault> {
        let mut tx = self.begin()?;
        tx.enter(namespace.realm());
        Ok(tx)
    }

    /// What is parsed of the transaction's epoch.
    pub(crate) fn config(&self, tx: &mut Transaction) -> Result<Arc<Config>, StoreError> {
        let known = self.config.read().clone();
        if let Some(config) = &known
            && config.holds(tx)?
        {
            return Ok(config.clone());
        }
        // One reads, and the others have it from that one.
        let latest = self.config.upgradable_read();
        if let Some(config) = &*latest
            && config.holds(tx)?
        {
            return Ok(config.clone());
        }
        let before = if self.notice_replacement(tx)? { None } else { latest.as_deref() };
        let config = Arc::new(Config::load(tx, &self.catalog, before)?);
        *RwLockUpgradableReadGuard::upgrade(latest) = Some(config.clone());
        Ok(config)
    }

    /// Notices that a snapshot took the state's place, in which all records have other versions.
    /// Of one that is another cluster's, or of other keys, nothing can be read: the node closes.
    fn notice_replacement(&self, tx: &mut Transaction) -> Result<bool, StoreError> {
        let moment = tx.version_untracked(&cluster_key())?;
        if moment == Some(self.fence.moment()) {
            return Ok(false);
        }
        let Some(moment) = moment.filter(|_| self.is_of_state().unwrap_or(false)) else {
            self.fence.close();
            let what = "the state, which is another one's: the node is to be unsealed with the keys of that";
            return Err(crate::book::damaged(crate::book::space::HOST, what));
        };
        self.cache.clear();
        self.fence.moved(moment);
        Ok(true)
    }

    fn is_of_state(&self) -> Result<bool, Fault> {
        Ok(self.barrier.is_of(&*self.ledger().view()?)?)
    }

    /// What holders of key shares are at, in this term.
    pub(crate) fn ceremonies(&self) -> MutexGuard<'_, Ceremonies> {
        let mut ceremonies = self.ceremonies.lock();
        ceremonies.turn(&self.ledger().standing());
        ceremonies
    }

    /// What was parsed last, without a look at whether it still holds.
    pub(crate) fn known_config(&self) -> Option<Arc<Config>> {
        self.config.read().clone()
    }

    /// Has the next request parse anew, if what was parsed last has a mount such as this.
    pub(crate) fn outdate_config(&self, has: impl Fn(&Mount) -> bool) {
        if let Some(config) = &*self.config.read()
            && config.mounts.with_leaving().any(|mount| has(mount))
        {
            config.outdate();
        }
    }

    /// Parses what holds now, for those who look at [`known_config`](Self::known_config).
    ///
    /// # Errors
    /// [`Fault`] from the store.
    pub(crate) fn refresh(&self) -> Result<(), Fault> {
        let mut tx = self.begin()?;
        self.config(&mut tx)?;
        Ok(())
    }

    /// Reads the barrier's keys anew, after another node may have rotated them. Says whether
    /// there is a newer one.
    ///
    /// # Errors
    /// [`Fault`] from the store.
    pub(crate) fn learn_keys(&self) -> Result<bool, Fault> {
        Ok(self.barrier.refresh(&*self.ledger().view()?)?)
    }

    /// How the unseal key is split.
    ///
    /// # Errors
    /// [`Fault`] from the store; an open node has one.
    pub(crate) fn seal_config(&self) -> Result<SealConfig, Fault> {
        let config = bulkhead_barrier::read_seal_config(&*self.ledger().view()?)?;
        config.ok_or_else(|| crate::book::damaged(crate::book::space::HOST, "the seal configuration").into())
    }

    /// Proposes what the transaction wrote; nothing to write is committed already.
    pub(crate) async fn commit(&self, tx: Transaction) -> Result<(), Fault> {
        if tx.has_writes() { self.write(tx).await.map(drop) } else { Ok(()) }
    }

    /// As [`commit`](Self::commit), of a transaction that writes; gives the version of what
    /// it wrote.
    pub(crate) async fn write(&self, mut tx: Transaction) -> Result<Version, Fault> {
        let ended = tx.take_ended();
        let change = tx.into_change(&*self.parts.entropy)?;
        self.fence.refuse_shut()?;
        let endings = Endings::of(&self.tally, ended);
        let verdict = self.ledger().propose(change).await.map_err(Fault::from);
        let done = match verdict {
            Ok(Verdict::Committed(version)) => Ok(version),
            Ok(Verdict::Conflict) => Err(Fault::Conflict),
            Err(fault) => Err(fault),
        };
        match (endings, &done) {
            (Some(endings), Ok(_)) => endings.happened(),
            (Some(endings), Err(fault)) if !fault.is_undecided() => endings.did_not_happen(),
            _ => {}
        }
        done
    }

    /// The advisory lock of this name in a mount.
    pub(crate) fn lock(&self, space: SpaceId, name: &str) -> AdvisoryLock {
        let mut locks = self.locks.lock();
        // Locks that nobody holds or waits for are forgotten.
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        locks.entry((space, name.to_owned())).or_default().clone()
    }
}
