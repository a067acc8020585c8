//! What a guest's call may ask of the host, over the visit's transaction.

pub(crate) mod cache;
mod driver;
pub(crate) mod host;

use bulkhead_model::seam::plugin::LogLevel;

pub(crate) use host::GuestHost;

use crate::book::mounts::Mount;

/// A guest's line in the operator's log, with the request and the mount that it is about.
fn log(level: LogLevel, (id, mount): (&str, &Mount), message: &str, fields: &[(String, String)]) {
    let mount = &mount.entry.accessor;
    match level {
        LogLevel::Trace => tracing::trace!(request = %id, mount = %mount, ?fields, "plugin: {message}"),
        LogLevel::Debug => tracing::debug!(request = %id, mount = %mount, ?fields, "plugin: {message}"),
        LogLevel::Info => tracing::info!(request = %id, mount = %mount, ?fields, "plugin: {message}"),
        LogLevel::Warn => tracing::warn!(request = %id, mount = %mount, ?fields, "plugin: {message}"),
        LogLevel::Error => tracing::error!(request = %id, mount = %mount, ?fields, "plugin: {message}"),
    }
}
