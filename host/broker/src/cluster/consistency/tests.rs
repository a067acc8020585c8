use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulkhead_barrier::HmacKey;
use bulkhead_model::request::{Request, Verb};
use serde_json::Value;

use super::{Consistency, FORWARD, INCONSISTENT, INDEX, Lagging, MAX_STALENESS, told};
use crate::tests::kit::{Kit, request};

const CLUSTER: &str = "f1bbe757-4cf6-fdd8-7a50-647cf97ae5fc";
const STALE_MAX: Duration = Duration::from_secs(10);

fn with(headers: &[(&str, &str)]) -> Request {
    let mut request = request(Verb::Read, "kv/data/a", "t", &Value::Null);
    request.headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    request
}

fn read(key: &HmacKey, headers: &[(&str, &str)]) -> Result<Consistency, String> {
    Consistency::read(&with(headers), (key, CLUSTER), STALE_MAX).map_err(|failure| failure.errors.join("; "))
}

#[tokio::test]
async fn an_index_that_was_given_is_understood_and_the_newest_counts() {
    let kit = Kit::new().await;
    let key = &kit.open().peering.indexes;
    let (older, newer) = (told(key, CLUSTER, 7), told(key, CLUSTER, 41));
    let found = read(key, &[(INDEX, &older), (INDEX, ""), (INDEX, &newer), (INDEX, &older)]);
    assert_eq!(found, Ok(Consistency { index: Some(41), ..Consistency::default() }));
}

#[tokio::test]
async fn an_index_of_another_cluster_says_nothing_here() {
    let kit = Kit::new().await;
    let key = &kit.open().peering.indexes;
    assert_eq!(read(key, &[(INDEX, &told(key, "another", 7))]), Ok(Consistency::default()));
}

#[tokio::test]
async fn what_is_no_index_or_was_not_given_by_this_cluster_is_refused() {
    let kit = Kit::new().await;
    let key = &kit.open().peering.indexes;
    let good = STANDARD.decode(told(key, CLUSTER, 7)).expect("base64");
    let good = String::from_utf8(good).expect("text");
    let forged = good.replacen(":7:", ":9:", 1);
    let without_tag = format!("v1:{CLUSTER}:7:0");
    for text in [&*forged, &without_tag, "v1:a:b:c:d", "v2:a:1:0:00", "v1::1:0:00", "v1:a:1:0:0:00", "{}", "\u{1}"] {
        let found = read(key, &[(INDEX, &STANDARD.encode(text))]);
        assert_eq!(found, Err("failed to decode \"X-Vault-Index\"".to_owned()), "{text}");
    }
    for text in ["garbage", "====", &"A".repeat(100_000)] {
        assert!(read(key, &[(INDEX, text)]).is_err(), "{:.20}", text);
    }
    let many: Vec<_> = (0..9).map(|index| told(key, CLUSTER, index)).collect();
    let many: Vec<_> = many.iter().map(|index| (INDEX, index.as_str())).collect();
    assert_eq!(read(key, &many), Err("expected at most 8 values for \"X-Vault-Index\"".to_owned()));
}

#[tokio::test]
async fn what_is_wanted_of_a_node_that_lags_behind_is_one_of_four_things() {
    let kit = Kit::new().await;
    let key = &kit.open().peering.indexes;
    let table = [
        (&[][..], Some(Lagging::Fail)),
        (&["fail"], Some(Lagging::Fail)),
        (&["forward-active-node"], Some(Lagging::Forward)),
        (&["await-state"], Some(Lagging::Await { then_forward: false })),
        (&["await-state", "fail"], Some(Lagging::Await { then_forward: false })),
        (&["await-state", "forward-active-node"], Some(Lagging::Await { then_forward: true })),
        (&["await-state", "await-state"], None),
        (&["fail", "forward-active-node"], None),
        (&["await-state", "fail", "fail"], None),
        (&["nonsense"], None),
        (&[""], None),
    ];
    for (given, expected) in table {
        let headers: Vec<_> = given.iter().map(|value| (INCONSISTENT, *value)).collect();
        assert_eq!(read(key, &headers).ok().map(|found| found.lagging), expected, "{given:?}");
    }
}

#[tokio::test]
async fn a_staleness_is_a_duration_and_no_longer_than_the_operator_has_it() {
    let kit = Kit::new().await;
    let key = &kit.open().peering.indexes;
    let long = "9".repeat(10_000);
    let table = [
        ("5s", Some(5_000)),
        ("5", Some(5_000)),
        ("250ms", Some(250)),
        ("", Some(0)),
        ("0", Some(0)),
        ("300d", Some(10_000)),
        ("-5s", None),
        ("soon", None),
        ("5 s", None),
        (&*long, None),
    ];
    for (given, expected_ms) in table {
        let found = read(key, &[(MAX_STALENESS, given)]);
        let expected = expected_ms.map(Duration::from_millis);
        assert_eq!(found.as_ref().ok().map(|found| found.staleness), expected, "{given:.20}");
        if let Err(error) = found {
            assert!(error.starts_with("error parsing X-Bulkhead-Max-Staleness header: "), "{error}");
            assert!(error.len() < 200, "it repeats no more than it was asked");
        }
    }
}

#[tokio::test]
async fn the_leader_alone_can_be_asked_for() {
    let kit = Kit::new().await;
    let key = &kit.open().peering.indexes;
    let table = [("active-node", Some(true)), ("", Some(false)), ("standby", None)];
    for (given, expected) in table {
        assert_eq!(read(key, &[(FORWARD, given)]).ok().map(|found| found.forward), expected, "{given}");
    }
}
