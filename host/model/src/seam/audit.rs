//! Where audit lines go. The devices themselves live in the server room.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

/// A device that takes audit lines. A line counts as written when `write` returns `Ok`.
#[async_trait]
pub trait AuditSink: Send + Sync {
    /// Writes one line (without its newline), and returns within a bounded time, without
    /// blocking the thread: what is local hands it to the operating system, what is remote
    /// waits for it to be taken.
    ///
    /// # Errors
    /// What the system said; the request that caused the line must then fail, unless
    /// another device took it.
    async fn write(&self, line: &[u8]) -> Result<(), String>;

    /// Opens the target anew, after the operator moved a file away. Bounded like
    /// [`write`](Self::write).
    ///
    /// # Errors
    /// What the system said; the old target stays in use.
    async fn reopen(&self) -> Result<(), String>;
}

/// Makes audit devices from the options an operator gave.
#[async_trait]
pub trait AuditSinkMaker: Send + Sync {
    /// A device of this kind (`file`, `socket`, `syslog`, `http`) with these options. Bounded
    /// like [`AuditSink::write`].
    ///
    /// # Errors
    /// A sentence for the operator: what is wrong and what to do.
    async fn make(&self, kind: &str, options: &BTreeMap<String, String>) -> Result<Arc<dyn AuditSink>, String>;
}
