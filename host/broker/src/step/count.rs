//! Counts the leases that quotas are for, in the background, whenever what was counted holds no
//! more: a quota is new or another, this node has come to lead, a snapshot was restored, or a
//! change was never heard of again. Nobody is given a lease of a quota meanwhile, so that what is
//! looked at can only become less. Without quotas nothing is looked at.

use std::sync::Arc;
use std::time::Duration;

use bulkhead_barrier::{SpaceId, StoreError, Transaction};

use crate::book::config::Config;
use crate::book::leases;
use crate::book::mounts::Mount;
use crate::book::tokens::{self, TokenHash, TokenRecord};
use crate::book::{opaque, space};
use crate::fault::Fault;
use crate::open::Open;
use crate::step::room;

/// Leases or tokens read at once. Source: ours, far below what one transaction may read.
const PAGE: u32 = 1_000;
/// How often it is looked whether something is to be counted. Source: ours. Why: who waits for it
/// says so; this is for whoever will.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Works until the node is sealed.
pub(crate) async fn run(open: Arc<Open>) {
    loop {
        if let Err(fault) = look(&open).await {
            tracing::warn!(cause = ?fault, "the leases of quotas could not be counted; it is tried again");
        }
        tokio::select! {
            () = open.tally.wanted() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Counts, if there is something to count.
pub(crate) async fn look(open: &Open) -> Result<(), Fault> {
    // On any node: what is decided before a request reads anything (which sites' pages may ask, how often somebody
    // may) goes by what was parsed last.
    open.refresh()?;
    if !open.ledger().standing().leader {
        open.tally.clear();
        return Ok(());
    }
    let Some(config) = open.known_config() else { return Ok(()) };
    if config.lease_quotas.records.is_empty() {
        open.tally.clear();
        return Ok(());
    }
    match room::basis(open, &config) {
        Ok(basis) if !open.tally.holds(&basis) => count(open, &config).await,
        _ => Ok(()),
    }
}

async fn count(open: &Open, config: &Config) -> Result<(), Fault> {
    decide(open).await?;
    let basis = room::basis(open, config)?;
    let number = open.tally.begin(basis.clone());
    let moved = Moved::of(config);
    let mut after = None;
    loop {
        let mut tx = open.begin()?;
        let (ids, next) = leases::page(&mut tx, "", after.as_deref(), PAGE as usize)?;
        let mut found = Vec::new();
        for id in ids {
            let path = moved.path_of_lease(&mut tx, &id)?;
            found.extend(room::nearest(config, &path, "").map(|(place, _)| (leases::digest(&id), place)));
        }
        open.tally.found(number, found);
        after = next;
        if after.is_none() {
            break;
        }
        tokio::task::yield_now().await;
    }
    count_tokens(open, config, &moved, number).await?;
    // What was seen of a state that another leader had changed meanwhile is of no use.
    if open.ledger().standing().term == basis.term && open.tally.finish(number) {
        tracing::debug!("the leases of quotas are counted");
    }
    Ok(())
}

async fn count_tokens(open: &Open, config: &Config, moved: &Moved<'_>, number: u64) -> Result<(), Fault> {
    let mut after: Option<TokenHash> = None;
    loop {
        let mut tx = open.begin()?;
        let page = tokens::page(&mut tx, after.as_ref(), PAGE)?;
        let mut found = Vec::new();
        for hash in &page {
            let record = match tokens::get_untracked(&mut tx, hash) {
                // Nobody can use it.
                Err(StoreError::Damaged { .. }) => continue,
                found => found?,
            };
            let Some(record) = record.filter(TokenRecord::is_counted) else { continue };
            let path = moved.path_of_token(config, &record);
            let place = room::nearest(config, &path, record.login_role());
            found.extend(place.map(|(place, _)| (*hash, place)));
        }
        open.tally.found(number, found);
        after = page.last().copied();
        if page.len() < PAGE as usize {
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}

/// Has all that was proposed before decided: a change of which nothing was heard may still be on
/// its way, and is committed before this one or never.
async fn decide(open: &Open) -> Result<(), Fault> {
    let mut tx = open.begin()?;
    tx.put(&opaque(space::HOST, b"lease-count"), &[])?;
    open.commit(tx).await
}

/// Mounts that were elsewhere before. What was made below them there is counted where they are.
struct Moved<'a>(Vec<(&'a Mount, Vec<String>)>);

impl<'a> Moved<'a> {
    fn of(config: &'a Config) -> Self {
        let moved = config.mounts.with_leaving().filter(|mount| !mount.entry.former_paths.is_empty());
        Self(moved.map(|mount| (&**mount, mount.lease_paths())).collect())
    }

    /// The path of a lease, from where its mount is now.
    fn path_of_lease(&self, tx: &mut Transaction, id: &str) -> Result<String, StoreError> {
        let path = id.rsplit_once('/').map_or(id, |(path, _)| path);
        let mut before = self.0.iter().flat_map(|(_, paths)| paths);
        if !before.any(|before| id.starts_with(before.as_str())) {
            return Ok(path.to_owned());
        }
        let space = match leases::get(tx, id) {
            Ok(Some(lease)) => SpaceId(lease.mount),
            Ok(None) | Err(StoreError::Damaged { .. }) => return Ok(path.to_owned()),
            Err(error) => return Err(error),
        };
        let of = self.0.iter().find(|(mount, _)| mount.space.0 == space.0);
        Ok(of.map_or_else(|| path.to_owned(), |moved| now(moved, path)))
    }

    /// The path that a token was made at, from where its method is now.
    fn path_of_token(&self, config: &Config, record: &TokenRecord) -> String {
        let home = config.namespaces.with_id(&record.namespace).unwrap_or_else(|| config.namespaces.root());
        let path = home.full(&record.path);
        let of = self.0.iter().find(|(mount, _)| mount.entry.accessor == record.mount_accessor);
        of.map_or_else(|| path.clone(), |moved| now(moved, &path))
    }
}

fn now((mount, paths): &(&Mount, Vec<String>), path: &str) -> String {
    let rest = paths.iter().find_map(|before| path.strip_prefix(before.as_str()));
    rest.map_or_else(|| path.to_owned(), |rest| [&mount.full_path, rest].concat())
}
