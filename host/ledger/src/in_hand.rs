//! The restoring that this leader has in hand: no other may begin meanwhile, and one that nobody
//! works at any more is given up, so that its records do not lie in the state for ever. The
//! state itself knows which one is under way; this only says who is at it.

use std::sync::Arc;
use std::time::Duration;

use bulkhead_model::seam::ledger::LedgerError;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::codec::restore::{RestoreId, Step};
use crate::machine::restore::{UNDER_WAY, id_of, lies_apart};
use crate::machine::state::State;

/// How long nobody works at a restoring before it is given up. Source: ours. Why: whoever makes
/// its steps reads them from a file of its own, so that one follows the other at once.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// What is in hand, and the state it is about.
pub(crate) struct InHand {
    state: Arc<State>,
    work: Mutex<Option<Work>>,
}

struct Work {
    id: RestoreId,
    /// Steps under way.
    steps: u32,
    /// When one was last begun or ended.
    last: Instant,
}

impl Work {
    fn is_idle(&self) -> bool {
        self.steps == 0 && self.last.elapsed() > IDLE_MAX
    }
}

/// A step that is under way.
pub(crate) struct Working<'a> {
    of: &'a InHand,
    id: RestoreId,
}

impl InHand {
    pub(crate) fn new(state: Arc<State>) -> Self {
        Self { state, work: Mutex::new(None) }
    }

    /// Takes a step of this restoring in hand; `None`, while another is.
    pub(crate) fn take(&self, id: RestoreId) -> Option<Working<'_>> {
        let mut work = self.work.lock();
        if work.as_ref().is_some_and(|work| work.id != id && !work.is_idle()) {
            return None;
        }
        let steps = work.as_ref().filter(|work| work.id == id).map_or(0, |work| work.steps);
        *work = Some(Work { id, steps: steps + 1, last: Instant::now() });
        Some(Working { of: self, id })
    }

    fn has(&self, id: RestoreId) -> bool {
        self.work.lock().as_ref().is_some_and(|work| work.id == id && !work.is_idle())
    }

    /// The step that gives up what this leader has not in hand, if anything is under way.
    pub(crate) fn abandoned(&self) -> Result<Option<Step<'static>>, LedgerError> {
        let noted = self.state.disk()?.get(&UNDER_WAY)?;
        let Some(id) = noted.map(|id| id_of(&id)).transpose()? else { return Ok(None) };
        Ok((!self.has(id)).then_some(Step::Abandon { id: Some(id) }))
    }

    /// The step that clears what was laid aside before a restoring had a beginning, if there is
    /// any. It may have to pass by all that was cleared lately, so it is not for every look.
    pub(crate) fn left_behind(&self) -> Result<Option<Step<'static>>, LedgerError> {
        let view = self.state.disk()?.view();
        let unbegun = view.get(&UNDER_WAY)?.is_none() && lies_apart(&view)?;
        Ok(unbegun.then_some(Step::Abandon { id: None }))
    }
}

impl Working<'_> {
    /// Nothing of this restoring follows.
    pub(crate) fn finish(self) {
        self.of.work.lock().take_if(|work| work.id == self.id);
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        if let Some(work) = self.of.work.lock().as_mut().filter(|work| work.id == self.id) {
            work.steps = work.steps.saturating_sub(1);
            work.last = Instant::now();
        }
    }
}
