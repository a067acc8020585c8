use std::net::IpAddr;

use tokio::time::Instant;

use super::{Counts, Crowd, Place};
use crate::limits::CROWDED_LOG_PAUSE;

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn an_address_has_as_many_places_as_one_may_and_another_has_its_own() {
    let crowd = Crowd::new(2);
    let held: Vec<Place> = (0..2).filter_map(|_| crowd.enter(Some(address("192.0.2.1")))).collect();
    assert_eq!(held.len(), 2);
    assert!(crowd.enter(Some(address("192.0.2.1"))).is_none());
    assert!(crowd.enter(Some(address("192.0.2.2"))).is_some());
}

#[test]
fn a_place_is_given_back_and_a_client_without_connections_forgotten() {
    let crowd = Crowd::new(1);
    drop(crowd.enter(Some(address("192.0.2.1"))).expect("room"));
    assert!(crowd.counts.lock().open.is_empty());
    assert!(crowd.enter(Some(address("192.0.2.1"))).is_some());
}

#[test]
fn the_addresses_of_one_ipv6_network_are_one_client() {
    let crowd = Crowd::new(1);
    let _held = crowd.enter(Some(address("2001:db8:0:1::1"))).expect("room");
    assert!(crowd.enter(Some(address("2001:db8:0:1:ffff::2"))).is_none());
    assert!(crowd.enter(Some(address("2001:db8:0:2::1"))).is_some());
}

#[test]
fn an_ipv4_address_is_the_same_client_in_its_ipv6_form() {
    let crowd = Crowd::new(1);
    let _held = crowd.enter(Some(address("192.0.2.1"))).expect("room");
    assert!(crowd.enter(Some(address("::ffff:192.0.2.1"))).is_none());
    assert!(crowd.enter(Some(address("::ffff:192.0.2.2"))).is_some(), "not one /64");
}

#[test]
fn the_log_counts_what_was_refused_instead_of_a_line_for_each() {
    let (mut counts, start) = (Counts::default(), Instant::now());
    assert_eq!(counts.refused(start), Some(1));
    assert_eq!(counts.refused(start), None);
    assert_eq!(counts.refused(start + CROWDED_LOG_PAUSE), Some(2));
}
