//! Jobs: what a plugin asked to be run later, and what it declares to be run regularly.

use std::sync::Arc;

use bulkhead_barrier::{SpaceId, StoreError, Transaction};
use bulkhead_model::hidden::Hidden;
use bulkhead_model::plugin::JobOutcome;
use bulkhead_model::seam::plugin::{Call, Plugin, Returned};

use super::expire::plugin_of;
use crate::book::jobs::{self, JobRecord};
use crate::book::kept::Kept;
use crate::book::leases::Due;
use crate::book::mounts::{Engine, Mount};
use crate::fault::Fault;
use crate::open::Open;
use crate::step::dispatch::{self, mismatched};
use crate::visit::{After, Visit};

/// Key of a job that is run because its plugin declares it so.
const REGULAR: &str = "";
/// Payload of such a job at its first run.
const NO_PAYLOAD: &[u8] = b"null";

/// Schedules what the mount's plugin declares to be run regularly, where it is not
/// scheduled yet: at the mount, and again for jobs that a new version brings.
///
/// # Errors
/// [`StoreError`] from the barrier.
pub(crate) fn schedule_regular(
    tx: &mut Transaction,
    mount: &Mount,
    plugin: &dyn Plugin,
    now_ms: u64,
) -> Result<(), StoreError> {
    for job in &plugin.descriptor().jobs {
        let Some(every_secs) = job.every else { continue };
        let id = jobs::id(&mount.space.0, &job.name, REGULAR);
        if jobs::get(tx, &id)?.is_none() {
            jobs::save(
                tx,
                &JobRecord {
                    mount: mount.space.0,
                    job: job.name.clone(),
                    key: REGULAR.to_owned(),
                    payload: Kept::from(Hidden::new(NO_PAYLOAD.to_vec())),
                    due_ms: after(now_ms, every_secs),
                    failures: 0,
                },
            )?;
        }
    }
    Ok(())
}

/// How often a job is run by its plugin's declaration, in seconds.
fn every_secs(plugin: &dyn Plugin, record: &JobRecord) -> Option<u64> {
    let declared = plugin.descriptor().jobs.iter().filter(|_| record.key == REGULAR);
    declared.filter(|job| job.name == record.job).find_map(|job| job.every)
}

fn after(now_ms: u64, secs: u64) -> u64 {
    now_ms.saturating_add(secs.max(1).saturating_mul(1000))
}

/// The longest that a job which failed is to wait for its next run, in milliseconds: no
/// longer than if it had not failed.
pub(crate) fn wait_max_ms(open: &Open, tx: &mut Transaction, due: &Due) -> Result<u64, Fault> {
    let Some(record) = jobs::get(tx, &due.id)? else { return Ok(u64::MAX) };
    let config = open.config(tx)?;
    let mount = config.mounts.with_space(SpaceId(record.mount));
    let every = mount.and_then(|mount| match &mount.engine {
        Engine::Plugin(plugin, _) => every_secs(&**plugin, &record),
        _ => None,
    });
    Ok(every.map_or(u64::MAX, |secs| secs.saturating_mul(1000)))
}

/// Runs a job that is due.
///
/// # Errors
/// [`Fault`]: it is to be tried again.
pub(crate) async fn run(visit: &mut Visit, due: &Due) -> Result<(), Fault> {
    let Some(record) = jobs::get(&mut visit.tx, &due.id)? else {
        return jobs::forget(&mut visit.tx, due).map_err(Fault::from);
    };
    jobs::remove(&mut visit.tx, &due.id)?;
    // With its mount a job loses its meaning.
    let Some(mount) = visit.config.mounts.with_space(SpaceId(record.mount)).cloned() else { return Ok(()) };
    let plugin = plugin_of(&visit.open, &mount).await?;
    let again = match outcome(visit, &mount, &plugin, &record).await? {
        JobOutcome::Again(due_ms, payload) => Some((due_ms, payload)),
        JobOutcome::Done => {
            every_secs(&*plugin, &record).map(|secs| (after(visit.now_ms, secs), Hidden::new(NO_PAYLOAD.to_vec())))
        }
    };
    if let Some((due_ms, payload)) = again {
        visit.after.push(After::LookForDue);
        jobs::save(&mut visit.tx, &JobRecord { payload: Kept::from(payload), due_ms, failures: 0, ..record })?;
    }
    Ok(())
}

async fn outcome(
    visit: &mut Visit,
    mount: &Arc<Mount>,
    plugin: &Arc<dyn Plugin>,
    record: &JobRecord,
) -> Result<JobOutcome, Fault> {
    let payload = record.payload.duplicate();
    let call = Call::RunJob { job: record.job.clone(), key: record.key.clone(), payload };
    match dispatch::call(visit, mount, plugin, call, "job").await? {
        Ok(Returned::JobDone(outcome)) => Ok(outcome),
        Ok(_) => Err(mismatched()),
        Err(error) => {
            tracing::warn!(mount = %mount.entry.accessor, job = %record.job, "job failed: {}", error.kind());
            Err(Fault::invalid("the plugin failed at the job"))
        }
    }
}
