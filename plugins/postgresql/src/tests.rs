//! The driver on the bench, with servers that the test plays. Real ones: `tests/server.rs`.

use std::cell::RefCell;
use std::rc::Rc;

use bulkhead_sdk::Error;
use bulkhead_sdk::bench::{DriverBench, Peer};
use bulkhead_sdk::driver::{Credential, UserSpec};
use bulkhead_sdk::net::{NetError, TlsInfo, Verification};
use serde_json::{Value, json};

use crate::Postgresql;

mod configs;

/// What the certificate of the played server hashes to.
const END_POINT: &[u8] = b"hash of a certificate";

/// Everything that was sent, message by message.
type Sent = Rc<RefCell<Vec<Vec<u8>>>>;

fn config(url: &str) -> Value {
    json!({ "connection_url": url, "username": "u", "password": "s3cret" })
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[tag], &length.to_be_bytes()[..], body].concat()
}

fn ready() -> Vec<u8> {
    [message(b'R', &[0; 4]), message(b'S', b"standard_conforming_strings\0on\0"), message(b'Z', b"I")].concat()
}

fn is_tls_request(sent: &[u8]) -> bool {
    sent.get(4..8) == Some(&80_877_103_u32.to_be_bytes())
}

/// A server that gives these answers one after the other, and then ends the connection. It can TLS
/// if it says so.
fn server(answers: Vec<Vec<u8>>) -> (DriverBench<Postgresql>, Sent) {
    let sent = Sent::default();
    let noted = Rc::clone(&sent);
    let bench = DriverBench::played(move |_| {
        let (noted, mut answers) = (Rc::clone(&noted), answers.clone().into_iter());
        let peer = Peer::new(move |bytes: &[u8]| {
            if bytes.is_empty() {
                return Some(Vec::new());
            }
            noted.borrow_mut().push(bytes.to_vec());
            answers.next()
        });
        Ok(peer.with_tls(TlsInfo {
            version: "1.3".to_owned(),
            alpn: None,
            peer_certificates: Vec::new(),
            channel_binding: END_POINT.to_vec(),
        }))
    });
    (bench, sent)
}

fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result.unwrap_err() {
        Error::InvalidRequest(text) | Error::Unavailable(text) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_asked_of_tls_is_what_sslmode_says() {
    let ca = "-----BEGIN CERTIFICATE-----";
    for (mode, tls_ca, verification) in [
        ("", "", Some(Verification::Insecure)),
        ("sslmode=disable", "", None),
        ("sslmode=prefer", ca, Some(Verification::Insecure)),
        ("sslmode=require", "", Some(Verification::Insecure)),
        ("sslmode=require", ca, Some(Verification::ChainOnly)),
        ("sslmode=verify-ca", ca, Some(Verification::ChainOnly)),
        ("sslmode=verify-full", "", Some(Verification::Full)),
    ] {
        let mut config = config(&format!("postgres://{{{{username}}}}@db.example/d?{mode}"));
        config["tls_ca"] = tls_ca.into();
        let answers = if verification.is_some() { vec![b"S".to_vec(), ready()] } else { vec![ready()] };
        let (mut bench, sent) = server(answers);
        let _ = bench.verify(&config, true);
        assert_eq!(bench.connected(), ["tcp://db.example:5432"]);
        assert_eq!(is_tls_request(&sent.borrow()[0]), verification.is_some(), "{mode}");
        let asked = bench.tls_asked().first();
        assert_eq!(asked.map(|tls| tls.verification), verification, "{mode}");
        assert_eq!(asked.and_then(|tls| tls.roots_pem.as_deref()).unwrap_or_default(), tls_ca);
        assert!(asked.is_none_or(|tls| tls.server_name.as_deref() == Some("db.example")));
    }
}

#[test]
fn a_client_certificate_is_shown() {
    let mut config = config("postgres://{{username}}@h/d?sslmode=verify-full");
    config["tls_certificate"] = "-----BEGIN CERTIFICATE-----".into();
    let (mut bench, _) = server(vec![b"S".to_vec(), ready()]);
    assert_eq!(refusal(bench.verify(&config, true)), "tls_certificate and private_key are needed both, or neither");
    config["private_key"] = "-----BEGIN PRIVATE KEY-----".into();
    let _ = bench.verify(&config, true);
    let client = bench.tls_asked()[0].client.clone().unwrap();
    assert_eq!(client.key_pem().expose(), "-----BEGIN PRIVATE KEY-----");
    config["private_key"] = "s3cret".into();
    let text = refusal(bench.verify(&config, true));
    assert!(text.ends_with("tls error: the key of the client certificate: it is not PEM"), "{text}");
}

#[test]
fn without_tls_only_those_go_on_that_may() {
    let (mut bench, sent) = server(vec![b"N".to_vec(), ready()]);
    let _ = bench.verify(&config("postgres://{{username}}@h/d"), true);
    assert_eq!(sent.borrow().len(), 3, "the server has none, and the mode is prefer");
    for mode in ["require", "verify-ca", "verify-full"] {
        let (mut bench, sent) = server(vec![b"N".to_vec(), ready()]);
        let text = refusal(bench.verify(&config(&format!("postgres://{{{{username}}}}@h/d?sslmode={mode}")), true));
        assert!(text.ends_with("h:5432: tls error: server refused TLS connection"), "{text}");
        assert_eq!(sent.borrow().len(), 1, "nothing more was sent");
    }
}

/// The answers of a server up to where the password is proved.
fn scram(mechanisms: &[u8], last: Vec<u8>) -> Vec<Vec<u8>> {
    let offer = message(b'R', &[&10_u32.to_be_bytes(), mechanisms, b"\0"].concat());
    vec![b"S".to_vec(), offer, Vec::new(), last]
}

/// A server that repeats the client's nonce in its first answer, as it must.
fn scram_server(mechanisms: &'static [u8], last: Vec<u8>) -> (DriverBench<Postgresql>, Sent) {
    let sent = Sent::default();
    let noted = Rc::clone(&sent);
    let bench = DriverBench::played(move |_| {
        let (noted, last) = (Rc::clone(&noted), last.clone());
        let peer = Peer::new(move |bytes: &[u8]| {
            if bytes.is_empty() {
                return Some(Vec::new());
            }
            noted.borrow_mut().push(bytes.to_vec());
            let mut answer = scram(mechanisms, last.clone())[noted.borrow().len() - 1].clone();
            if noted.borrow().len() == 3 {
                let text = String::from_utf8_lossy(bytes).into_owned();
                let nonce = text.split("r=").nth(1).unwrap();
                let first = format!("r={nonce}more,s=c2FsdA==,i=4096");
                answer = message(b'R', &[&11_u32.to_be_bytes(), first.as_bytes()].concat());
            }
            Some(answer)
        });
        let info = TlsInfo {
            version: String::new(),
            alpn: None,
            peer_certificates: Vec::new(),
            channel_binding: END_POINT.to_vec(),
        };
        Ok(peer.with_tls(info))
    });
    (bench, sent)
}

#[test]
fn the_proof_is_bound_to_the_tls_session() {
    let end = message(b'R', &[&12_u32.to_be_bytes()[..], b"v=AAAA"].concat());
    for (mechanisms, chosen, header) in [
        (
            &b"SCRAM-SHA-256\0SCRAM-SHA-256-PLUS\0"[..],
            "SCRAM-SHA-256-PLUS",
            "p=tls-server-end-point,,hash of a certificate",
        ),
        (b"SCRAM-SHA-256\0", "SCRAM-SHA-256", "y,,"),
    ] {
        let (mut bench, sent) = scram_server(mechanisms, end.clone());
        let text = refusal(bench.verify(&config("postgres://{{username}}:{{password}}@h/d?sslmode=verify-full"), true));
        assert!(text.ends_with("h:5432: SCRAM verification error"), "{text}");
        let sent = sent.borrow();
        let (first, proof) = (String::from_utf8_lossy(&sent[2]), String::from_utf8_lossy(&sent[3]));
        assert!(first.contains(&format!("{chosen}\0")), "{first}");
        assert!(proof.contains(&format!("c={},", base64(header))), "{proof}");
    }
}

#[test]
fn a_server_that_does_not_know_the_password_is_not_believed() {
    for last in [message(b'R', &[0; 4]), ready(), message(b'R', &[&12_u32.to_be_bytes()[..], b"v="].concat())] {
        let (mut bench, _) = scram_server(b"SCRAM-SHA-256\0", last);
        let text = refusal(bench.verify(&config("postgres://{{username}}:{{password}}@h/d?sslmode=verify-full"), true));
        assert!(!text.contains("s3cret"), "{text}");
    }
}

fn base64(text: &str) -> String {
    bulkhead_sdk::bench::within(|cx| {
        let template = bulkhead_sdk::template::Template::parse("{{ .Text | base64 }}").unwrap();
        template.render(cx, &[("Text", text)]).unwrap()
    })
}

#[test]
fn a_server_that_speaks_nonsense_costs_its_call() {
    let plain = config("postgres://{{username}}:{{password}}@h/d?sslmode=disable");
    for answer in [
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        vec![b'R', 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0],
        vec![b'R', 0, 0, 0, 0],
        message(b'R', &99_u32.to_be_bytes()),
        message(b'Z', b"I"),
        vec![0xff; 4096],
        [ready(), message(b'D', &[0xff; 9])].concat(),
    ] {
        let (mut bench, _) = server(vec![answer.clone()]);
        assert!(bench.verify(&plain, true).is_err(), "{answer:?}");
        assert_eq!(bench.parked(), 0);
    }
}

#[test]
fn what_a_server_says_is_told_without_secrets_and_in_short() {
    let long = "long ".repeat(1000);
    let body = format!("SFATAL\0C28P01\0Mpassword s3cret is wrong {long}\0Ds3cret\0Hs3cret\0\0");
    let (mut bench, _) = server(vec![message(b'E', body.as_bytes())]);
    let text = refusal(bench.verify(&config("postgres://{{username}}:{{password}}@h/d?sslmode=disable"), true));
    assert!(text.contains("FATAL: password [password] is wrong long"), "{text}");
    assert!(!text.contains("s3cret") && text.len() < 1100, "{text}");
}

#[test]
fn the_next_server_is_asked_where_the_first_does_not_answer_but_not_after_a_wrong_password() {
    let url = "postgres://{{username}}:{{password}}@a:1,b:2/d?sslmode=disable";
    let mut bench = DriverBench::<Postgresql>::played(|_| Err(NetError::Refused("nobody".to_owned())));
    let text = refusal(bench.verify(&config(url), true));
    assert!(text.ends_with("`user=u database=d`:\n\ta:1: dial error: nobody\n\tb:2: dial error: nobody"), "{text}");
    assert_eq!(bench.connected(), ["tcp://a:1", "tcp://b:2"]);
    let (mut bench, _) = server(vec![message(b'E', b"SFATAL\0C28P01\0Mwrong\0\0")]);
    let _ = refusal(bench.verify(&config(url), true));
    assert_eq!(bench.connected(), ["tcp://a:1"]);
}

#[test]
fn a_grant_that_is_missing_is_named() {
    let mut bench = DriverBench::<Postgresql>::played(|_| Err(NetError::Denied("net tcp://h:5432".to_owned())));
    let result = bench.verify(&config("postgres://{{username}}@h/d"), true);
    let Err(Error::PermissionDenied(text)) = result else { panic!("{result:?}") };
    let grant = "\"net tcp://h:5432\"";
    let told = format!("h:5432: this mount is not granted {grant}: give it with `bulkhead plugin grant MOUNT {grant}`");
    assert!(text.ends_with(&told), "{text}");
}

fn spec(username: Option<&str>, credential: Credential, statement: &str) -> UserSpec {
    UserSpec {
        username: username.map(str::to_owned),
        display_name: String::new(),
        role_name: String::new(),
        username_template: None,
        statements: vec![statement.to_owned()],
        rollback_statements: Vec::new(),
        credential,
        expires_at: None,
    }
}

#[test]
fn keys_are_no_credentials() {
    let (mut bench, sent) = server(vec![ready()]);
    let spec = spec(Some("a"), Credential::PublicKey(b"pem".to_vec()), "SELECT 1");
    let text = refusal(bench.create_user(&config("postgres://{{username}}@h/d"), &spec));
    assert_eq!((text.as_str(), sent.borrow().len()), ("unsupported credential type: rsa_private_key", 0));
}

#[test]
fn whoever_has_a_certificate_is_called_by_it_and_has_no_password() {
    let subject = || Credential::Subject("CN=a \\, b".to_owned());
    let config = config("postgres://{{username}}@h/d?sslmode=disable");
    let (mut bench, sent) = server(vec![ready()]);
    for (username, credential, statement, told) in [
        ("b", subject(), "CREATE ROLE \"{{name}}\"", "the certificate is for somebody of another name"),
        (
            "a , b",
            subject(),
            "CREATE ROLE \"{{name}}\" PASSWORD '{{password}}'",
            "creation statements have {{password}}, and who has a certificate has none",
        ),
        (
            "a",
            Credential::Subject("CN=a,O=b".to_owned()),
            "CREATE ROLE \"{{name}}\"",
            "the subject of the certificate is not a common name and nothing else",
        ),
    ] {
        assert_eq!(refusal(bench.create_user(&config, &spec(Some(username), credential, statement))), told);
    }
    assert!(sent.borrow().is_empty(), "nobody was connected to");
}

/// What a statement of that kind comes to, and that the server is ready for more: in a transaction, since all are.
fn done(tag: &str) -> Vec<u8> {
    [message(b'C', format!("{tag}\0").as_bytes()), message(b'Z', b"T")].concat()
}

fn one_row(value: &str) -> Vec<u8> {
    let length = u32::try_from(value.len()).unwrap().to_be_bytes();
    [message(b'D', &[&[0, 1], &length[..], value.as_bytes()].concat()), done("SELECT 1")].concat()
}

fn refused(code: &str) -> Vec<u8> {
    refused_by(code, "it is refused")
}

fn refused_by(code: &str, text: &str) -> Vec<u8> {
    let fields = format!("SERROR\0C{code}\0M{text}\0\0");
    [message(b'E', fields.as_bytes()), message(b'Z', b"E")].concat()
}

#[test]
fn a_role_that_is_there_already_is_not_taken_over_by_a_certificate() {
    let config = config("postgres://{{username}}@h/d?sslmode=disable");
    let spec = spec(Some("a"), Credential::Subject("CN=a".to_owned()), "GRANT x TO \"{{name}}\"");
    let begun = [ready(), done("BEGIN"), one_row("")];
    let (mut bench, sent) = server([&begun[..], &[one_row("1")]].concat());
    let Err(Error::PreconditionFailed(text)) = bench.create_user(&config, &spec) else { panic!("it is taken over") };
    assert_eq!(text, "failed to execute query: there is a role a already");
    assert!(sent.borrow().iter().all(|bytes| !String::from_utf8_lossy(bytes).contains("GRANT")));
    let free = [done("SELECT 0"), one_row("f"), one_row(""), done("GRANT"), done("COMMIT")];
    let (mut bench, sent) = server([&begun[..], &free].concat());
    assert_eq!(bench.create_user(&config, &spec).unwrap(), "a");
    assert!(sent.borrow().iter().any(|bytes| String::from_utf8_lossy(bytes).contains("GRANT x TO \"a\"")));
}

#[test]
fn a_duplicate_is_somebody_elses_role_only_where_it_is_this_role() {
    let config = config("postgres://{{username}}@h/d?sslmode=disable");
    let password = || Credential::Password("p4ss".to_owned());
    let begun = [ready(), done("BEGIN"), one_row("")];
    for (statements, answers, is_taken) in [
        ("CREATE ROLE \"{{name}}\"", vec![refused("42710")], true),
        ("CREATE ROLE \"{{name}}\"", vec![refused("42501")], false),
        ("CREATE ROLE \"{{name}}\"; CREATE ROLE r", vec![done("CREATE ROLE"), refused("42710")], false),
        ("COMMIT; CREATE ROLE \"{{name}}\"", vec![one_row(""), done("COMMIT"), refused("42710")], false),
    ] {
        let (mut bench, _) = server([&begun[..], &answers].concat());
        let mut spec = spec(Some("a"), password(), statements);
        spec.rollback_statements = vec!["DROP ROLE \"{{name}}\"".to_owned()];
        let result = bench.create_user(&config, &spec);
        assert_eq!(matches!(result, Err(Error::PreconditionFailed(_))), is_taken, "{statements} {result:?}");
        // The operator's undoing has a session of its own.
        assert_eq!(bench.connected().len(), if is_taken { 1 } else { 2 }, "{statements}");
    }
}

#[test]
fn an_error_says_that_nothing_was_begun_until_the_first_statement_is_sent() {
    let config = config("postgres://{{username}}@h/d?sslmode=disable");
    let spec = spec(Some("a"), Credential::Password("p4ss".to_owned()), "CREATE ROLE \"{{name}}\"");
    let begun = [ready(), done("BEGIN")];
    for (answers, is_begun) in [
        (Vec::new(), false),
        (vec![refused("28P01")], false),
        (begun[..1].to_vec(), false),
        ([&begun[..], &[refused("55P03")]].concat(), false),
        ([&begun[..], &[one_row("")]].concat(), true),
        ([&begun[..], &[one_row(""), refused("42501")]].concat(), true),
    ] {
        let count = answers.len();
        let (mut bench, _) = server(answers);
        let error = bench.create_user(&config, &spec).unwrap_err();
        assert!(matches!(error, Error::Unavailable(_) | Error::Upstream(_)), "{count} {error:?}");
        assert_eq!(bench.was_begun(), is_begun, "{count} {error:?}");
    }
}

#[test]
fn what_fails_for_somebody_elses_transaction_begins_anew() {
    let config = config("postgres://{{username}}@h/d?sslmode=disable");
    let spec = |statements: &str| spec(Some("a"), Credential::Password("p4ss".to_owned()), statements);
    let begun = [done("BEGIN"), one_row("")];
    let conflict = || refused_by("XX000", "tuple concurrently updated");
    let twice = [
        &[ready()][..],
        &begun,
        &[done("CREATE ROLE"), one_row(""), conflict(), done("ROLLBACK")],
        &begun,
        &[done("CREATE ROLE"), one_row(""), done("GRANT"), done("COMMIT")],
    ];
    let (mut bench, _) = server(twice.concat());
    assert_eq!(bench.create_user(&config, &spec("CREATE ROLE \"{{name}}\"; GRANT x TO \"{{name}}\"")).unwrap(), "a");
    // What was committed in between cannot be done twice, and not every fault is for another.
    let committing = "CREATE ROLE \"{{name}}\"; COMMIT; GRANT x TO \"{{name}}\"";
    let answers = [done("CREATE ROLE"), one_row(""), done("COMMIT"), conflict()];
    for (statements, answers) in [
        (committing, &answers[..]),
        ("CREATE ROLE \"{{name}}\"", &[refused_by("XX000", "cache lookup failed")]),
        ("CREATE ROLE \"{{name}}\"", &[refused_by("42501", "tuple concurrently updated")]),
    ] {
        let (mut bench, sent) = server([&[ready()][..], &begun, answers].concat());
        let failed = bench.create_user(&config, &spec(statements));
        assert!(matches!(failed, Err(Error::Upstream(_))), "{failed:?}");
        assert_eq!(sent.borrow().len(), 3 + answers.len(), "{statements}");
    }
}

#[test]
fn a_database_that_is_busy_is_away_for_a_while_and_refuses_nothing() {
    let config = config("postgres://{{username}}@h/d?sslmode=disable");
    let (mut bench, _) = server(vec![ready(), done("BEGIN"), refused("55P03")]);
    let spec = spec(Some("a"), Credential::Password("p4ss".to_owned()), "CREATE ROLE \"{{name}}\"");
    let Err(Error::Unavailable(text)) = bench.create_user(&config, &spec) else { panic!("it is a refusal") };
    assert_eq!(text, "failed to execute query: ERROR: it is refused (SQLSTATE 55P03)");
}
