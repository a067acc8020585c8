//! Requests are listed while they are served.

use std::time::Duration;

use bulkhead_model::limits::REQUEST_MS_MAX;
use bulkhead_model::reply::Reply;
use bulkhead_model::request::Verb;
use serde_json::{Value, json};

use super::kit::{Kit, ROOT, request};
use super::plugin::Manner;

async fn listed(kit: &Kit) -> Value {
    let asked = request(Verb::Read, "sys/in-flight-req", ROOT, &Value::Null);
    match kit.node.handle_within(asked, Duration::from_millis(REQUEST_MS_MAX)).await.into_reply() {
        Reply::Bare { status: 200, json } => serde_json::from_slice(json.expose()).expect("it is JSON"),
        _ => panic!("an answer of another form"),
    }
}

#[tokio::test]
async fn a_request_is_told_with_who_asks_for_what_and_since_when() {
    let kit = Kit::new().await;
    let expected = json!({
        "00000000-0000-4000-8000-000000000000": {
            "start_time": "1970-01-12T13:46:40Z",
            "client_remote_address": "127.0.0.1:1",
            "request_path": "/v1/sys/in-flight-req",
            "request_method": "GET",
            "client_id": "0DHqvq2D77kL2/JTPSZkTMJbkFVmUu0TzMi0jiXcFy8=",
        },
    });
    assert_eq!(listed(&kit).await, expected);
    assert_eq!((kit.open().in_flight.count(), kit.open().in_flight.all().len()), (0, 0));
}

#[tokio::test]
async fn a_request_that_hangs_is_listed_until_its_client_leaves() {
    let kit = Kit::new().await;
    kit.mount("a/").await;
    let id = kit.lease("a/", ROOT).await;
    kit.plugin.behave("a/", Manner::Hangs);
    let body = json!({ "lease_id": id, "sync": true });
    let hangs = kit.ask(Verb::Write, "sys/leases/revoke", ROOT, body);
    assert!(tokio::time::timeout(Duration::from_millis(50), Box::pin(hangs)).await.is_err());
    assert_eq!(kit.open().in_flight.count(), 0);
    let body = json!({ "lease_id": id, "sync": true });
    let mut hangs = Box::pin(kit.ask(Verb::Write, "sys/leases/revoke", ROOT, body));
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut hangs).await.is_err());
    let paths: Vec<_> = kit.open().in_flight.all().into_iter().map(|entry| entry.path.as_str().to_owned()).collect();
    assert_eq!(paths, ["sys/leases/revoke"]);
}
