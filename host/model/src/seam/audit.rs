//! Where audit lines go. The file device lives in the server room.

/// A device that takes audit lines. A line counts as written when `write` returns `Ok`.
pub trait AuditSink: Send + Sync {
    /// Appends one line (without its newline) and hands it to the operating system.
    ///
    /// # Errors
    /// What the system said; the request that caused the line must then fail, unless
    /// another device took it.
    fn write(&self, line: &[u8]) -> Result<(), String>;

    /// Opens the target anew, after the operator moved a file away.
    ///
    /// # Errors
    /// What the system said.
    fn reopen(&self) -> Result<(), String>;
}

/// Makes audit devices from the options an operator gave.
pub trait AuditSinkMaker: Send + Sync {
    /// A device of this kind (`file`) with these options.
    ///
    /// # Errors
    /// A sentence for the operator: what is wrong and what to do.
    fn make(
        &self,
        kind: &str,
        options: &std::collections::BTreeMap<String, String>,
    ) -> Result<std::sync::Arc<dyn AuditSink>, String>;
}
