//! Connections: slow, broken and hostile ones leave the listener serving.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::harness::{Served, get, post};
use crate::ListenerLimits;

#[tokio::test]
async fn a_connection_serves_one_request_after_another() {
    let served = Served::plain().await;
    let mut client = served.connect().await;
    for _ in 0..3 {
        client.send(&post("/v1/kv/x", "{}")).await;
        assert_eq!(client.answer().await.expect("an answer").0, 200);
    }
    client.send(&[get("/v1/a"), get("/v1/b")].concat()).await;
    assert!(client.answer().await.expect("an answer").1.contains("\"path\":\"a\""));
    assert!(client.answer().await.expect("an answer").1.contains("\"path\":\"b\""));
}

#[tokio::test]
async fn requests_have_ids_of_their_own() {
    let served = Served::plain().await;
    let id = |text: String| text.split("\"id\":\"").nth(1).map(|rest| rest[..36].to_owned());
    let first = id(served.ask(&get("/v1/x")).await.1).expect("an id");
    assert_ne!(id(served.ask(&get("/v1/x")).await.1), Some(first.clone()));
    assert_eq!(first.as_bytes()[14], b'4', "a random UUID");
}

#[tokio::test]
async fn a_header_that_comes_too_slowly_ends_its_connection_only() {
    let limits = ListenerLimits { header_max: Duration::from_millis(200), ..ListenerLimits::default() };
    let served = Served::start(None, limits).await;
    let mut slow = served.connect().await;
    slow.send(b"GET /v1/kv/x HTTP/1.1\r\nhost").await;
    assert_eq!(slow.answer().await, None);
    assert_eq!(served.ask(&get("/v1/kv/x")).await.0, 200);
}

#[tokio::test]
async fn a_connection_may_idle_longer_than_a_header_may_take() {
    let limits = ListenerLimits {
        header_max: Duration::from_millis(50),
        idle_max: Duration::from_secs(60),
        ..ListenerLimits::default()
    };
    let served = Served::start(None, limits).await;
    let mut client = served.connect().await;
    client.send(&get("/v1/kv/x")).await;
    assert_eq!(client.answer().await.expect("an answer").0, 200);
    tokio::time::sleep(Duration::from_millis(300)).await;
    client.send(&get("/v1/kv/x")).await;
    assert_eq!(client.answer().await.expect("an answer").0, 200);
}

#[tokio::test]
async fn an_idle_connection_ends_in_time() {
    let limits = ListenerLimits { idle_max: Duration::from_millis(100), ..ListenerLimits::default() };
    let served = Served::start(None, limits).await;
    assert_eq!(served.connect().await.answer().await, None);
}

#[tokio::test]
async fn a_client_with_as_many_connections_as_one_may_have_gets_no_other_until_one_ends() {
    let served = Served::start(None, ListenerLimits { address_connections_max: 2, ..ListenerLimits::default() }).await;
    let mut held = [served.connect().await, served.connect().await];
    for client in &mut held {
        client.send(&get("/v1/kv/x")).await;
        assert_eq!(client.answer().await.expect("an answer").0, 200);
    }
    assert_eq!(served.connect().await.answer().await, None);
    let [first, mut second] = held;
    drop(first);
    // The listener hears of the end in its own time.
    let mut another = served.connect().await;
    another.send(&get("/v1/kv/x")).await;
    while another.answer().await.is_none() {
        another = served.connect().await;
        another.send(&get("/v1/kv/x")).await;
    }
    second.send(&get("/v1/kv/x")).await;
    assert_eq!(second.answer().await.expect("an answer").0, 200);
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_answered_504() {
    let limits = ListenerLimits { request_max: Duration::from_millis(100), ..ListenerLimits::default() };
    let served = Served::start(None, limits).await;
    assert_eq!(served.ask(&get("/v1/wait")).await.0, 504);
}

#[tokio::test]
async fn a_request_runs_to_its_end_though_its_client_hangs_up() {
    let served = Served::plain().await;
    let mut client = served.connect().await;
    client.send(&get("/v1/wait")).await;
    // Its answer is the sign that the one before has been taken in.
    while served.mirror.answered.load(Ordering::SeqCst) == 0 {
        served.ask(&get("/v1/x")).await;
    }
    drop(client);
    let (api, mirror) = (Arc::clone(&served.api), Arc::clone(&served.mirror));
    served.tell_to_stop();
    mirror.go.notify_one();
    served.ended().await;
    api.drain(Duration::from_secs(10)).await;
    assert!(mirror.answered.load(Ordering::SeqCst) >= 2);
}

#[tokio::test]
async fn stopping_lets_requests_finish_and_takes_no_new_ones() {
    let served = Served::plain().await;
    let mut busy = served.connect().await;
    let mut idle = served.connect().await;
    idle.send(&get("/v1/x")).await;
    assert_eq!(idle.answer().await.expect("an answer").0, 200);
    busy.send(&get("/v1/wait")).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    served.tell_to_stop();
    assert_eq!(idle.answer().await, None, "an idle connection ends at once");
    served.mirror.go.notify_one();
    let (status, text) = busy.answer().await.expect("an answer");
    assert_eq!(status, 200);
    assert!(text.contains("connection: close"), "{text}");
    let address = served.address;
    served.ended().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
