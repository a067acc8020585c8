use std::net::IpAddr;

use proptest::prelude::*;

use super::{Buckets, Client, Limit, LimitRule, QuotaRules, Verdict};

const A: usize = 0;

fn limit(requests: u64, interval_ms: u64, block_ms: u64) -> Limit {
    Limit { requests, interval_ms, block_ms }
}

fn client(text: &str) -> Client {
    Some(text.parse::<IpAddr>().expect("is an address")).into()
}

fn rules(paths: &[&str], exempt: &[&str]) -> QuotaRules {
    let rule = |path: &&str| LimitRule {
        path: (*path).to_owned(),
        limit: limit(1, 1_000, 0),
        inheritable: true,
        role: String::new(),
    };
    QuotaRules::new(paths.iter().map(rule).collect(), exempt.iter().map(|e| (*e).to_owned()).collect())
}

#[test]
fn the_nearest_rule_alone_counts() {
    let paths = ["", "kv/", "kv/a*", "kv/ab*", "kv/abc", "auth/token/"];
    let rules = rules(&paths, &[]);
    for (path, expected) in [
        ("sys/health", ""),
        ("kvx/abc", ""),
        ("kv/z", "kv/"),
        ("kv", "kv/"),
        ("kv/", "kv/"),
        ("kv/ax", "kv/a*"),
        ("kv/abx", "kv/ab*"),
        ("kv/abc", "kv/abc"),
        ("kv/abc/", "kv/abc"),
        ("kv/abc/d", "kv/ab*"),
        ("auth/token/create", "auth/token/"),
        ("auth/tokens/create", ""),
    ] {
        let (place, _) = rules.find(path, "").expect("there is one for all");
        assert_eq!(paths[place], expected, "{path}");
    }
}

#[test]
fn a_namespaces_limit_is_for_those_below_only_if_it_is_inheritable() {
    let at = |path: &str, inheritable| LimitRule {
        path: path.to_owned(),
        limit: limit(1, 1_000, 0),
        inheritable,
        role: String::new(),
    };
    let rules =
        QuotaRules::new(vec![at("", false), at("a/", true), at("a/b/", false), at("a/b/kv/", false)], Vec::new());
    for (path, namespace, expected) in [
        ("kv/x", "", Some(0)),
        ("c/kv/x", "c/", None),
        ("a/kv/x", "a/", Some(1)),
        ("a/d/kv/x", "a/d/", Some(1)),
        ("a/b/sys/mounts", "a/b/", Some(2)),
        ("a/b/kv/x", "a/b/", Some(3)),
        ("a/b/c/kv/x", "a/b/c/", Some(1)),
    ] {
        assert_eq!(rules.find(path, namespace).map(|(place, _)| place), expected, "{path}");
    }
}

#[test]
fn a_rule_for_a_role_is_for_logins_with_it_and_for_nothing_else() {
    let rule = |path: &str, role: &str| LimitRule {
        path: path.to_owned(),
        limit: limit(1, 1_000, 0),
        inheritable: false,
        role: role.to_owned(),
    };
    let rules = vec![rule("auth/a/", ""), rule("auth/a/", "web"), rule("auth/a/", "db"), rule("auth/a/x", "")];
    let rules = QuotaRules::new(rules, vec!["auth/a/free".to_owned()]);
    let of_role = |path, role| rules.find_of_role(path, role).map(|(place, _)| place);
    assert_eq!(of_role("auth/a/login", "web"), Some(1));
    assert_eq!(of_role("auth/a/x", "db"), Some(2), "before the path's");
    assert_eq!(of_role("auth/a/login", "other"), None);
    assert_eq!(of_role("auth/b/login", "web"), None);
    assert_eq!(of_role("auth/a/free", "web"), None);
    assert_eq!(rules.find("auth/a/login", "").map(|(place, _)| place), Some(0));
    assert!(rules.has_roles("auth/a/login") && !rules.has_roles("auth/a/free") && !rules.has_roles("auth/ab/login"));
}

#[test]
fn exempt_paths_have_no_limit_and_the_longest_entry_decides() {
    let rules = rules(&[""], &["sys/health", "kv/", "!kv/secret", "kv/secret/open*", ""]);
    for (path, limited) in [
        ("sys/health", false),
        ("sys/healthy", false),
        ("sys/heal", true),
        ("kv/a", false),
        ("kv/secret", true),
        ("kv/secret/open/x", false),
        ("kv", true),
    ] {
        assert_eq!(rules.find(path, "").is_some(), limited, "{path}");
    }
    let all_but = self::rules(&[""], &["*", "!kv/"]);
    assert!(all_but.find("sys/mounts", "").is_none() && all_but.find("kv/a", "").is_some());
}

#[test]
fn a_client_has_so_many_requests_in_each_interval() {
    let (mut buckets, limit, client) = (Buckets::default(), limit(2, 1_000, 0), client("10.0.0.1"));
    let mut at = |now_ms| {
        let taken = buckets.take(A, client, &limit, now_ms);
        (taken.verdict, taken.remaining, taken.reset_ms)
    };
    assert_eq!(at(5_000), (Verdict::Admitted, 1, 1_000));
    assert_eq!(at(5_400), (Verdict::Admitted, 0, 600));
    assert_eq!(at(5_999), (Verdict::Over(1), 0, 1));
    assert_eq!(at(6_000), (Verdict::Admitted, 1, 1_000));
    assert_eq!(at(8_500), (Verdict::Admitted, 1, 500), "intervals keep their beat");
}

#[test]
fn who_went_over_the_limit_is_refused_as_long_as_the_rule_says() {
    let (mut buckets, limit, client) = (Buckets::default(), limit(1, 1_000, 5_000), client("10.0.0.1"));
    let mut at = |now_ms| buckets.take(A, client, &limit, now_ms).verdict;
    assert_eq!(at(0), Verdict::Admitted);
    assert_eq!(at(10), Verdict::Over(5_000));
    assert_eq!(at(3_010), Verdict::Blocked(2_000));
    assert_eq!(at(5_009), Verdict::Blocked(1), "asking does not make it longer");
    assert_eq!(at(5_010), Verdict::Admitted);
}

#[test]
fn a_clock_set_back_lengthens_nothing() {
    let (mut buckets, limit, client) = (Buckets::default(), limit(1, 1_000, 2_000), client("10.0.0.1"));
    assert_eq!(buckets.take(A, client, &limit, 1_000_000).verdict, Verdict::Admitted);
    assert_eq!(buckets.take(A, client, &limit, 1_000_000).verdict, Verdict::Over(2_000));
    assert_eq!(buckets.take(A, client, &limit, 0).verdict, Verdict::Blocked(2_000));
    assert_eq!(buckets.take(A, client, &limit, 2_000).verdict, Verdict::Admitted, "the wait ends by the new time");
}

#[test]
fn clients_and_rules_are_counted_apart_but_a_network_of_ipv6_is_one_client() {
    let (mut buckets, limit) = (Buckets::default(), limit(1, 1_000, 0));
    let mut admitted = |rule, text| buckets.take(rule, client(text), &limit, 0).verdict == Verdict::Admitted;
    assert!(admitted(0, "10.0.0.1"));
    assert!(!admitted(0, "::ffff:10.0.0.1"), "the same address, written as IPv6");
    assert!(admitted(0, "10.0.0.2"));
    assert!(admitted(1, "10.0.0.1"));
    assert!(admitted(0, "2001:db8:0:1::1"));
    assert!(!admitted(0, "2001:db8:0:1:ffff::2"));
    assert!(admitted(0, "2001:db8:0:2::1"));
    assert!(admitted(0, "::a00:1"), "a network of IPv6 is no address of IPv4");
}

#[test]
fn a_million_addresses_take_no_more_room_than_the_bound_and_the_latest_are_remembered() {
    let (mut buckets, limit) = (Buckets::bounded(1_000), limit(1, 1_000, 0));
    let nth = |n: u32| Client::from(Some(IpAddr::from(n.to_be_bytes())));
    for n in 0..1_000_000 {
        buckets.take(A, nth(n), &limit, 0);
        assert!(buckets.len() <= 2_000);
    }
    for n in 999_000..1_000_000 {
        assert_ne!(buckets.take(A, nth(n), &limit, 0).verdict, Verdict::Admitted, "{n} was forgotten");
    }
}

proptest! {
    #[test]
    fn no_interval_admits_more_than_its_requests(
        requests in 1_u64..20,
        interval_ms in 1_u64..5_000,
        gaps in proptest::collection::vec(0_u64..400, 1..300),
    ) {
        let (mut buckets, limit) = (Buckets::default(), limit(requests, interval_ms, 0));
        let (mut now_ms, mut admitted) = (0, std::collections::HashMap::new());
        for gap in gaps {
            now_ms += gap;
            // The first request starts the first interval.
            let start = *admitted.entry(u64::MAX).or_insert(now_ms);
            if buckets.take(A, client("10.0.0.1"), &limit, now_ms).verdict == Verdict::Admitted {
                *admitted.entry((now_ms - start) / interval_ms).or_insert(0) += 1;
            }
        }
        admitted.remove(&u64::MAX);
        prop_assert!(admitted.values().all(|count| *count <= requests));
    }
}
