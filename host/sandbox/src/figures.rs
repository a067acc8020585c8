//! What is counted about the calls of a plugin, whatever versions of it are loaded.

use std::sync::Arc;

use bulkhead_model::metrics::{Counter, Sheet, Timer};
use bulkhead_model::plugin::Descriptor;
use bulkhead_model::seam::plugin::{CallFailure, Stop};
use parking_lot::Mutex;
use wasmtime::{ResourceLimiter, StoreLimits};

use crate::grants::World;

/// A plugin's numbers.
#[derive(Default)]
pub(crate) struct Figures {
    /// Calls that ran to their end, whatever the plugin said.
    pub(crate) calls: Timer,
    trapped: Counter,
    timed_out: Counter,
    busy: Counter,
    over_budget: Counter,
    /// Times that storage did not do what a call asked, because it may not.
    pub(crate) denied: Counter,
    /// Times that a call asked for more memory than there is for it.
    memory_refused: Counter,
}

impl Figures {
    /// Counts a call that brought no answer.
    pub(crate) fn failed(&self, failure: CallFailure) -> CallFailure {
        match &failure {
            CallFailure::Trap(_) => self.trapped.add_one(),
            CallFailure::Timeout => self.timed_out.add_one(),
            CallFailure::Busy => self.busy.add_one(),
            CallFailure::Stopped(Stop::Budget(_)) => self.over_budget.add_one(),
            // It runs again, here or on the leader: nothing is wrong with it.
            CallFailure::Stopped(Stop::Conflict | Stop::Forward) => {}
        }
        failure
    }

    fn tell(&self, sheet: &mut Sheet, name: &str, kind: &str) {
        let labels = [("plugin", name), ("type", kind)];
        sheet.histogram("bulkhead.plugin.call", "Calls of plugins that ran to their end.", &labels, self.calls.read());
        for (reason, counter) in
            [("trap", &self.trapped), ("timeout", &self.timed_out), ("busy", &self.busy), ("budget", &self.over_budget)]
        {
            let labels = [labels[0], ("reason", reason), labels[1]];
            let help = "Calls of plugins that brought no answer.";
            sheet.counter("bulkhead.plugin.call_failures", help, &labels, counter.read() as f64);
        }
        let denied = "Times that storage refused what a plugin asked of it.";
        sheet.counter("bulkhead.plugin.storage_denials", denied, &labels, self.denied.read() as f64);
        let memory = "Times that a plugin was refused more memory.";
        sheet.counter("bulkhead.plugin.memory_refusals", memory, &labels, self.memory_refused.read() as f64);
    }
}

/// Plugins with numbers of their own. Source: ours.
const PLUGINS_MAX: usize = 100;

/// What plugins beyond them are called.
const OTHER: &str = "other";

/// The numbers of all plugins that were loaded.
#[derive(Default)]
pub(crate) struct AllFigures(Mutex<Vec<(String, World, Arc<Figures>)>>);

impl AllFigures {
    /// Those of one plugin.
    pub(crate) fn of(&self, world: World, about: &Descriptor) -> Arc<Figures> {
        let mut all = self.0.lock();
        if let Some((_, _, known)) = all.iter().find(|(name, known, _)| *name == about.name && *known == world) {
            return Arc::clone(known);
        }
        // The last ones share a place: names are the plugins' own, and each has its lines for good.
        let name = if all.len() < PLUGINS_MAX { about.name.as_str() } else { OTHER };
        if let Some((_, _, other)) = all.iter().find(|(known, of, _)| known == name && *of == world) {
            return Arc::clone(other);
        }
        let figures = Arc::<Figures>::default();
        all.push((name.to_owned(), world, Arc::clone(&figures)));
        figures
    }

    pub(crate) fn tell(&self, sheet: &mut Sheet) {
        for (name, world, figures) in self.0.lock().iter() {
            let kind = match world {
                World::Engine => "secret",
                World::Auth => "auth",
                World::Driver => "database",
                World::Seal => "seal",
            };
            figures.tell(sheet, name, kind);
        }
    }
}

/// Limits of a store, counting what they refuse.
pub(crate) struct CountedLimits {
    pub(crate) limits: StoreLimits,
    pub(crate) figures: Arc<Figures>,
}

impl ResourceLimiter for CountedLimits {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let allowed = self.limits.memory_growing(current, desired, maximum)?;
        if !allowed {
            self.figures.memory_refused.add_one();
        }
        Ok(allowed)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.figures.memory_refused.add_one();
        self.limits.memory_grow_failed(error)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.limits.table_growing(current, desired, maximum)
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.limits.table_grow_failed(error)
    }

    fn instances(&self) -> usize {
        self.limits.instances()
    }

    fn tables(&self) -> usize {
        self.limits.tables()
    }

    fn memories(&self) -> usize {
        self.limits.memories()
    }
}
