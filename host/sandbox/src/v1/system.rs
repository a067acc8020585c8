//! `system`: time, log, facts about the mount, generated passwords, wrapping.

use bulkhead_model::limits::{CHANGE_BYTES_MAX, VALUE_BYTES_MAX};
use bulkhead_model::seam::plugin::LogLevel;

use super::wit::system::{Host, Level, Limits, Mount};
use crate::answer;
use crate::instance::{CallData, LogRoom};
use crate::limits::{LOG_FIELDS_MAX, LOG_LINE_BYTES_MAX};

impl Host for CallData {
    fn now(&mut self) -> wasmtime::Result<u64> {
        self.budget.host_call()?;
        Ok(self.host.now_ms())
    }

    fn log(&mut self, level: Level, message: String, fields: Vec<(String, String)>) -> wasmtime::Result<()> {
        self.budget.host_call()?;
        let line = Line::new(&message, &fields);
        match self.budget.log(line.bytes()) {
            LogRoom::Yes => self.host.log(level.into(), &line.message, &line.fields),
            LogRoom::LastLine => self.host.log(LogLevel::Warn, "further log lines of this call are dropped", &[]),
            LogRoom::No => {}
        }
        Ok(())
    }

    fn mount_info(&mut self) -> wasmtime::Result<Mount> {
        self.budget.host_call()?;
        let facts = self.host.mount().clone();
        Ok(Mount {
            id: facts.id,
            accessor: facts.accessor,
            path: facts.path,
            namespace: facts.namespace,
            plugin_version: facts.plugin_version,
            options: facts.options,
            default_ttl: facts.default_ttl,
            max_ttl: facts.max_ttl,
            data_version: facts.data_version,
            extra: Vec::new(),
        })
    }

    fn limits_info(&mut self) -> wasmtime::Result<Limits> {
        self.budget.host_call()?;
        Ok(Limits {
            max_value_bytes: VALUE_BYTES_MAX as u64,
            max_transaction_bytes: CHANGE_BYTES_MAX as u64,
            remaining_ms: self.wall_ms.saturating_sub(self.meter.elapsed_ms()),
        })
    }

    fn host_version(&mut self) -> wasmtime::Result<String> {
        self.budget.host_call()?;
        Ok(env!("CARGO_PKG_VERSION").to_owned())
    }

    fn cluster_id(&mut self) -> wasmtime::Result<String> {
        self.budget.host_call()?;
        Ok(self.host.cluster_id())
    }

    fn generate_password(&mut self, policy: Option<String>) -> wasmtime::Result<Result<String, String>> {
        self.budget.host_call()?;
        Ok(self.host.generate_password(policy.as_deref()))
    }

    async fn wrap(&mut self, data: Vec<u8>, ttl: u64) -> wasmtime::Result<Result<String, String>> {
        self.budget.host_call()?;
        match answer::object(data) {
            Ok(data) => Ok(self.host.wrap(data, ttl).await),
            Err(unsound) => Ok(Err(unsound.to_string())),
        }
    }
}

impl From<Level> for LogLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Trace => Self::Trace,
            Level::Debug => Self::Debug,
            Level::Info => Self::Info,
            Level::Warn => Self::Warn,
            Level::Error => Self::Error,
        }
    }
}

/// A guest's log line, made harmless for a terminal and for a reader of lines.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) message: String,
    pub(super) fields: Vec<(String, String)>,
}

impl Line {
    pub(super) fn new(message: &str, fields: &[(String, String)]) -> Self {
        let mut room = LOG_LINE_BYTES_MAX;
        let message = legible(message, &mut room);
        let fields = fields.iter().take(LOG_FIELDS_MAX);
        let fields = fields.map(|(name, value)| (legible(name, &mut room), legible(value, &mut room))).collect();
        Self { message, fields }
    }

    /// What the line is charged: an empty line is not free.
    fn bytes(&self) -> usize {
        32 + self.message.len() + self.fields.iter().map(|(name, value)| name.len() + value.len() + 2).sum::<usize>()
    }
}

/// The text with every character escaped that a terminal or a log reader might act on:
/// controls, line and paragraph separators, and those that reorder text. Cut where
/// there is no more room.
pub(crate) fn legible(text: &str, room: &mut usize) -> String {
    let mut out = String::with_capacity(text.len().min(*room));
    for c in text.chars() {
        let before = out.len();
        match c {
            c if c.is_control() => out.extend(c.escape_default()),
            '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                out.extend(c.escape_unicode());
            }
            c => out.push(c),
        }
        let taken = out.len() - before;
        if taken > *room {
            out.truncate(before);
            break;
        }
        *room -= taken;
    }
    out
}
