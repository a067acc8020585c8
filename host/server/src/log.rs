//! The operator's log, on standard error: Vault's line format or JSON, with a level
//! that can be changed while the server runs.

use std::fmt;
use std::time::SystemTime;

use time::OffsetDateTime;
use time::macros::format_description;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, reload};

/// How lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// Vault's: time, level, room, text, fields.
    #[default]
    Standard,
    /// One JSON object a line.
    Json,
}

/// Changes the level of a running log.
pub(crate) struct LogLevel(Option<reload::Handle<Targets, Registry>>);

impl LogLevel {
    /// Sets a new level.
    pub(crate) fn set(&self, level: LevelFilter) {
        if let Some(handle) = &self.0 {
            // Fails only if the subscriber is gone, and then nobody logs.
            let _ = handle.reload(targets(level));
        }
    }
}

/// Libraries speak up from warnings on; what they do in detail is not ours to explain.
fn targets(level: LevelFilter) -> Targets {
    let others = level.min(LevelFilter::WARN);
    Targets::new().with_default(others).with_target("bulkhead", level)
}

/// Starts the log. In a process that has one already (tests), that one stays.
pub(crate) fn start(level: LevelFilter, format: LogFormat) -> LogLevel {
    let (filter, handle) = reload::Layer::new(targets(level));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let base = tracing_subscriber::registry().with(filter);
    let started = match format {
        LogFormat::Standard => base.with(lines.event_format(VaultLines)).try_init().is_ok(),
        LogFormat::Json => base.with(lines.json().flatten_event(true)).try_init().is_ok(),
    };
    LogLevel(started.then_some(handle))
}

/// Reads a level's name. Vault's five, and its `err`, `warning` and `notice`.
pub(crate) fn level(text: &str) -> Option<LevelFilter> {
    Some(match text.to_ascii_lowercase().as_str() {
        "trace" => LevelFilter::TRACE,
        "debug" => LevelFilter::DEBUG,
        "info" | "notice" | "" => LevelFilter::INFO,
        "warn" | "warning" => LevelFilter::WARN,
        "error" | "err" => LevelFilter::ERROR,
        "off" => LevelFilter::OFF,
        _ => return None,
    })
}

/// `2026-11-23T21:51:09.907Z [INFO]  broker: text: key=value`.
struct VaultLines;

impl<S, N> FormatEvent<S, N> for VaultLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let now = OffsetDateTime::from(SystemTime::now());
        let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
        let level = match *event.metadata().level() {
            Level::TRACE => "[TRACE]",
            Level::DEBUG => "[DEBUG]",
            Level::INFO => "[INFO] ",
            Level::WARN => "[WARN] ",
            Level::ERROR => "[ERROR]",
        };
        let target = event.metadata().target();
        let room = target.strip_prefix("bulkhead_").unwrap_or(target).split("::").next().unwrap_or_default();
        write!(writer, "{} {level} {room}: ", now.format(&format).map_err(|_| fmt::Error)?)?;
        let mut parts = Parts::default();
        event.record(&mut parts);
        writer.write_str(&parts.message)?;
        if !parts.fields.is_empty() {
            write!(writer, ":{}", parts.fields)?;
        }
        writeln!(writer)
    }
}

/// An event's text and fields. Line breaks are escaped, so that nobody can forge a line.
#[derive(Default)]
struct Parts {
    message: String,
    fields: String,
}

impl Visit for Parts {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}").replace('\n', "\\n").replace('\r', "\\r");
        if field.name() == "message" {
            self.message = text;
        } else {
            self.fields.push_str(&format!(" {}={text}", field.name()));
        }
    }
}
