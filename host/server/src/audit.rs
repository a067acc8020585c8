//! Audit devices: where lines go. Which requests make lines, and what is in them, is the
//! broker's matter.

mod file;
mod http;
mod queue;
mod socket;
mod syslog;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bulkhead_model::duration;
use bulkhead_model::seam::audit::{AuditSink, AuditSinkMaker};

use crate::config::check_audit_options;

/// Longest a remote device may take for a line, unless the option `write_timeout` says
/// otherwise. Source: Vault's socket device, 2 s.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);
/// Most that `write_timeout` may say. Source: ours. Why: every request waits for it.
const WRITE_TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// Makes audit devices: `file`, `http`, `socket` and `syslog`.
#[derive(Clone, Copy, Debug, Default)]
pub struct AuditSinks;

impl AuditSinkMaker for AuditSinks {
    fn make(&self, kind: &str, options: &BTreeMap<String, String>) -> Result<Arc<dyn AuditSink>, String> {
        check_audit_options(kind, options)?;
        match kind {
            "file" => file::make(options),
            "http" => http::make(options),
            "socket" => socket::make(options),
            "syslog" => syslog::make(options),
            _ => Err(format!("unknown backend type: {kind:?}")),
        }
    }
}

/// An option that is given and not empty.
fn given<'a>(options: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    options.get(name).map(String::as_str).filter(|text| !text.is_empty())
}

fn write_timeout(options: &BTreeMap<String, String>) -> Result<Duration, String> {
    let Some(text) = given(options, "write_timeout") else { return Ok(WRITE_TIMEOUT) };
    let parsed = duration::parse(text).map_err(|_| format!("write_timeout {text:?} is not a duration such as 2s"))?;
    if parsed.is_zero() || parsed > WRITE_TIMEOUT_MAX {
        return Err(format!("write_timeout {text:?} is not between 0s and {}s", WRITE_TIMEOUT_MAX.as_secs()));
    }
    Ok(parsed)
}
