//! What the bench's host remembers.

use std::collections::{BTreeMap, BTreeSet};

use crate::bindings::mounted::bulkhead::plugin::identity::{Entity, Group};
use crate::bindings::mounted::bulkhead::plugin::system::{Level, Mount};

/// A line that a handler logged.
#[derive(Clone, Debug)]
pub struct LogLine {
    /// How loud.
    pub level: Level,
    /// The message.
    pub message: String,
    /// Its fields.
    pub fields: Vec<(String, String)>,
}

/// A scheduled job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) at: u64,
    pub(crate) payload: Vec<u8>,
}

/// A value in the node's memory.
#[derive(Clone, Debug)]
pub(crate) struct Remembered {
    pub(crate) value: Vec<u8>,
    pub(crate) ends_ms: u64,
    pub(crate) depends_on: Vec<String>,
}

/// What a failed call must leave as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) store: BTreeMap<String, Vec<u8>>,
    pub(crate) jobs: BTreeMap<(String, String), Job>,
    /// Intents that are dropped with the commit.
    pub(crate) resolved: BTreeSet<String>,
    /// By token: the data, and until when.
    pub(crate) wrapped: BTreeMap<String, (Vec<u8>, u64)>,
    pub(crate) seed: u64,
}

/// One mount and the node around it.
pub(crate) struct World {
    pub(crate) state: State,
    /// Kind and data by id; they outlive a call that fails.
    pub(crate) intents: BTreeMap<String, (String, Vec<u8>)>,
    pub(crate) intents_made: usize,
    /// Those of the call that runs, or ran last.
    pub(crate) intended: Vec<String>,
    pub(crate) locks: BTreeSet<String>,
    pub(crate) locks_of_others: BTreeSet<String>,
    pub(crate) cache: BTreeMap<String, Remembered>,
    pub(crate) password_policies: BTreeMap<String, usize>,
    pub(crate) mount: Mount,
    pub(crate) now_ms: u64,
    pub(crate) entities: Vec<Entity>,
    pub(crate) groups: Vec<(String, Group)>,
    pub(crate) log: Vec<LogLine>,
    pub(crate) gets: usize,
    pub(crate) password_work: Vec<String>,
}

impl World {
    pub(crate) fn new(data_version: u32) -> Self {
        let mount = Mount {
            id: "7d1e4b1c-0000-4000-8000-000000000000".to_owned(),
            accessor: "bench_00000001".to_owned(),
            path: "bench/".to_owned(),
            namespace: String::new(),
            plugin_version: "0".to_owned(),
            options: Vec::new(),
            default_ttl: 2_764_800,
            max_ttl: 2_764_800,
            data_version,
            extra: Vec::new(),
        };
        Self {
            state: State::default(),
            intents: BTreeMap::new(),
            intents_made: 0,
            intended: Vec::new(),
            locks: BTreeSet::new(),
            locks_of_others: BTreeSet::new(),
            cache: BTreeMap::new(),
            password_policies: BTreeMap::new(),
            mount,
            now_ms: 1_767_225_600_000,
            entities: Vec::new(),
            groups: Vec::new(),
            log: Vec::new(),
            gets: 0,
            password_work: Vec::new(),
        }
    }

    /// Splitmix64: the same numbers on every run.
    pub(crate) fn random_byte(&mut self) -> u8 {
        self.state.seed = self.state.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state.seed ^ (self.state.seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed >> 32) as u8
    }

    /// Forgets what depended on a key that was written.
    pub(crate) fn touch(&mut self, key: &str) {
        let depends = |on: &String| on == key || (on.ends_with('/') && key.starts_with(on.as_str()));
        self.cache.retain(|_, kept| !kept.depends_on.iter().any(depends));
    }

    /// Forgets what a call that commits has done or settled.
    pub(crate) fn fulfil_intents(&mut self) {
        let resolved = std::mem::take(&mut self.state.resolved);
        for id in self.intended.iter().chain(&resolved) {
            self.intents.remove(id);
        }
    }
}
