//! TLS handshakes of a listener that failed, and when the log tells of them. Whoever has a
//! certificate that is not taken learns next to nothing from the alert that ends the connection; so
//! the reason is in the log, without a flood of connections becoming one of lines.

use std::io::{Error, ErrorKind};
use std::net::IpAddr;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::limits::HANDSHAKE_LOG_PAUSE;

/// What failed since the log last said so.
#[derive(Default)]
pub(crate) struct Handshakes(Mutex<Untold>);

#[derive(Default)]
struct Untold {
    failed: u64,
    logged: Option<Instant>,
}

impl Handshakes {
    /// One more has failed, for this reason.
    pub(crate) fn failed(&self, peer: Option<IpAddr>, error: &Error) {
        // Who looks whether the port is open hangs up at once, as load balancers do every second.
        let told = if error.kind() == ErrorKind::UnexpectedEof { None } else { self.0.lock().one(Instant::now()) };
        let peer = peer.map(tracing::field::display);
        match told {
            Some(failed) => tracing::info!(peer, %error, failed, "TLS handshake failed"),
            None => tracing::debug!(peer, %error, "TLS handshake failed"),
        }
    }
}

impl Untold {
    /// How many failed since the last line of the log, this one with them, if it is time for another.
    fn one(&mut self, now: Instant) -> Option<u64> {
        self.failed += 1;
        if self.logged.is_some_and(|logged| now - logged < HANDSHAKE_LOG_PAUSE) {
            return None;
        }
        self.logged = Some(now);
        Some(std::mem::take(&mut self.failed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_counts_what_failed_instead_of_a_line_for_each() {
        let (mut untold, start) = (Untold::default(), Instant::now());
        assert_eq!(untold.one(start), Some(1));
        assert_eq!(untold.one(start), None);
        assert_eq!(untold.one(start + HANDSHAKE_LOG_PAUSE), Some(2));
    }
}
