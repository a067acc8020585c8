//! The driver on the bench, with servers that the test plays. Real ones: `tests/server.rs`.

use std::cell::RefCell;
use std::rc::Rc;

use bulkhead_sdk::Error;
use bulkhead_sdk::bench::{DriverBench, Peer};
use bulkhead_sdk::driver::{Credential, UserSpec};
use bulkhead_sdk::net::{NetError, TlsInfo, Verification};
use serde_json::{Value, json};

use crate::Redis;

fn config() -> Value {
    json!({ "host": "h", "port": "6379", "username": "u", "password": "s3cret" })
}

/// What a session is called that is at work on the account `made`.
const FENCE: &str = "bulkhead-ea0890697a77af0a2e054cccec587c8a42feb5cf38e778c6";

fn spec(statements: &[&str]) -> UserSpec {
    UserSpec {
        username: Some("made".to_owned()),
        display_name: "to ken".to_owned(),
        role_name: "my-role".to_owned(),
        username_template: None,
        statements: statements.iter().map(|text| (*text).to_owned()).collect(),
        rollback_statements: Vec::new(),
        credential: Credential::Password("new-s3cret".to_owned()),
        expires_at: None,
    }
}

/// A server that knows nobody and takes everything, and what was sent to it.
fn server() -> (DriverBench<Redis>, Rc<RefCell<Vec<String>>>) {
    let sent = Rc::new(RefCell::new(Vec::new()));
    let noted = Rc::clone(&sent);
    let bench = DriverBench::played(move |_| {
        let noted = Rc::clone(&noted);
        let peer = Peer::new(move |bytes: &[u8]| {
            let words = String::from_utf8_lossy(bytes).split("\r\n").skip(2).step_by(2).collect::<Vec<_>>().join(" ");
            let answer = if words.starts_with("ACL GETUSER") { "*-1\r\n" } else { "+OK\r\n" };
            if bytes.is_empty() {
                return Some(Vec::new());
            }
            noted.borrow_mut().push(words);
            Some(answer.as_bytes().to_vec())
        });
        let info =
            TlsInfo { version: String::new(), alpn: None, peer_certificates: Vec::new(), channel_binding: Vec::new() };
        Ok(peer.with_tls(info))
    });
    (bench, sent)
}

fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result.unwrap_err() {
        Error::InvalidRequest(text) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn rules_are_a_list_or_statements() {
    for (statements, rules) in [
        (&[][..], "~* +@read"),
        (&["  "], "~* +@read"),
        (&[r#"["~app:*", "+get", "+acl|whoami"]"#], "~app:* +get +acl|whoami"),
        (&["~a", "", "+get"], "~a +get"),
        (&["null", r#"["+@all"]"#], ""),
        (&["[]"], ""),
        (&[r#"["~*", null]"#], "~*"),
        // What is no list is a rule as it stands, which the server refuses: no rights that nobody wrote.
        (&[r#"["+@all" "-@dangerous"]"#], r#"["+@all" "-@dangerous"]"#),
        (&[r#"["~*",]"#], r#"["~*",]"#),
        (&[r#"["~*""#], r#"["~*""#),
        (&[r#"["~*"] x"#], r#"["~*"] x"#),
        (&[r#"["~*"]["+@all"]"#], r#"["~*"]["+@all"]"#),
        (&[r#"["~*", 1]"#], r#"["~*", 1]"#),
    ] {
        let (mut bench, sent) = server();
        bench.create_user(&config(), &spec(statements)).unwrap();
        let made = format!("ACL SETUSER made reset on >new-s3cret {rules}").trim_end().to_owned();
        let name = ["CLIENT SETNAME ", FENCE].concat();
        let expected =
            ["AUTH u s3cret", &name, "ACL GETUSER made", &made, "CLIENT SETNAME"].map(|line| format!("{line} "));
        let sent: Vec<String> = sent.borrow().iter().map(|line| format!("{} ", line.trim_end())).collect();
        assert_eq!(sent, expected);
    }
}

#[test]
fn tls_is_spoken_from_the_first_byte_if_the_config_says_so() {
    for (insecure, verification) in [(false, Verification::Full), (true, Verification::Insecure)] {
        let mut config = config();
        (config["tls"], config["insecure_tls"], config["ca_cert"]) = (true.into(), insecure.into(), "PEM".into());
        let (mut bench, _) = server();
        bench.verify(&config, true).unwrap();
        let asked = &bench.tls_asked()[0];
        assert_eq!((asked.verification, asked.roots_pem.as_deref()), (verification, Some("PEM")));
    }
}

/// Where a config leads, whom it logs in, and whether over TLS.
fn led_by(config: &Value) -> Result<(String, String, bool), Error> {
    let (mut bench, sent) = server();
    bench.verify(config, true)?;
    let login = sent.borrow()[0].trim_end().to_owned();
    Ok((bench.connected()[0].clone(), login, !bench.tls_asked().is_empty()))
}

#[test]
fn a_url_says_where_the_server_is_and_who_logs_in() {
    for (url, place, login, tls) in [
        ("redis://u:p@h:7/0", "tcp://h:7", "AUTH u p", false),
        ("valkey://u:p@h", "tcp://h:6379", "AUTH u p", false),
        ("rediss://u:p@h:7", "tcp://h:7", "AUTH u p", true),
        ("valkeys://:p@h/12", "tcp://h:6379", "AUTH default p", true),
        ("redis://a%40b:%25%3a@x@[::1]:7/", "tcp://[::1]:7", "AUTH a@b %:@x", false),
        ("redis://u:p@[::1]", "tcp://[::1]:6379", "AUTH u p", false),
    ] {
        assert_eq!(led_by(&json!({ "connection_url": url })).unwrap(), (place.into(), login.into(), tls), "{url}");
    }
    let url = "redis://{{username}}:{{password}}@h:7/0";
    let placed = json!({ "connection_url": url, "username": "{{password}}", "password": "p@/%41" });
    assert_eq!(led_by(&placed).unwrap().1, "AUTH {{password}} p@/%41", "what is put into a URL means nothing in it");
    let placed = json!({ "connection_url": "redis://u:{{password}}@h:7/0", "password": "p" });
    assert_eq!(led_by(&placed).unwrap().1, "AUTH u p");
}

#[test]
fn a_wrong_url_is_refused_and_not_told() {
    let both = "cannot specify both connection_url and individual connection parameters";
    let url = "redis://u:s3cret@h:7/0";
    for (name, value) in [
        ("host", json!("h")),
        ("port", json!(7)),
        ("tls", json!(true)),
        ("username", json!("u")),
        ("password", json!("p")),
    ] {
        let mut config = json!({ "connection_url": url });
        config[name] = value.clone();
        assert_eq!(refusal(led_by(&config)), both, "{name}");
        let mut placed =
            json!({ "connection_url": "redis://{{username}}:{{password}}@h", "username": "u", "password": "p" });
        placed[name] = value;
        let is_place = ["host", "port", "tls"].contains(&name);
        assert_eq!(led_by(&placed).err().map(|error| refusal::<()>(Err(error))), is_place.then(|| both.to_owned()));
    }
    let parts = "cannot parse connection_url: after the host there may be the number of a database, and nothing else";
    for (url, told) in [
        (
            "http://u:s3cret@h",
            "cannot parse connection_url: it begins with redis://, valkey://, rediss:// or valkeys://",
        ),
        ("u:s3cret@h", "cannot parse connection_url: it begins with redis://, valkey://, rediss:// or valkeys://"),
        ("redis://u:s3cret@h/0?tls=true", parts),
        ("redis://u:s3cret@h?tls=true", parts),
        ("redis://u:s3cret@h/zero", parts),
        ("redis://u:s3c/ret@h", parts),
        ("redis://u:s3cret%zz@h", "cannot parse connection_url: a percent sign is not of an escape"),
        ("redis://u:s3cret@h:x", "cannot parse connection_url: invalid host or port"),
        ("redis://u:s3cret@h:0", "cannot parse connection_url: invalid host or port"),
        ("redis://u:s3cret@[::1:7", "cannot parse connection_url: invalid host or port"),
        ("redis://u:s3cret@", "host cannot be empty"),
        ("redis://u@h", "password cannot be empty"),
        ("redis://h", "password cannot be empty"),
        ("redis://{{username}}:s3cret@h", "username cannot be empty"),
        ("redis://u:{{password}}@h", "password cannot be empty"),
    ] {
        assert_eq!(refusal(led_by(&json!({ "connection_url": url }))), told, "{url}");
    }
}

#[test]
fn names_are_in_capitals_and_have_no_spaces() {
    let (mut bench, _) = server();
    let name = bench.propose_username(&config(), &spec(&[])).unwrap();
    assert!(name.starts_with("V_TO_KEN_MY-ROLE_") && name.ends_with("_1767225600"), "{name}");
    let mut own = config();
    own["username_template"] = "{{.RoleName}}".into();
    assert_eq!(bench.propose_username(&own, &spec(&[])).unwrap(), "my-role");
}

#[test]
fn a_wrong_config_is_refused_by_what_is_wrong() {
    for (name, value, told) in [
        ("host", json!(""), "host cannot be empty"),
        ("port", json!(0), "port cannot be empty"),
        ("port", json!(70_000), "port must be from 1 to 65535"),
        ("port", json!("x"), "'port' cannot parse value as 'int'"),
        ("username", Value::Null, "username cannot be empty"),
        ("password", json!(""), "password cannot be empty"),
        (
            "username_template",
            json!("{{x}}"),
            "unable to initialize username template: unable to parse template: function \"x\" not defined",
        ),
    ] {
        let mut wrong = config();
        wrong[name] = value;
        assert_eq!(refusal(DriverBench::<Redis>::new().verify(&wrong, false)), told);
    }
}

#[test]
fn accounts_that_are_needed_are_left_alone() {
    for name in ["default", "u", "", "a b"] {
        let (mut bench, sent) = server();
        let taken = UserSpec { username: Some(name.to_owned()), ..spec(&[]) };
        let _ = refusal(bench.create_user(&config(), &taken));
        let removal = bulkhead_sdk::driver::UserRemoval { username: name.to_owned(), statements: Vec::new() };
        let _ = refusal(bench.delete_user(&config(), &removal));
        assert!(sent.borrow().is_empty());
    }
}

#[test]
fn an_error_says_that_nothing_was_begun_until_the_account_is_set() {
    for (refused, is_begun) in [("AUTH", false), ("CLIENT SETNAME bulkhead", false), ("ACL SETUSER", true)] {
        let mut bench = DriverBench::<Redis>::played(move |_| {
            Ok(Peer::new(move |bytes: &[u8]| {
                let words: Vec<_> =
                    String::from_utf8_lossy(bytes).split("\r\n").skip(2).step_by(2).map(str::to_owned).collect();
                let words = words.join(" ");
                let answer = match words.as_str() {
                    "" => "",
                    words if words.starts_with(refused) => "-ERR no\r\n",
                    words if words.starts_with("ACL GETUSER") => "*-1\r\n",
                    _ => "+OK\r\n",
                };
                Some(answer.as_bytes().to_vec())
            }))
        });
        bench.create_user(&config(), &spec(&[])).unwrap_err();
        assert_eq!(bench.was_begun(), is_begun, "{refused}");
    }
    let mut bench = DriverBench::<Redis>::played(|_| Err(NetError::Refused("nobody listens".to_owned())));
    assert!(matches!(bench.create_user(&config(), &spec(&[])), Err(Error::Unavailable(_))));
    assert!(!bench.was_begun());
    let verified = bench.verify(&config(), true);
    let is_away = |text: &str| text.starts_with("error verifying connection: dial h:6379");
    assert!(matches!(&verified, Err(Error::Unavailable(text)) if is_away(text)), "{verified:?}");
}
