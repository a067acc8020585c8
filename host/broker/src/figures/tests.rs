use std::sync::Arc;
use std::time::Duration;

use bulkhead_model::metrics::{Sheet, Value};
use bulkhead_model::plugin::Operation;

use super::{Census, Counted, Expiry, Figures, MadeToken, TokenKind};

fn told(tell: impl FnOnce(&mut Sheet)) -> Sheet {
    let mut sheet = Sheet::default();
    tell(&mut sheet);
    sheet
}

fn count(sheet: &Sheet, name: &str, labels: &[(&'static str, &str)]) -> Option<u64> {
    let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    match sheet.value(name, &labels)? {
        Value::Number(number) => Some(number as u64),
        Value::Times(times) => Some(times.count()),
    }
}

fn read(figures: Option<Arc<super::MountFigures>>) -> Counted {
    Counted { figures, operation: Operation::Read, login: false }
}

#[test]
fn mounts_beyond_the_bound_are_counted_together() {
    let figures = Figures::default();
    let held: Vec<_> = (0..260).map(|place| figures.mounts.of(&format!("kv{place}/"), "kv")).collect();
    for mount in &held {
        figures.mounts.took(&read(Some(Arc::clone(mount))), Duration::from_micros(1));
    }
    let sheet = told(|sheet| figures.tell(sheet));
    assert_eq!(count(&sheet, "vault.route", &[("operation", "read"), ("mount", "kv0/")]), Some(1));
    assert_eq!(count(&sheet, "vault.route", &[("operation", "read"), ("mount", "kv250/")]), None);
    assert_eq!(count(&sheet, "vault.route", &[("operation", "read"), ("mount", "other")]), Some(10));
    assert_eq!(count(&sheet, "vault.core.handle_request", &[]), Some(260));
}

#[test]
fn what_a_mount_that_is_gone_counted_stays_in_the_sum() {
    let figures = Figures::default();
    for place in 0..600 {
        let mount = figures.mounts.of(&format!("kv{place}/"), "kv");
        figures.mounts.took(&read(Some(mount)), Duration::from_micros(1));
    }
    let sheet = told(|sheet| figures.tell(sheet));
    assert_eq!(count(&sheet, "vault.core.handle_request", &[]), Some(600));
    assert_eq!(count(&sheet, "vault.route", &[("operation", "read"), ("mount", "other")]), Some(350));
}

#[test]
fn a_mount_goes_on_with_the_numbers_it_had() {
    let figures = Figures::default();
    for _ in 0..2 {
        let mount = figures.mounts.of("kv/", "kv");
        figures.mounts.took(&read(Some(mount)), Duration::from_micros(1));
    }
    let sheet = told(|sheet| figures.tell(sheet));
    assert_eq!(count(&sheet, "vault.route", &[("operation", "read"), ("mount", "kv/")]), Some(2));
}

#[test]
fn a_login_is_counted_apart_and_a_path_without_a_mount_all_the_same() {
    let figures = Figures::default();
    let mount = Some(figures.mounts.of("auth/userpass/", "userpass"));
    figures.mounts.took(&Counted { figures: mount, operation: Operation::Update, login: true }, Duration::ZERO);
    figures.mounts.took(&read(None), Duration::ZERO);
    let sheet = told(|sheet| figures.tell(sheet));
    assert_eq!(count(&sheet, "vault.core.handle_login_request", &[]), Some(1));
    assert_eq!(count(&sheet, "vault.core.handle_request", &[]), Some(1));
}

#[test]
fn tokens_are_counted_by_the_bound_of_their_lifetime() {
    let figures = Figures::default();
    let mount = figures.mounts.of("auth/token/", "token");
    for (kind, ttl_secs) in [(TokenKind::Service, 60), (TokenKind::Service, 61), (TokenKind::Wrapping, 0)] {
        MadeToken { figures: Arc::clone(&mount), kind, ttl_secs }.count();
    }
    let sheet = told(|sheet| figures.tell(sheet));
    let made = |method, ttl| {
        let labels = [
            ("auth_method", method),
            ("cluster", ""),
            ("creation_ttl", ttl),
            ("mount_point", "auth/token/"),
            ("namespace", "root"),
            ("token_type", "service"),
        ];
        count(&sheet, "vault.token.creation", &labels)
    };
    assert_eq!((made("token", "1m"), made("token", "10m")), (Some(1), Some(1)));
    assert_eq!((made("response_wrapping", "+Inf"), made("token", "+Inf")), (Some(1), None));
}

#[test]
fn leases_are_told_once_they_are_counted_and_by_state() {
    let expiry = Expiry::default();
    assert_eq!(count(&told(|sheet| expiry.tell(sheet)), "vault.expire.num_leases", &[]), None);
    expiry.lease_failed([1; 32], 2);
    expiry.lease_failed([2; 32], 6);
    expiry.lease_failed([3; 32], 7);
    expiry.begin();
    expiry.met([[1; 32], [2; 32], [9; 32]].iter());
    let mut census = Census::default();
    for at_ms in [1_000, 1_001, 61_000, 61_001, 90_000] {
        census.count(true, at_ms, 1_000);
    }
    expiry.finish(1_000, census);
    let sheet = told(|sheet| expiry.tell(sheet));
    assert_eq!(count(&sheet, "vault.expire.num_leases", &[]), Some(5));
    let state = |state| count(&sheet, "bulkhead.expire.leases_by_state", &[("state", state)]);
    // The third one is gone: nobody met it.
    assert_eq!([state("live"), state("due"), state("failing"), state("irrevocable")].map(Option::unwrap), [2, 1, 1, 1]);
    let left = |left| count(&sheet, "bulkhead.expire.leases_by_time_left", &[("kind", "lease"), ("left", left)]);
    assert_eq!((left("1m"), left("10m")), (Some(2), Some(2)));
    expiry.forget();
    assert_eq!(count(&told(|sheet| expiry.tell(sheet)), "vault.expire.num_leases", &[]), None);
}
