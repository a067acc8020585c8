//! The driver on the bench, with servers that the test plays. Real ones: `tests/server.rs`.

use std::cell::RefCell;
use std::rc::Rc;

use bulkhead_sdk::Error;
use bulkhead_sdk::bench::{DriverBench, Peer, within};
use bulkhead_sdk::driver::{Credential, Settings, UserSpec};
use bulkhead_sdk::net::{TlsInfo, Verification};
use serde_json::{Value, json};

use crate::Mysql;
use crate::config::Config;

/// Protocol 4.1, secure login, kinds of login, and TLS.
const CAN: u32 = 0x0000_0200 | 0x0000_8000 | 0x0008_0000 | 0x0000_0800;

const NONCE: &[u8; 20] = b"twenty bytes of it..";

/// A key of RSA-2048 that a server has for those without TLS.
pub(crate) const KEY: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAu1SU1LfVLPHCozMxH2Mo
4lgOEePzNm0tRgeLezV6ffAt0gunVTLw7onLRnrq0/IzW7yWR7QkrmBL7jTKEn5u
+qKhbwKfBstIs+bMY2Zkp18gnTxKLxoS2tFczGkPLPgizskuemMghRniWaoLcyeh
kd3qqGElvW/VDL5AaWTg0nLVkjRo9z+40RQzuVaE8AkAFmxZzow3x+VJYKdjykkJ
0iT9wCS0DRTXu269V264Vf/3jvredZiKRkgwlL9xNAwxXFg0x/XFw005UWVRIkdg
cKWTjpBP2dPwVZ4WWC+9aGVd+Gyn1o0CLelf4rEjGoXbAAEgAqeGUxrcIlbjXfbc
mwIDAQAB
-----END PUBLIC KEY-----
";

fn config(url: &str) -> Value {
    json!({ "connection_url": url, "username": "u", "password": "s3cret" })
}

fn packet(number: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_le_bytes();
    [&length[..3], &[number], body].concat()
}

fn greeting(plugin: &str, can: u32) -> Vec<u8> {
    let [low, high] = [can as u16, (can >> 16) as u16].map(u16::to_le_bytes);
    let parts: [&[u8]; 11] = [
        b"\x0a8.0.36\0",
        &[1, 0, 0, 0],
        &NONCE[..8],
        &[0],
        &low,
        &[45, 2, 0],
        &high,
        &[21],
        &[0; 10],
        &NONCE[8..],
        &[0],
    ];
    packet(0, &[&parts.concat(), plugin.as_bytes(), b"\0"].concat())
}

fn ok(number: u8) -> Vec<u8> {
    packet(number, &[0, 0, 0, 2, 0, 0, 0])
}

type Sent = Rc<RefCell<Vec<Vec<u8>>>>;

/// A server that greets, gives these answers one after the other, and then ends the connection.
fn server(greeting: Vec<u8>, answers: Vec<Vec<u8>>) -> (DriverBench<Mysql>, Sent) {
    let sent = Sent::default();
    let noted = Rc::clone(&sent);
    let bench = DriverBench::played(move |_| {
        let (noted, greeting, mut answers) = (Rc::clone(&noted), greeting.clone(), answers.clone().into_iter());
        let peer = Peer::new(move |bytes: &[u8]| {
            if bytes.is_empty() {
                return Some(greeting.clone());
            }
            noted.borrow_mut().push(bytes.to_vec());
            answers.next()
        });
        let info =
            TlsInfo { version: String::new(), alpn: None, peer_certificates: Vec::new(), channel_binding: Vec::new() };
        Ok(peer.with_tls(info))
    });
    (bench, sent)
}

fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result.unwrap_err() {
        Error::InvalidRequest(text) | Error::Unavailable(text) => text,
        other => panic!("{other:?}"),
    }
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

/// What begins like a certificate: the bench looks no further.
const CA: &str = "-----BEGIN CERTIFICATE-----";

const PLAIN: &str = "{{username}}:{{password}}@tcp(h:3306)/";

#[test]
fn the_password_is_told_over_tls_alone_where_the_server_does_not_remember_it() {
    let asks_for_all = packet(3, &[1, 4]);
    let (mut bench, sent) = server(greeting("caching_sha2_password", CAN), vec![Vec::new(), asks_for_all, ok(5)]);
    let _ = bench.verify(&config("{{username}}:{{password}}@tcp(h:3306)/?tls=true"), true);
    let over_tls = sent.borrow();
    assert!(!contains(&over_tls[1], b"s3cret"), "the first try is a proof");
    assert_eq!(over_tls[2], packet(4, b"s3cret\0"));
    assert_eq!(bench.tls_asked()[0].verification, Verification::Full);
    assert_eq!(bench.tls_asked()[0].server_name.as_deref(), Some("h"));

    let (mut bench, sent) = server(
        greeting("caching_sha2_password", CAN),
        vec![packet(2, &[1, 4]), packet(4, &[b"\x01", KEY.as_bytes()].concat()), ok(6)],
    );
    let _ = bench.verify(&config(PLAIN), true);
    let in_the_open = sent.borrow();
    assert_eq!(in_the_open[1], packet(3, &[2]), "the server is asked for its key");
    assert_eq!(in_the_open[2].len(), 4 + 256, "the password is encrypted for it");
    assert!(in_the_open.iter().all(|packet| !contains(packet, b"s3cret")));
}

#[test]
fn a_password_that_the_server_remembers_is_proved_at_once() {
    let (mut bench, sent) =
        server(greeting("caching_sha2_password", CAN), vec![[packet(2, &[1, 3]), ok(3)].concat(), ok(1)]);
    let _ = bench.verify(&config(PLAIN), true);
    assert_eq!(sent.borrow()[1], packet(0, b"\x03SET NAMES utf8mb4, @@SESSION.wait_timeout = 90"));
}

#[test]
fn no_server_gets_the_bare_password_over_a_plain_connection() {
    for plugin in ["mysql_clear_password", "sha256_password", "mysql_old_password", "dialog", "parsec"] {
        let switch = packet(2, &[b"\xfe", plugin.as_bytes(), b"\0", NONCE, b"\0"].concat());
        let (mut bench, sent) = server(greeting("mysql_native_password", CAN), vec![switch]);
        let text =
            refusal(bench.verify(&config("{{username}}:{{password}}@tcp(h:3306)/?allowCleartextPasswords=true"), true));
        assert!(text.contains(plugin), "{text}");
        assert_eq!(sent.borrow().len(), 1);
    }
    let switch = packet(3, b"\xfemysql_clear_password\0");
    let (mut bench, sent) = server(greeting("mysql_native_password", CAN), vec![Vec::new(), switch, ok(5)]);
    let _ = bench.verify(&config("{{username}}:{{password}}@tcp(h:3306)/?allowCleartextPasswords=true&tls=true"), true);
    assert_eq!(sent.borrow()[2], packet(4, b"s3cret\0"), "over TLS, where the config allows it");
}

#[test]
fn a_server_without_tls_is_refused_where_the_config_asks_for_it() {
    let url = "{{username}}:{{password}}@tcp(h:3306)/";
    for (parameter, tls_ca, is_refused) in
        [("?tls=true", "", true), ("?tls=skip-verify", "", true), ("?tls=preferred", "", false), ("", CA, true)]
    {
        let (mut bench, sent) = server(greeting("mysql_native_password", CAN & !0x800), vec![ok(2)]);
        let mut config = config(&format!("{url}{parameter}"));
        config["tls_ca"] = tls_ca.into();
        let text = refusal(bench.verify(&config, true));
        assert_eq!(text.contains("the server does not speak TLS"), is_refused, "{parameter} {text}");
        assert_eq!(sent.borrow().is_empty(), is_refused);
    }
}

#[test]
fn no_server_gets_a_file() {
    let wants_file = packet(1, b"\xfb/etc/passwd");
    let (mut bench, sent) = server(greeting("mysql_native_password", CAN), vec![ok(2), wants_file]);
    let text = refusal(bench.verify(&config(PLAIN), true));
    assert!(text.ends_with("the server asks for what it is not given"), "{text}");
    assert_eq!(sent.borrow().len(), 2, "nothing more was sent");
    assert_eq!(bench.parked(), 0);
}

#[test]
fn a_server_that_speaks_nonsense_costs_its_call() {
    let columns = packet(1, &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    for (greet, answer) in [
        (b"SSH-2.0-OpenSSH_9.2p1\r\n".to_vec(), ok(2)),
        (vec![0xff; 64], ok(2)),
        (packet(0, &[]), ok(2)),
        (packet(0, &[0x0a; 40]), ok(2)),
        (packet(0, b"\xff\x10\x04Too many connections"), ok(2)),
        (greeting("mysql_native_password", 0), ok(2)),
        (greeting("mysql_native_password", CAN), packet(2, &[])),
        (greeting("mysql_native_password", CAN), packet(2, &[0])),
        (greeting("mysql_native_password", CAN), packet(2, &[0xff])),
        (greeting("mysql_native_password", CAN), packet(7, &[0])),
        (greeting("mysql_native_password", CAN), [ok(2), columns].concat()),
        (greeting("client_ed25519", CAN), packet(2, &[1, 1, 1])),
    ] {
        let (mut bench, _) = server(greet.clone(), vec![answer]);
        let text = refusal(bench.verify(&config(PLAIN), true));
        assert!(!text.contains("s3cret"), "{text}");
        assert_eq!(bench.parked(), 0, "{greet:?}");
    }
}

fn read(config: &Value) -> Config {
    let settings = Settings::read(config.to_string().as_bytes()).unwrap();
    within(|cx| Config::read(cx, &settings)).unwrap()
}

#[test]
fn a_data_source_name_is_read_with_whatever_signs_name_and_password_have() {
    for hostile in ["p@ss:w/o?r#d %41&+", "a@tcp(evil:1)/", ":@/", "it's \\", "ü\n"] {
        let read = read(
            &json!({ "connection_url": "{{username}}:{{password}}@tcp(h:1)/d?tls=true", "username": hostile, "password": hostile }),
        );
        assert_eq!((read.login.user.as_str(), read.login.password.expose().as_str()), (hostile, hostile));
        assert_eq!((read.address.as_str(), read.login.database.as_str()), ("tcp://h:1", "d"));
    }
    for (url, address) in [
        ("u:p@/", "tcp://127.0.0.1:3306"),
        ("u:p@tcp/", "tcp://127.0.0.1:3306"),
        ("u@tcp(h)/", "tcp://h:3306"),
        ("u@tcp([::1]:7)/", "tcp://[::1]:7"),
        ("u@tcp([::1])/", "tcp://[::1]:3306"),
        ("u:a@b:c/d@unix(/run/my.sock)/d", "unix:///run/my.sock"),
    ] {
        assert_eq!(read(&config(url)).address, address, "{url}");
    }
    let read = read(&config("u@/d%2Fb?sql_mode=%27ANSI%27&parseTime=true"));
    assert_eq!((read.login.settings, read.login.database.as_str()), (vec!["SET sql_mode = 'ANSI'".to_owned()], "d/b"));
}

#[test]
fn certificate_and_key_come_in_one_text() {
    let mut config = config(PLAIN);
    config["tls_certificate_key"] =
        "-----BEGIN PRIVATE KEY-----\nk\n-----END PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\nc\n-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\nd\n-----END CERTIFICATE-----\n".into();
    config["tls_server_name"] = "other".into();
    let tls = read(&config).tls;
    let client = tls.client.unwrap();
    assert_eq!(client.key_pem().expose(), "-----BEGIN PRIVATE KEY-----\nk\n-----END PRIVATE KEY-----\n");
    assert_eq!(client.chain_pem().matches("BEGIN CERTIFICATE").count(), 2);
    assert_eq!((tls.server_name.as_deref(), tls.verification), (Some("other"), Verification::Full));
    config["tls_skip_verify"] = "true".into();
    assert_eq!(read(&config).tls.verification, Verification::Insecure);
    config["tls_certificate_key"] = "s3cret".into();
    let text = refusal(DriverBench::<Mysql>::new().verify(&config, false));
    assert_eq!(text, "unable to load tls_certificate_key_data: it needs a certificate and its key");
}

#[test]
fn a_wrong_config_is_refused_by_what_is_wrong() {
    let parse = "unable to parse connectionURL: ";
    for (name, value, told) in [
        ("connection_url", "", "connection_url cannot be empty".to_owned()),
        (
            "connection_url",
            "u:p@tcp(h:1)",
            format!("{parse}invalid DSN: missing the slash separating the database name"),
        ),
        (
            "connection_url",
            "u:p@tcp(h:1/",
            format!("{parse}invalid DSN: network address not terminated (missing closing brace)"),
        ),
        ("connection_url", "u@tcp(h:x)/", format!("{parse}invalid port")),
        ("connection_url", "u@udp(h:1)/", format!("{parse}the network must be tcp or unix")),
        ("connection_url", "u@/?tls=maybe", format!("{parse}tls must be true, false, skip-verify or preferred")),
        ("connection_url", "u@/?a%20b=1", format!("{parse}a parameter is no name of a variable")),
        ("tls_ca", "PEM", "tls_ca has no certificate in PEM".to_owned()),
        ("connection_url", "u@/?timeout=x", format!("{parse}invalid timeout")),
        ("max_connection_lifetime", "long", "invalid max_connection_lifetime: it is no duration".to_owned()),
        (
            "username_template",
            "{{.Foo}}",
            "invalid username template: unable to apply template: can't evaluate field Foo".to_owned(),
        ),
    ] {
        let mut wrong = config(PLAIN);
        wrong[name] = value.into();
        assert_eq!(refusal(DriverBench::<Mysql>::new().verify(&wrong, false)), told);
    }
}

fn refused(number: u8, code: u16, text: &str) -> Vec<u8> {
    packet(number, &[b"\xff", &code.to_le_bytes()[..], b"#HY000", text.as_bytes()].concat())
}

/// The list of accounts, with one of the name or none.
fn listed(is_there: bool) -> Vec<u8> {
    if is_there { row(b"%") } else { rows(&end(4)) }
}

fn end(number: u8) -> Vec<u8> {
    packet(number, &[0xfe, 0, 0, 2, 0])
}

/// A row with this sign in it.
fn row(sign: &[u8; 1]) -> Vec<u8> {
    rows(&[packet(4, &[1, sign[0]]), end(5)].concat())
}

fn rows(rows: &[u8]) -> Vec<u8> {
    let column = packet(2, b"\x03def\0\0\0\x011\0\x0c\x3f\0\x01\0\0\0\x08\x81\0\0\0\0");
    [packet(1, &[1]), column, end(3), rows.to_vec()].concat()
}

/// What comes of making a user where the server answers like this from the list of accounts on.
fn making(statements: &[&str], answers: &[Vec<u8>]) -> Result<String, Error> {
    // After the login, its settings and the lock of the account.
    let all = [vec![ok(2), ok(1), row(b"1")], answers.to_vec()].concat();
    let (mut bench, _) = server(greeting("mysql_native_password", CAN), all);
    bench.create_user(&config(PLAIN), &made_by(statements))
}

fn made_by(statements: &[&str]) -> UserSpec {
    UserSpec {
        username: Some("name".to_owned()),
        display_name: String::new(),
        role_name: "app".to_owned(),
        username_template: None,
        statements: statements.iter().map(|&statement| statement.to_owned()).collect(),
        rollback_statements: Vec::new(),
        credential: Credential::Password("p4ss".to_owned()),
        expires_at: None,
    }
}

#[test]
fn an_error_says_that_nothing_was_begun_until_the_account_is_locked() {
    for (answers, is_begun) in [
        (vec![refused(2, 1045, "Access denied")], false),
        (vec![ok(2), ok(1)], false),
        (vec![ok(2), ok(1), row(b"1"), listed(false), refused(1, 1064, "syntax")], true),
    ] {
        let count = answers.len();
        let (mut bench, _) = server(greeting("mysql_native_password", CAN), answers);
        bench.create_user(&config(PLAIN), &made_by(&["CREATE USER '{{name}}'@'%'"])).unwrap_err();
        assert_eq!(bench.was_begun(), is_begun, "{count}");
    }
}

#[test]
fn a_name_is_taken_only_where_nothing_was_made_under_it() {
    let one = "CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'";
    let two = "CREATE USER '{{name}}'@'%', '{{name}}'@'localhost'";
    let cannot = |number| refused(number, 1396, "Operation CREATE USER failed");
    let is_taken = |statements: &[&str], answers: &[Vec<u8>]| match making(statements, answers) {
        Err(Error::PreconditionFailed(_)) => true,
        Err(Error::Upstream(text)) if text.contains("1396") => false,
        other => panic!("{statements:?} {other:?}"),
    };
    assert!(is_taken(&[one], &[listed(true)]));
    // What the server cannot make was not there before: something of it may have been made here.
    assert!(!is_taken(&[one], &[listed(false), ok(1), cannot(1)]));
    for code in [1142, 1143, 1044, 1046, 1146, 1227, 1290] {
        let denied = refused(1, code, "it is not told");
        assert!(is_taken(&[one], &[denied.clone(), ok(1), cannot(1)]), "{code}");
        assert!(!is_taken(&[two], &[denied.clone(), ok(1), cannot(1)]), "{code}");
        assert!(!is_taken(&["CREATE ROLE r", one], &[denied.clone(), ok(1), ok(1), cannot(1)]), "{code}");
        // At last the lock is given back.
        assert_eq!(making(&[one], &[denied, ok(1), ok(1), ok(1), ok(1)]).unwrap(), "name", "{code}");
    }
}

#[test]
fn who_cannot_have_the_lock_of_an_account_has_begun_nothing() {
    let taken = [row(b"0"), row(b"7"), refused(1, 1095, "You are not owner of thread 7")];
    let (mut bench, sent) =
        server(greeting("mysql_native_password", CAN), [vec![ok(2), ok(1)], taken.to_vec()].concat());
    let removal = bulkhead_sdk::driver::UserRemoval { username: "name".to_owned(), statements: Vec::new() };
    let Err(Error::Unavailable(text)) = bench.delete_user(&config(PLAIN), &removal) else { panic!("it is done") };
    assert!(text.ends_with("does not end: You are not owner of thread 7"), "{text}");
    let sent = sent.borrow();
    let last: Vec<_> = sent[2..].iter().map(|packet| String::from_utf8_lossy(&packet[5..]).into_owned()).collect();
    assert!(last[0].starts_with("SELECT GET_LOCK('bulkhead-") && last[0].ends_with("', 2)"), "{last:?}");
    assert_eq!((last.len(), last[2].as_str()), (3, "KILL 7"));
    assert_eq!(bench.parked(), 0);
}
