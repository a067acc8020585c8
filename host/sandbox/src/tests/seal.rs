//! Seals: an honest one, what it may ask and whom, and bad ones, each of which costs its own call.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bulkhead_model::grants::Grants;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::clock::Clock;
use bulkhead_model::seam::egress::{Egress, EgressError, EgressRequest, EgressResponse, Verification};
use bulkhead_model::seam::entropy::Entropy;
use bulkhead_model::seam::plugin::LogLevel;
use bulkhead_model::seam::seal::{SealError, SealKey, SealKind, SealedSecret};
use parking_lot::Mutex;

use super::{guests, probe, sandbox};
use crate::{Sandbox, SandboxLimits, SealParts};

/// What servers outside were asked: origin, path, headers, how they are verified.
type Asked = Arc<Mutex<Vec<(String, String, usize, Verification)>>>;

/// Answers with the body that was sent, if it may be that long; `silent.example` never does.
#[derive(Default)]
struct Outside(Asked);

#[async_trait]
impl Egress for Outside {
    async fn send(&self, request: EgressRequest) -> Result<EgressResponse, EgressError> {
        let EgressRequest { origin, path, headers, tls, body, body_bytes_max, .. } = request;
        self.0.lock().push((origin.to_string(), path, headers.len(), tls.verification));
        if origin.host == "silent.example" {
            std::future::pending::<()>().await;
        }
        if body.expose().len() > body_bytes_max {
            return Err(EgressError::Other("its answer is over its bound".to_owned()));
        }
        Ok(EgressResponse { status: 200, headers: Vec::new(), body, peer_certificates: Vec::new() })
    }
}

struct Still;

impl Clock for Still {
    fn now_ms(&self) -> u64 {
        1_700_000_000_000
    }

    fn steady_ms(&self) -> u64 {
        0
    }
}

impl Entropy for Still {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(7);
    }
}

static LOGGED: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn log(_level: LogLevel, message: &str, _fields: &[(String, String)]) {
    LOGGED.lock().push(message.to_owned());
}

fn parts(config: &str, asked: &Asked) -> SealParts {
    let grants = Grants::parse(&["http https://a.example", "http https://silent.example"]).unwrap();
    SealParts {
        kind: SealKind::Transit,
        shown: "a probe".to_owned(),
        config: Hidden::new(config.as_bytes().to_vec()),
        grants,
        egress: Arc::new(Outside(Arc::clone(asked))),
        clock: Arc::new(Still),
        entropy: Arc::new(Still),
        log,
    }
}

fn container() -> &'static [u8] {
    static CONTAINER: OnceLock<Vec<u8>> = OnceLock::new();
    CONTAINER.get_or_init(|| sandbox().precompile(&guests::component(&guests::module("seal-probe"))).unwrap())
}

fn seal(config: &str) -> Arc<dyn SealKey> {
    sandbox().load_trusted_seal(container(), parts(config, &Asked::default())).unwrap()
}

/// What the seal says of a request it made, as a line in the log.
async fn said(config: &str) -> (String, Vec<(String, String, usize, Verification)>) {
    let asked = Asked::default();
    let seal = sandbox().load_trusted_seal(container(), SealParts { log: note, ..parts(config, &asked) }).unwrap();
    NOTED.with(|noted| noted.borrow_mut().clear());
    seal.key_id().await.unwrap();
    let text = NOTED.with(|noted| noted.borrow().clone());
    let asked = asked.lock().clone();
    (text, asked)
}

thread_local! {
    static NOTED: std::cell::RefCell<String> = const { std::cell::RefCell::new(String::new()) };
}

fn note(_level: LogLevel, message: &str, _fields: &[(String, String)]) {
    NOTED.with(|noted| message.clone_into(&mut noted.borrow_mut()));
}

async fn refused(config: &str) -> SealError {
    seal(config).key_id().await.expect_err("it is refused")
}

#[tokio::test]
async fn what_an_honest_seal_wraps_it_unwraps() {
    let seal = seal("honest");
    assert_eq!((seal.kind(), seal.shown().as_str()), (SealKind::Transit, "a probe"));
    assert_eq!(seal.key_id().await, Ok("probe-1".to_owned()));
    let sealed = seal.wrap(&Hidden::new(b"secret".to_vec()), b"label").await.unwrap();
    assert_eq!((sealed.key_id.as_str(), sealed.ciphertext.as_slice()), ("probe-1", &b"terces"[..]));
    assert_eq!(sealed.extra, [("label".to_owned(), b"label".to_vec())]);
    assert_eq!(seal.unwrap(&sealed, b"label").await.ok().unwrap().expose(), b"secret");
    let other = seal.unwrap(&sealed, b"other").await.err();
    assert_eq!(other, Some(SealError::Refused("another label".to_owned())));
}

#[tokio::test]
async fn it_has_time_and_randomness_and_no_cluster() {
    assert_eq!(said("means").await.0, "1700000000000 4 0");
}

#[tokio::test]
async fn it_may_ask_whom_it_is_granted() {
    let (text, asked) = said("ask https://a.example/x?y=1").await;
    assert_eq!(text, "200 asked");
    let whom = ("https://a.example:443".to_owned(), "/x?y=1".to_owned(), 0, Verification::Full);
    assert_eq!(asked, [whom]);
}

#[tokio::test]
async fn it_may_ask_nobody_else_and_is_told_what_is_missing() {
    for (config, told) in [
        ("ask https://b.example/", "Error::Denied(\"http https://b.example:443\")"),
        ("ask http://a.example/", "Error::Denied(\"http http://a.example:80\")"),
        ("ask https://a.example:8443/", "Error::Denied(\"http https://a.example:8443\")"),
        ("ask https://a.example@b.example/", "Error::Other("),
        ("ask file:///etc/passwd", "Error::Other("),
        ("header Host", "Error::Other("),
        ("insecure https://a.example/", "Error::Denied(\"insecure-tls\")"),
        ("alpn https://a.example/", "Error::Tls("),
    ] {
        let (text, asked) = said(config).await;
        assert!(text.starts_with(told), "{config}: {text}");
        assert!(asked.is_empty(), "{config}");
    }
}

#[tokio::test]
async fn an_answer_over_its_bound_is_an_error_to_it() {
    assert_eq!(said("ask-little https://a.example/").await.0, "200 asked");
    let (text, _) = said("name https://a.example/").await;
    assert_eq!(text, "200 asked");
}

#[tokio::test]
async fn a_storm_of_requests_ends_with_its_budget() {
    let asked = Asked::default();
    let seal = sandbox().load_trusted_seal(container(), parts("ask-storm https://a.example/", &asked)).unwrap();
    let ended = seal.key_id().await.err();
    assert_eq!(ended, Some(SealError::Refused("the seal's plugin used more http requests than a call may".to_owned())));
    assert_eq!(asked.lock().len(), 32);
}

#[tokio::test]
async fn a_server_that_never_answers_ends_with_the_call() {
    let mut limits = SandboxLimits::default();
    limits.call.wall_ms = 200;
    let other = Sandbox::new(limits).unwrap();
    let silent = parts("ask https://silent.example/", &Asked::default());
    let seal = other.load_trusted_seal(container(), silent).unwrap();
    let began = Instant::now();
    assert!(matches!(seal.key_id().await, Err(SealError::Unavailable(_))));
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn bad_seals_cost_their_own_call() {
    let began = Instant::now();
    assert!(matches!(refused("loop").await, SealError::Unavailable(_)));
    assert!(began.elapsed() < Duration::from_secs(4));
    for (config, told) in [
        ("trap", "the seal's plugin trapped: "),
        ("panic", "the seal's plugin trapped: "),
        ("settings", "the seal's plugin trapped: "),
        ("key x", "the seal plugin's answer was refused: a key's name"),
        ("key", "the seal plugin's answer was refused: a key's name"),
        ("odd-key", "the seal plugin's answer was refused: a key's name"),
    ] {
        let SealError::Refused(text) = refused(config).await else { panic!("{config}: it may not help to try again") };
        assert!(text.starts_with(told) && !text.contains("secret"), "{config}: {text}");
    }
    assert_eq!(seal("honest").key_id().await, Ok("probe-1".to_owned()));
}

#[tokio::test]
async fn what_a_seal_hands_over_has_its_bounds() {
    let secret = Hidden::new(b"secret".to_vec());
    for config in ["empty", "large", "extras", "large-extra"] {
        let sealed = seal(config).wrap(&secret, b"label").await;
        assert!(matches!(sealed, Err(SealError::Refused(_))), "{config}");
    }
    let sealed = SealedSecret { key_id: String::new(), ciphertext: Vec::new(), extra: Vec::new() };
    assert!(matches!(seal("large").unwrap(&sealed, b"").await, Err(SealError::Refused(_))));
}

#[tokio::test]
async fn an_error_says_whether_trying_again_may_help() {
    for kind in ["permission", "precondition", "internal", "not-found", "unsupported", "invalid"] {
        assert!(matches!(refused(kind).await, SealError::Refused(_)), "{kind}");
    }
    for kind in ["rate", "upstream", "unavailable"] {
        assert_eq!(refused(kind).await, SealError::Unavailable("later".to_owned()), "{kind}");
    }
    assert_eq!(refused("sick").await, SealError::Unavailable("the key is away".to_owned()));
}

#[tokio::test]
async fn what_it_tells_the_operator_does_nothing_to_a_terminal() {
    assert_eq!(seal("log").key_id().await, Ok("probe-1".to_owned()));
    let logged = LOGGED.lock();
    assert!(logged.iter().any(|line| line == "a line"));
    assert!(logged.iter().any(|line| line == "first\\n\\u{1b}[31msecond"), "{logged:?}");
}

#[test]
fn a_seal_is_not_mounted_and_a_mounted_plugin_seals_nothing() {
    let said = sandbox().load_trusted(container()).err().expect("it is a seal").to_string();
    assert!(said.starts_with("not a plugin: it is a seal"), "{said}");
    let engine = sandbox().precompile(probe()).unwrap();
    let said = sandbox().load_trusted_seal(&engine, parts("honest", &Asked::default())).err().expect("it is none");
    assert_eq!(said.to_string(), "not a plugin: it is no seal");
}
