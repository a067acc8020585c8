//! Ends the intervals of counting, and pushes each to the statsd servers of the config. Whatever
//! becomes of a packet, nothing waits for it.

use std::sync::Arc;
use std::time::Duration;

use bulkhead_broker::Node;
use bulkhead_model::metrics::{INTERVAL_SECS, Interval, packets};
use tokio::net::UdpSocket;
use tokio::time::MissedTickBehavior;

use crate::config::{PushTarget, TelemetryConfig};

/// Longest one push may take, names being looked up. Source: ours; the next is due then.
const PUSH_MAX: Duration = Duration::from_secs(5);

/// Works until it is dropped.
pub(crate) async fn run(node: Arc<Node>, config: TelemetryConfig, hostname: String) {
    let hostname = (!config.disable_hostname && !hostname.is_empty()).then_some(hostname);
    let mut tick = tokio::time::interval(Duration::from_secs(INTERVAL_SECS));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick is at once, and there is nothing to tell of yet.
    tick.tick().await;
    let mut failing = vec![false; config.pushes.len()];
    loop {
        tick.tick().await;
        let interval = node.end_interval();
        for (target, fails) in config.pushes.iter().zip(&mut failing) {
            let pushed = tokio::time::timeout(PUSH_MAX, push(target, &interval, hostname.as_deref())).await;
            let error = match pushed {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("it took too long".to_owned()),
            };
            // Once, and not every ten seconds.
            if let (Some(error), false) = (&error, *fails) {
                tracing::warn!(address = %target.address, %error, "metrics could not be pushed; it is tried again");
            }
            *fails = error.is_some();
        }
    }
}

async fn push(target: &PushTarget, interval: &Interval, hostname: Option<&str>) -> std::io::Result<()> {
    let mut last = std::io::Error::from(std::io::ErrorKind::NotFound);
    for address in tokio::net::lookup_host(&target.address).await? {
        let local = if address.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
        let socket = UdpSocket::bind(local).await?;
        match socket.connect(address).await {
            Ok(()) => {
                for packet in packets(interval, &target.dialect, hostname) {
                    socket.send(&packet).await?;
                }
                return Ok(());
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
