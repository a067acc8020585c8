//! The operator's log, on standard error: Vault's line format or JSON, with a level
//! that can be changed while the server runs.

use std::fmt::{self, Write as _};
use std::io;
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
    // It tells of a silent node with every heartbeat; the broker does so once.
    let consensus = level.min(LevelFilter::ERROR);
    Targets::new().with_default(others).with_target("openraft", consensus).with_target("bulkhead", level)
}

/// Starts the log. In a process that has one already (tests), that one stays.
pub(crate) fn start(level: LevelFilter, format: LogFormat) -> LogLevel {
    let (filter, handle) = reload::Layer::new(targets(level));
    let lines = tracing_subscriber::fmt::layer();
    let base = tracing_subscriber::registry().with(filter);
    let started = match format {
        LogFormat::Standard => base.with(lines.with_writer(io::stderr).event_format(VaultLines)).try_init().is_ok(),
        LogFormat::Json => {
            let lines = lines.with_writer(|| JsonLines(io::stderr()));
            base.with(lines.json().flatten_event(true)).try_init().is_ok()
        }
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

/// An event's text and fields, made legible: parts of them may come from a client or a
/// guest, which must not forge a line or act on the terminal of whoever reads it.
#[derive(Default)]
struct Parts {
    message: String,
    fields: String,
}

impl Visit for Parts {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = legible(&format!("{value:?}"));
        if field.name() == "message" {
            self.message = text;
        } else {
            self.fields.push_str(&format!(" {}={text}", field.name()));
        }
    }
}

/// The text with every active character escaped.
fn legible(text: &str) -> String {
    let mut legible = String::with_capacity(text.len());
    for c in text.chars() {
        if is_active(c) { legible.extend(c.escape_default()) } else { legible.push(c) }
    }
    legible
}

/// Whether a terminal or a reader of lines does something else with a character than
/// show it: controls (escape sequences begin with one), separators of lines and
/// paragraphs, and those that turn the direction of the text.
fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Standard error for JSON, which escapes the first 32 controls by itself and leaves
/// the other active characters as they are.
struct JsonLines<W>(W);

impl<W: io::Write> io::Write for JsonLines<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut legible = String::with_capacity(line.len());
        for c in String::from_utf8_lossy(line).chars() {
            if c != '\n' && is_active(c) {
                // All of them have four digits, so that JSON's escape can name them.
                let _ = write!(legible, "\\u{:04x}", u32::from(c));
            } else {
                legible.push(c);
            }
        }
        self.0.write_all(legible.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests;
