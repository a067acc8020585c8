//! Numbers that are pushed to a statsd server.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use regex::Regex;

use super::opened;

/// Longest wait for two intervals' packets.
const PACKETS_SECS_MAX: u64 = 40;

fn receiver() -> (UdpSocket, u16) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

/// Lines that come until one of each pattern has.
fn lines_until(socket: &UdpSocket, patterns: &[&str], meanwhile: impl Fn()) -> Vec<String> {
    let patterns: Vec<Regex> = patterns.iter().map(|pattern| Regex::new(pattern).unwrap()).collect();
    let deadline = Instant::now() + Duration::from_secs(PACKETS_SECS_MAX);
    let (mut lines, mut buffer) = (Vec::<String>::new(), [0; 65_536]);
    while !patterns.iter().all(|pattern| lines.iter().any(|line| pattern.is_match(line))) {
        meanwhile();
        assert!(Instant::now() < deadline, "not all of {patterns:?} in\n{}", lines.join("\n"));
        let Ok(count) = socket.recv(&mut buffer) else { continue };
        assert!(count <= 1_400, "a packet of {count} bytes");
        let text = std::str::from_utf8(&buffer[..count]).unwrap();
        assert!(text.ends_with('\n'), "{text:?}");
        lines.extend(text.lines().map(str::to_owned));
    }
    lines
}

#[test]
fn statsd_is_told_levels_counts_and_times() {
    let (socket, port) = receiver();
    let (node, _) = opened(&format!("statsd_address = \"127.0.0.1:{port}\""));
    let wanted = [
        r"^vault\.core\.unsealed\.[a-z]+-cluster-[0-9a-f]{8}:1\|g$",
        r"^vault\.route\.read\.sys-:[0-9.]+\|ms(\|@[0-9.e-]+)?$",
        r"^bulkhead\.http\.answers\.2xx:[0-9]+\|c$",
    ];
    let lines = lines_until(&socket, &wanted, || assert_eq!(node.get("sys/mounts").status, 200));
    let form = Regex::new(r"^[A-Za-z0-9_.+<>-]+:[0-9.e-]+\|(g|c|ms(\|@[0-9.e-]+)?)$").unwrap();
    for line in lines {
        assert!(form.is_match(&line), "{line}");
    }
}

#[test]
fn dogstatsd_is_told_labels_as_tags() {
    let (socket, port) = receiver();
    let telemetry = format!("dogstatsd_addr = \"127.0.0.1:{port}\"\n  dogstatsd_tags = [\"env:test\", \"team\"]");
    let (node, _) = opened(&telemetry);
    let wanted = [
        r"^vault\.core\.unsealed:1\|g\|#env:test,team,cluster:[a-z0-9-]+$",
        r"^vault\.route:[0-9.]+\|ms(\|@[0-9.e-]+)?\|#env:test,team,operation:read,mount:sys/$",
    ];
    lines_until(&socket, &wanted, || assert_eq!(node.get("sys/mounts").status, 200));
}

#[test]
fn a_server_that_is_not_there_stops_nothing() {
    let (node, open) = opened("statsd_address = \"127.0.0.1:9\"");
    assert_eq!(node.get("sys/mounts").status, 200);
    assert_eq!(super::unasked(open, "GET", "sys/metrics").0, 200);
}
