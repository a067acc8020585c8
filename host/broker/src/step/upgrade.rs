//! Brings a mount's data to the layout that its plugin writes now. A new version of a
//! plugin leaves the data as it is, so that the old one can come back; only when the
//! operator has made up his mind is it rewritten, slice by slice, while requests go on.

use bulkhead_barrier::{Key, SpaceId, StoreError, Transaction};
use bulkhead_model::plugin::{Reason, UpgradeStep};
use bulkhead_model::seam::plugin::{Call, Returned};
use serde::{Deserialize, Serialize};

use super::expire::plugin_of;
use crate::book::leases::{Due, due_key};
use crate::book::mounts::{self, Mount, MountEntry};
use crate::book::{damaged, jobs, opaque, space};
use crate::fault::Fault;
use crate::step::dispatch::{self, mismatched};
use crate::visit::{After, Visit};

/// Kind byte of an upgrade in the due index.
pub(crate) const DUE_UPGRADE: u8 = b'u';

/// How far an upgrade has come.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct UpgradeRecord {
    /// Where the plugin goes on.
    cursor: Option<String>,
    /// Attempts that failed in a row.
    pub failures: u32,
    due_ms: u64,
}

fn key_of(mount: SpaceId) -> Key {
    opaque(space::HOST, &[b"upgrade", &mount.0[..]].concat())
}

fn due_id(mount: SpaceId) -> [u8; 32] {
    let mut id = [0; 32];
    id[..16].copy_from_slice(&mount.0);
    id
}

fn mount_of(due: &Due) -> SpaceId {
    SpaceId(due.id[..16].try_into().expect("half of 32 bytes"))
}

/// The upgrade of a mount that is under way.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn of(tx: &mut Transaction, mount: SpaceId) -> Result<Option<UpgradeRecord>, StoreError> {
    let Some(bytes) = tx.get(&key_of(mount))? else { return Ok(None) };
    postcard::from_bytes(bytes.expose()).map(Some).map_err(|_| damaged(space::HOST, "an upgrade"))
}

fn save(tx: &mut Transaction, mount: SpaceId, record: &UpgradeRecord) -> Result<(), StoreError> {
    tx.put(&key_of(mount), &postcard::to_stdvec(record).expect("an upgrade is plain data"))?;
    tx.put(&due_key(record.due_ms, DUE_UPGRADE, &due_id(mount)), &[])
}

/// Forgets a mount's upgrade, with the mount.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn forget(tx: &mut Transaction, mount: SpaceId) -> Result<(), StoreError> {
    if let Some(record) = of(tx, mount)? {
        tx.delete(&key_of(mount))?;
        tx.delete(&due_key(record.due_ms, DUE_UPGRADE, &due_id(mount)))?;
    }
    Ok(())
}

/// Begins the upgrade of a mount; the work starts once this is committed.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn begin(visit: &mut Visit, mount: &Mount) -> Result<(), StoreError> {
    if of(&mut visit.tx, mount.space)?.is_none() {
        let record = UpgradeRecord { due_ms: visit.now_ms, ..UpgradeRecord::default() };
        save(&mut visit.tx, mount.space, &record)?;
    }
    visit.after.push(After::LookForDue);
    Ok(())
}

/// Does the next slice.
///
/// # Errors
/// [`Fault`]: it is to be tried again.
pub(crate) async fn step(visit: &mut Visit, due: &Due) -> Result<(), Fault> {
    jobs::forget(&mut visit.tx, due)?;
    let space = mount_of(due);
    let Some(record) = of(&mut visit.tx, space)? else { return Ok(()) };
    let Some(mount) = visit.config.mounts.with_space(space).cloned() else {
        return forget(&mut visit.tx, space).map_err(Fault::from);
    };
    let plugin = plugin_of(&visit.open, &mount).await?;
    let call = Call::Upgrade { from: mount.entry.data_version, cursor: record.cursor };
    match dispatch::call(visit, &mount, &plugin, call, "upgrade").await? {
        Ok(Returned::Upgraded(UpgradeStep::More(cursor))) => {
            let due_ms = visit.now_ms;
            save(&mut visit.tx, space, &UpgradeRecord { cursor: Some(cursor), failures: 0, due_ms })?;
            visit.after.push(After::LookForDue);
            Ok(())
        }
        Ok(Returned::Upgraded(UpgradeStep::Done)) => {
            visit.tx.delete(&key_of(space))?;
            let entry = MountEntry { data_version: plugin.descriptor().data_version, ..mount.entry.clone() };
            mounts::save(&mut visit.tx, &entry)?;
            let upgraded = visit.config.bind(entry, &visit.open.catalog);
            super::duties::initialise(visit, &upgraded.into(), &plugin, Reason::Upgraded).await
        }
        Ok(_) => Err(mismatched()),
        Err(error) => {
            tracing::warn!(mount = %mount.entry.accessor, "the plugin could not upgrade its data: {}", error.kind());
            Err(Fault::invalid("the plugin could not upgrade its data"))
        }
    }
}

/// Has a slice that failed tried again later.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn put_off(tx: &mut Transaction, due: &Due, later: &impl Fn(&mut u32, &mut u64)) -> Result<(), StoreError> {
    jobs::forget(tx, due)?;
    let Some(mut record) = of(tx, mount_of(due))?.filter(|record| record.due_ms == due.at_ms) else { return Ok(()) };
    later(&mut record.failures, &mut record.due_ms);
    save(tx, mount_of(due), &record)
}
