//! The lines of statsd, and those of Datadog's, for one interval.
//! Source: <https://github.com/statsd/statsd/blob/master/docs/metric_types.md>,
//! <https://docs.datadoghq.com/developers/dogstatsd/datagram_shell/>.

use super::Interval;
use super::interval::Change;
use super::sheet::Labels;

/// Most bytes of a packet. Source: go-metrics. Why: a larger one does not fit an Ethernet frame,
/// and is lost whole if one of its parts is.
const PACKET_BYTES_MAX: usize = 1400;

/// How lines are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Labels become the end of the name, as go-metrics has it.
    Statsd,
    /// Labels become tags, behind these.
    Dogstatsd(Vec<String>),
}

/// The packets that tell of an interval. With the name of a machine, levels of several nodes
/// are told apart by it; Datadog's agent knows the machine by itself.
#[must_use]
pub fn packets(interval: &Interval, dialect: &Dialect, hostname: Option<&str>) -> Vec<Vec<u8>> {
    let hostname = hostname.filter(|_| *dialect == Dialect::Statsd);
    let mut packets: Vec<Vec<u8>> = Vec::new();
    for (name, labels, change) in interval.changes() {
        match change {
            Change::Level(level) => {
                let line = line(dialect, (&with_host(name, hostname), labels), &format!("{level}|g"));
                push(&mut packets, &line);
            }
            Change::Count(count) => push(&mut packets, &line(dialect, (name, labels), &format!("{count}|c"))),
            // One line stands for all of a bucket: the receiver counts it as often as the rate says.
            Change::Times(times) => {
                for (secs, count) in times.rough() {
                    let ms = secs * 1000.0;
                    let value =
                        if count == 1 { format!("{ms}|ms") } else { format!("{ms}|ms|@{}", 1.0 / count as f64) };
                    push(&mut packets, &line(dialect, (name, labels), &value));
                }
            }
        }
    }
    packets
}

/// As go-metrics has it: behind the first part of a level's name.
fn with_host(name: &str, hostname: Option<&str>) -> String {
    match (hostname, name.split_once('.')) {
        (Some(hostname), Some((first, rest))) => format!("{first}.{hostname}.{rest}"),
        _ => name.to_owned(),
    }
}

fn line(dialect: &Dialect, (name, labels): (&str, &Labels), value: &str) -> String {
    match dialect {
        Dialect::Statsd => {
            let ends: String = labels.iter().map(|(_, label)| format!(".{label}")).collect();
            format!("{}:{value}\n", plain(&format!("{name}{ends}")))
        }
        Dialect::Dogstatsd(tags) => {
            let own = labels.iter().map(|(name, label)| format!("{name}:{label}"));
            let tags: Vec<String> =
                tags.iter().cloned().chain(own).map(|tag| tag.replace(['|', ',', '\n'], "_")).collect();
            let ends = if tags.is_empty() { String::new() } else { format!("|#{}", tags.join(",")) };
            format!("{}:{value}{ends}\n", plain(name))
        }
    }
}

/// Without what has a meaning in a line; slashes as Vault has them in names of its routes.
fn plain(name: &str) -> String {
    name.replace('/', "-").replace([':', '|', '@', ' ', '\n', '#'], "_")
}

fn push(packets: &mut Vec<Vec<u8>>, line: &str) {
    match packets.last_mut() {
        Some(last) if last.len() + line.len() <= PACKET_BYTES_MAX => last.extend_from_slice(line.as_bytes()),
        _ => packets.push(line.as_bytes().to_vec()),
    }
}
