//! Where numbers about a node come from: each room tells its own.

use crate::metrics::Sheet;

/// Something that has numbers to tell. They are no secrets: names of mounts and plugins may be
/// among them, never paths of requests, names within a mount, tokens or addresses of clients.
pub trait Measured: Send + Sync {
    /// Tells them. It takes no longer the more is stored, and waits for nothing.
    fn tell(&self, sheet: &mut Sheet);
}
