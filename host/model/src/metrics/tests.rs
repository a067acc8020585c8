use std::sync::Arc;
use std::time::Duration;

use super::{Dialect, Interval, Sheet, Timer, packets, prometheus};

fn timed(millis: &[u64]) -> super::Times {
    let timer = Timer::default();
    millis.iter().for_each(|ms| timer.record(Duration::from_millis(*ms)));
    timer.read()
}

fn sheet(count: f64, level: f64, millis: &[u64]) -> Sheet {
    let mut sheet = Sheet::default();
    sheet.counter("vault.core.count", "How often.", &[], count);
    sheet.gauge("vault.core.level", "How many.", &[("mount", "a \"b\"\\c/")], level);
    sheet.summary("vault.core.took", "How long.", timed(millis));
    sheet.histogram("vault.route", "How long.", &[("operation", "read"), ("mount", "kv/")], timed(millis));
    sheet
}

fn interval() -> Interval {
    let (before, after) = (Arc::new(sheet(1.0, 7.0, &[1])), Arc::new(sheet(4.0, 5.0, &[1, 2, 2, 9_000])));
    Interval { before, after, began_secs: 60, length_secs: 10 }
}

#[test]
fn a_bound_belongs_to_the_bucket_below_it() {
    let cumulative: Vec<(f64, u64)> = timed(&[1, 2, 40_000]).cumulative().collect();
    assert_eq!(cumulative[3], (0.001, 1));
    assert_eq!(cumulative[4], (0.0025, 2));
    assert_eq!(cumulative[13], (30.0, 2));
    assert_eq!(cumulative[14], (f64::INFINITY, 3));
}

#[test]
fn quantiles_lie_within_the_bounds_of_their_bucket() {
    let times = timed(&[2, 2, 2, 40]);
    let half = times.quantile_secs(0.5).expect("there are some");
    assert!((0.001..=0.0025).contains(&half), "{half}");
    let most = times.quantile_secs(0.99).expect("there are some");
    assert!((0.025..=0.05).contains(&most), "{most}");
    assert_eq!(timed(&[]).quantile_secs(0.5), None);
}

#[test]
fn prometheus_is_told_totals_and_quantiles_of_late() {
    let text = prometheus(&sheet(4.0, 5.0, &[1, 2]), &sheet(1.0, 7.0, &[1, 2]));
    for line in [
        "# TYPE vault_core_count counter",
        "vault_core_count 4",
        "vault_core_level{mount=\"a \\\"b\\\"\\\\c/\"} 5",
        "vault_core_took{quantile=\"0.5\"} NaN",
        "vault_core_took_sum 3",
        "vault_core_took_count 2",
        "# TYPE vault_route_seconds histogram",
        "vault_route_seconds_bucket{operation=\"read\",mount=\"kv/\",le=\"0.001\"} 1",
        "vault_route_seconds_bucket{operation=\"read\",mount=\"kv/\",le=\"+Inf\"} 2",
        "vault_route_seconds_sum{operation=\"read\",mount=\"kv/\"} 0.003",
        "vault_route_seconds_count{operation=\"read\",mount=\"kv/\"} 2",
    ] {
        assert!(text.lines().any(|told| told == line), "no {line} in\n{text}");
    }
}

#[test]
fn json_tells_of_the_interval_alone() {
    let told: serde_json::Value = serde_json::from_slice(&interval().json()).expect("JSON");
    assert_eq!(told["Timestamp"], "1970-01-01 00:01:00 +0000 UTC");
    assert_eq!(told["Points"], serde_json::json!([]));
    assert_eq!(told["Gauges"][0]["Value"], 5.0);
    assert_eq!((&told["Counters"][0]["Count"], &told["Counters"][0]["Rate"]), (&3.into(), &0.3.into()));
    assert_eq!((&told["Samples"][0]["Count"], &told["Samples"][0]["Sum"]), (&3.into(), &9004.into()));
    assert!(interval().json().windows(10).any(|part| part == br#""Value":5,"#), "what is whole has no point");
    assert_eq!(told["Samples"][1]["Labels"], serde_json::json!({ "mount": "kv/", "operation": "read" }));
}

#[test]
fn statsd_lines_stand_for_all_that_happened() {
    let text = |dialect, hostname| {
        let packets = packets(&interval(), &dialect, hostname);
        packets.iter().map(|packet| String::from_utf8_lossy(packet)).collect::<String>()
    };
    let plain = text(Dialect::Statsd, Some("host1"));
    for line in [
        "vault.core.count:3|c",
        "vault.host1.core.level.a_\"b\"\\c-:5|g",
        "vault.route.read.kv-:1.75|ms|@0.5",
        "vault.route.read.kv-:17500|ms",
    ] {
        assert!(plain.lines().any(|told| told == line), "no {line} in\n{plain}");
    }
    let tagged = text(Dialect::Dogstatsd(vec!["env:prod".into()]), Some("host1"));
    assert!(tagged.contains("vault.core.level:5|g|#env:prod,mount:a \"b\"\\c/\n"), "{tagged}");
}

#[test]
fn packets_fit_a_frame() {
    let mut many = Sheet::default();
    for place in 0..500 {
        many.gauge("vault.core.level", "How many.", &[("mount", &format!("mount-{place}/"))], 1.0);
    }
    let interval = Interval { before: Arc::default(), after: Arc::new(many), began_secs: 0, length_secs: 10 };
    let packets = packets(&interval, &Dialect::Statsd, None);
    assert!(packets.len() > 5);
    assert!(packets.iter().all(|packet| packet.len() <= 1400 && packet.ends_with(b"\n")));
}
