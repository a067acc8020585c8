//! `sys/storage/raft/snapshot` and `snapshot-force`: the state of the cluster, out and in.
//! Neither body is ever held: both are read as they are sent.

use std::sync::Arc;

use bulkhead_model::reply::Reply;
use bulkhead_model::request::{Body, Verb};
use bulkhead_model::seam::ledger::{LedgerError, Versioned, View};

use super::raft::cluster;
use super::table::{Answer, Handler, HostRoute};
use crate::cluster::restoring;
use crate::fault::Fault;
use crate::visit::{After, Ask, Visit};

pub(super) const ROUTES: &[HostRoute] = &[
    HostRoute::new("storage/raft/snapshot", &[Verb::Read], Handler::Later(save), "Save the state of the cluster."),
    HostRoute::new(
        "storage/raft/snapshot",
        &[Verb::Write],
        Handler::Later(restore),
        "Put a snapshot of this cluster in the place of its state.",
    ),
    HostRoute::new(
        "storage/raft/snapshot-force",
        &[Verb::Write],
        Handler::Later(force),
        "Put any snapshot in the place of the cluster's state, with the keys it has.",
    ),
];

/// Type and disposition of a snapshot, as OpenBao has them.
const CONTENT_TYPE: &str = "application/gzip";

fn save<'a>(visit: &'a mut Visit, _ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(async move {
        let open = visit.open.clone();
        let saved = restoring::save(&open, cluster(&open)?).await?;
        let headers = vec![("content-disposition".to_owned(), "attachment".to_owned())];
        Ok(Reply::Stream { content_type: CONTENT_TYPE, headers, stream: saved.stream })
    })
}

fn restore<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(put_in_place(visit, ask, false))
}

fn force<'a>(visit: &'a mut Visit, ask: &'a Ask<'a>) -> Answer<'a> {
    Box::pin(put_in_place(visit, ask, true))
}

async fn put_in_place(visit: &mut Visit, ask: &Ask<'_>, forced: bool) -> Result<Reply, Fault> {
    let open = visit.open.clone();
    let cluster = cluster(&open)?;
    let turn = open.snapshots.turn()?;
    let pieces = match &ask.request.body {
        Body::Unread(body) => body.take(),
        _ => None,
    };
    let pieces = pieces.ok_or_else(|| Fault::invalid("a snapshot is expected as the request's body"))?;
    // A body can be read once, and the state it replaces is not the one that was read so far. A
    // view of that would have the ledger keep in memory all that is written from here on.
    visit.outside = true;
    visit.tx = open.barrier.begin(Arc::new(NoRecords));
    let admitted = restoring::receive(&open, cluster, pieces, forced).await?;
    let seals = admitted.seals();
    restoring::put_in_place(&open, admitted, turn).await?;
    // The token may not be there any more, and no use of it is left to count.
    visit.who = None;
    if seals {
        visit.after.push(After::Close);
    }
    Ok(Reply::Empty)
}

/// What there is to read of a state that is about to be replaced.
struct NoRecords;

impl View for NoRecords {
    fn get(&self, _: &[u8]) -> Result<Option<Versioned>, LedgerError> {
        Ok(None)
    }

    fn keys(&self, _: &[u8], _: &[u8], _: u32) -> Result<Vec<Vec<u8>>, LedgerError> {
        Ok(Vec::new())
    }
}
