use proptest::prelude::*;

use super::*;

fn grants(texts: &[&str]) -> Grants {
    Grants::parse(texts).expect("these are grants")
}

fn tcp(host: &str, port: u16) -> NetAddress {
    NetAddress::Tcp { host: host.to_owned(), port }
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn nothing_is_granted_by_default() {
    let none = Grants::default();
    assert!(!none.may_connect(&tcp("db.example", 5432)));
    assert!(!none.admits("db.example", 5432, ip("10.0.0.1")));
    assert!(!none.insecure_tls() && !none.exports_keys() && !none.admits_driver("postgresql", true));
}

#[test]
fn a_name_is_granted_with_its_port_and_nothing_else() {
    let one = grants(&["net tcp://DB.example:5432"]);
    assert!(one.may_connect(&tcp("db.example", 5432)) && one.admits("db.example", 5432, ip("10.0.0.1")));
    assert!(!one.may_connect(&tcp("db.example", 5433)));
    assert!(!one.may_connect(&tcp("other.example", 5432)));
    assert!(!one.may_connect(&tcp("xdb.example", 5432)));
}

#[test]
fn names_below_one_do_not_include_it() {
    let below = grants(&["net tcp://*.db.example:*"]);
    assert!(below.may_connect(&tcp("a.db.example", 1)));
    assert!(!below.may_connect(&tcp("db.example", 1)));
    assert!(!below.may_connect(&tcp("evildb.example", 1)));
}

// no name leads a plugin to the machine itself or to what only the machine may ask.
#[test]
fn a_name_does_not_lead_to_the_machine_or_to_metadata() {
    for any in [grants(&["net tcp://*:*"]), grants(&["net tcp://db.example:5432"])] {
        for special in [
            "127.0.0.1",
            "0.0.0.0",
            "169.254.169.254",
            "100.100.100.200",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "ff02::1",
            "fd00:ec2::254",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "::127.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b:1::a9fe:a9fe",
            "168.63.129.16",
            "fd20:ce::254",
        ] {
            assert!(!any.admits("db.example", 5432, ip(special)), "{special}");
        }
        assert!(any.admits("db.example", 5432, ip("10.1.2.3")) && any.admits("db.example", 5432, ip("2001:db8::1")));
    }
}

#[test]
fn addresses_are_granted_as_addresses() {
    let block = grants(&["net tcp://127.0.0.0/8:5432", "net tcp://[::1]:5432"]);
    assert!(block.admits("localhost", 5432, ip("127.0.0.1")) && block.admits("x", 5432, ip("::ffff:127.0.0.1")));
    assert!(block.admits("localhost", 5432, ip("::1")));
    assert!(!block.admits("localhost", 5432, ip("10.0.0.1")));
    assert!(block.may_connect(&tcp("any.example", 5432)), "where it leads is not known yet");
    assert!(!block.may_connect(&tcp("10.0.0.1", 5432)));
    let own = grants(&["net tcp://localhost:5432"]);
    assert!(own.admits("localhost", 5432, ip("127.0.0.1")) && !own.admits("localhost", 5432, ip("10.0.0.1")));
}

#[test]
fn drivers_that_the_server_brings_are_granted_together() {
    let brought = grants(&["driver *"]);
    assert!(brought.admits_driver("postgresql-database-plugin", true));
    assert!(!brought.admits_driver("acme", false));
    assert!(grants(&["driver acme"]).admits_driver("acme", false));
}

#[test]
fn what_is_no_grant_is_refused_with_those_there_are() {
    for wrong in [
        "",
        "net",
        "net tcp://db.example",
        "net tcp://db.example:0",
        "net tcp://:1",
        "net udp://a:1",
        "net unix://run/db",
        "http https://a/path",
        "driver ",
        "driver a b",
        "keys",
        "insecure-tls yes",
    ] {
        let text = Grant::parse(wrong).expect_err(wrong);
        assert!(text.contains("is no grant"), "{text}");
    }
    assert!(Grants::parse(&vec!["insecure-tls"; GRANTS_MAX + 1]).is_err());
}

proptest! {
    #[test]
    fn a_grant_is_shown_as_it_is_given(text in "(net (tcp://([a-z]{1,8}|\\*|\\*\\.[a-z]{1,5}|10\\.0\\.0\\.0/8|::1):([1-9][0-9]{0,3}|\\*)|unix:///[a-z/]{1,9}x)|driver [a-z-]{1,9}|driver \\*|http https://[a-z]{1,9}:[1-9][0-9]{0,3}|insecure-tls|keys\\.export)") {
        if let Ok(grant) = Grant::parse(&text) {
            prop_assert_eq!(Grant::parse(&grant.to_string()), Ok(grant));
        }
    }

    #[test]
    fn reading_a_grant_never_panics(text in ".{0,60}") {
        let _ = Grant::parse(&text);
    }
}
