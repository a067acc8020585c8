//! Who guesses is locked out: exactly, whoever leads, within bounds, and without being told who
//! there is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bulkhead_model::failure::FailureKind;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::plugin::{
    Alias, AuthGrant, Descriptor, Existence, GuestError, GuestRequest, GuestResponse, Operation, PluginKind, TokenType,
};
use bulkhead_model::request::Verb;
use bulkhead_model::seam::plugin::{Call, CallFailure, CallHost, Finished, Plugin, Returned};
use futures::future::join_all;
use serde_json::{Value, json};

use super::kit::{Kit, ROOT};
use super::plugin::route;
use crate::book::identity::parse_id;
use crate::book::mfa::secrets;
use crate::book::space;

/// An auth method whose checks are counted. The right phrase of everybody is `right`; one that
/// begins with `slow` takes longer, `slow right` is right as well, and `odd` is no phrase.
pub(super) struct Phrases {
    about: Descriptor,
    pub(super) checks: AtomicUsize,
}

impl Phrases {
    fn new() -> Arc<Self> {
        Self::with_existence(Existence::None)
    }

    fn with_existence(existence: Existence) -> Arc<Self> {
        let mut login = route("login/{name}");
        login.unauthenticated = true;
        login.existence = existence;
        let mut lookahead = login.operations[0].clone();
        lookahead.operation = Operation::AliasLookahead;
        login.operations.push(lookahead);
        let about = Descriptor {
            name: "phrases".into(),
            version: "1.0.0".into(),
            summary: String::new(),
            help: String::new(),
            data_version: 1,
            oldest_readable_data: 1,
            routes: vec![login],
            seal_wrapped: Vec::new(),
            local: Vec::new(),
            lease_kinds: Vec::new(),
            jobs: Vec::new(),
        };
        Arc::new(Self { about, checks: AtomicUsize::new(0) })
    }

    async fn log_in(&self, asked: &GuestRequest) -> Result<Returned, GuestError> {
        let data: Value = serde_json::from_slice(asked.data.expose()).expect("data is JSON");
        let phrase = data["phrase"].as_str().unwrap_or_default();
        self.checks.fetch_add(1, Ordering::SeqCst);
        let turns = if phrase.starts_with("slow") { 50 } else { 1 };
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
        match phrase {
            "right" | "slow right" => Ok(granted(asked)),
            "odd" => Err(GuestError::InvalidRequest("missing phrase".into())),
            _ => Ok(refused()),
        }
    }
}

/// A name is taken as it is written. `batch` gets tokens that are not stored.
fn granted(asked: &GuestRequest) -> Returned {
    let name = asked.captures[0].1.clone();
    let token_type = if name == "batch" { TokenType::Batch } else { TokenType::Service };
    let grant = AuthGrant {
        alias: Some(Alias { name: name.clone(), metadata: Vec::new() }),
        group_aliases: Vec::new(),
        display_name: name,
        policies: Vec::new(),
        no_default_policy: false,
        metadata: Vec::new(),
        ttl: Some(3600),
        max_ttl: None,
        explicit_max_ttl: None,
        period: None,
        num_uses: 0,
        token_type,
        bound_cidrs: Vec::new(),
        renewable: true,
        internal: Hidden::new(b"{}".to_vec()),
    };
    Returned::Login { response: GuestResponse::default(), auth: Some(Box::new(grant)) }
}

fn refused() -> Returned {
    let response = GuestResponse {
        status: Some(400),
        errors: vec!["wrong phrase".into()],
        extra: vec![("wrong-credentials".into(), Hidden::new(b"true".to_vec()))],
        ..GuestResponse::default()
    };
    Returned::Login { response, auth: None }
}

#[async_trait]
impl Plugin for Phrases {
    fn descriptor(&self) -> &Descriptor {
        &self.about
    }

    fn kind(&self) -> PluginKind {
        PluginKind::Auth
    }

    fn sha256(&self) -> &str {
        ""
    }

    fn imports(&self) -> &[String] {
        &[]
    }

    async fn call(&self, host: Box<dyn CallHost>, call: Call) -> Result<Finished, CallFailure> {
        let result = match call {
            Call::Handle(asked) if asked.operation == Operation::AliasLookahead => Ok(granted(&asked)),
            Call::Handle(asked) => self.log_in(&asked).await,
            Call::Initialize(_) => Ok(Returned::Done),
            _ => Err(GuestError::UnsupportedOperation),
        };
        Ok(Finished { host, result })
    }
}

/// What a login came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Login {
    Token,
    Wrong,
    Locked,
}
use Login::{Locked, Token, Wrong};

async fn log_in(kit: &Kit, name: &str, phrase: &str) -> Login {
    let answer = kit.ask(Verb::Write, &format!("auth/p/login/{name}"), "", json!({ "phrase": phrase })).await;
    match answer.failed {
        None => Token,
        Some(failure) if failure.kind == FailureKind::Denied => {
            assert_eq!(failure.errors, ["permission denied"]);
            Locked
        }
        Some(failure) => {
            assert_eq!(failure.kind, FailureKind::Invalid);
            Wrong
        }
    }
}

async fn wrong(kit: &Kit, name: &str, times: usize) -> Vec<Login> {
    let mut answers = Vec::new();
    for _ in 0..times {
        answers.push(log_in(kit, name, "guess").await);
    }
    answers
}

pub(super) async fn ready() -> (Kit, Arc<Phrases>) {
    ready_with(Phrases::new()).await
}

async fn ready_with(method: Arc<Phrases>) -> (Kit, Arc<Phrases>) {
    let kit = Kit::with_other(method.clone()).await;
    let made = kit.ask(Verb::Write, "sys/auth/p", ROOT, json!({ "type": "phrases" })).await;
    assert_eq!(made.failed, None);
    (kit, method)
}

async fn tune(kit: &Kit, lockout: Value) {
    let body = json!({ "user_lockout_config": lockout });
    assert_eq!(kit.ask(Verb::Write, "sys/auth/p/tune", ROOT, body).await.failed, None);
}

pub(super) async fn locked(kit: &Kit) -> Vec<Value> {
    let answer = kit.ask(Verb::Read, "sys/locked-users", ROOT, Value::Null).await;
    let methods = answer.data()["by_namespace"][0]["mount_accessors"].clone();
    let aliases = methods.as_array().expect("a list").iter().flat_map(|method| method["alias_identifiers"].as_array());
    aliases.flatten().cloned().collect()
}

#[tokio::test]
async fn after_five_wrong_logins_nothing_is_looked_at_any_more_until_the_lock_is_over() {
    let (kit, method) = ready().await;
    assert_eq!(wrong(&kit, "ann", 7).await, [Wrong, Wrong, Wrong, Wrong, Wrong, Locked, Locked]);
    assert_eq!(log_in(&kit, "ann", "right").await, Locked);
    assert_eq!(method.checks.load(Ordering::SeqCst), 5, "a phrase is costly to check");
    assert_eq!(log_in(&kit, "bob", "right").await, Token, "another's lock is none of his");
    assert_eq!(locked(&kit).await, ["ann"]);
    kit.clock.advance_secs(899);
    assert_eq!(log_in(&kit, "ann", "right").await, Locked, "trying on does not count");
    kit.clock.advance_secs(1);
    assert!(locked(&kit).await.is_empty());
    assert_eq!(log_in(&kit, "ann", "right").await, Token);
    assert_eq!(kit.count(space::LOCKED_ALIASES), 0);
}

/// A method may say of its logins whether what they name is there.
#[tokio::test]
async fn a_login_that_counts_as_creating_something_is_a_login() {
    let (kit, method) = ready_with(Phrases::with_existence(Existence::Key("seen/{name}".into()))).await;
    assert_eq!(wrong(&kit, "ann", 6).await, [Wrong, Wrong, Wrong, Wrong, Wrong, Locked]);
    assert_eq!(method.checks.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn what_is_no_guess_does_not_count_and_a_token_begins_anew() {
    let (kit, _) = ready().await;
    for _ in 0..9 {
        assert_eq!(log_in(&kit, "ann", "odd").await, Wrong);
    }
    for _ in 0..3 {
        wrong(&kit, "ann", 4).await;
        assert_eq!(log_in(&kit, "ann", "right").await, Token);
    }
    wrong(&kit, "ann", 4).await;
    kit.clock.advance_secs(900);
    wrong(&kit, "ann", 4).await;
    assert_eq!(log_in(&kit, "ann", "right").await, Token, "the first four were forgotten");
}

// CVE-2025-6004, CVE-2025-54998: each spelling had attempts of its own.
// no spelling of a name brings new attempts.
#[tokio::test]
async fn spellings_of_a_name_share_their_attempts_even_if_the_plugin_tells_them_apart() {
    let (kit, _) = ready().await;
    for name in ["ann", "Ann", "ANN", "aNN", "anN"] {
        assert_eq!(log_in(&kit, name, "guess").await, Wrong);
    }
    for name in ["ann", "aNn"] {
        assert_eq!(log_in(&kit, name, "right").await, Locked);
    }
}

// nor does a sign of another script that is the same letter once case does not count.
#[tokio::test]
async fn r24_a_letter_of_another_script_that_is_lowered_to_the_same_brings_no_attempts() {
    let (kit, _) = ready().await;
    // The sign for Kelvin, and the letter that it is.
    let names = ["kim", "Kim", "\u{212a}im", "KIM", "\u{212a}IM"];
    for name in names {
        assert_eq!(log_in(&kit, name, "guess").await, Wrong, "{name:?}");
    }
    for name in names {
        assert_eq!(log_in(&kit, name, "right").await, Locked, "{name:?}");
    }
    assert_eq!(locked(&kit).await.len(), 1);
}

#[tokio::test]
async fn of_many_guesses_at_once_no_more_are_answered_than_one_after_the_other() {
    let (kit, _) = ready().await;
    for name in ["ann", "batch"] {
        assert_eq!(log_in(&kit, name, "right").await, Token);
        let guesses = (0..30).map(|n| log_in(&kit, name, if n == 17 { "slow right" } else { "guess" }));
        let answers = join_all(guesses).await;
        let of = |what| answers.iter().filter(|answer| **answer == what).count();
        assert_eq!((of(Wrong), of(Locked), of(Token)), (5, 25, 0), "{name}: the right one came when it was over");
    }
    assert_eq!(kit.count(space::LOCKED_ALIASES), 2);
}

#[tokio::test]
async fn a_lock_holds_whoever_leads() {
    let (kit, method) = ready().await;
    wrong(&kit, "ann", 5).await;
    wrong(&kit, "bob", 4).await;
    let kit = kit.restarted(true).await;
    assert_eq!(log_in(&kit, "ann", "right").await, Locked);
    assert_eq!(locked(&kit).await, ["ann"]);
    assert_eq!(log_in(&kit, "bob", "guess").await, Wrong);
    assert_eq!(log_in(&kit, "bob", "right").await, Token, "what did not lock yet was the other node's to know");
    assert_eq!(method.checks.load(Ordering::SeqCst), 11);
}

#[tokio::test]
async fn who_comes_to_lead_again_does_not_go_by_what_it_counted_before() {
    let (kit, _) = ready().await;
    wrong(&kit, "ann", 4).await;
    kit.is_in_term(2);
    assert_eq!(wrong(&kit, "ann", 6).await, [Wrong, Wrong, Wrong, Wrong, Wrong, Locked]);
}

#[tokio::test]
async fn where_wrong_logins_are_remembered_for_longer_than_a_lock_the_next_one_locks_again() {
    let (kit, _) = ready().await;
    tune(&kit, json!({ "lockout_duration": "60s", "lockout_counter_reset_duration": "1h" })).await;
    wrong(&kit, "ann", 5).await;
    kit.clock.advance_secs(60);
    assert_eq!(wrong(&kit, "ann", 2).await, [Wrong, Locked]);
    let kit = kit.restarted(true).await;
    kit.clock.advance_secs(60);
    assert_eq!(wrong(&kit, "ann", 2).await, [Wrong, Locked], "another node does as the one before");
    kit.clock.advance_secs(3600);
    assert_eq!(wrong(&kit, "ann", 2).await, [Wrong, Wrong]);
}

#[tokio::test]
async fn an_operator_unlocks_what_was_stored_and_what_was_counted() {
    let (kit, _) = ready().await;
    wrong(&kit, "ann", 5).await;
    let told = kit.ask(Verb::Read, "sys/locked-users", ROOT, Value::Null).await.data();
    let accessor = told["by_namespace"][0]["mount_accessors"][0]["mount_accessor"].as_str().expect("one is locked");
    let path = format!("sys/locked-users/{accessor}/unlock/ANN");
    assert_eq!(kit.ask(Verb::Write, &path, ROOT, json!({})).await.failed, None);
    assert!(locked(&kit).await.is_empty());
    assert_eq!(wrong(&kit, "ann", 6).await, [Wrong, Wrong, Wrong, Wrong, Wrong, Locked]);
}

#[tokio::test]
async fn a_mount_says_how_many_how_long_and_whether_at_all() {
    let (kit, _) = ready().await;
    tune(&kit, json!({ "lockout_threshold": "2", "lockout_duration": "10s" })).await;
    assert_eq!(wrong(&kit, "ann", 3).await, [Wrong, Wrong, Locked]);
    tune(&kit, json!({ "lockout_disable": true })).await;
    assert_eq!(log_in(&kit, "ann", "right").await, Token);
    assert_eq!(wrong(&kit, "bob", 9).await, [Wrong; 9]);
    tune(&kit, json!({ "lockout_disable": false })).await;
    kit.clock.advance_secs(10);
    assert_eq!(wrong(&kit, "bob", 3).await, [Wrong, Wrong, Locked]);
    let answer = kit.ask(Verb::Write, "sys/auth/token/tune", ROOT, json!({ "user_lockout_config": { "x": 1 } })).await;
    let text = "tuning of user lockout configuration for auth type \"token\" not allowed";
    assert_eq!(answer.failed.expect("it is refused").errors, [text]);
}

#[tokio::test]
async fn locks_that_are_over_do_not_stay() {
    let (kit, _) = ready().await;
    for n in 0..20 {
        wrong(&kit, &format!("nobody-{n}"), 5).await;
    }
    assert_eq!(kit.count(space::LOCKED_ALIASES), 20);
    kit.clock.advance_secs(800);
    tune(&kit, json!({ "lockout_duration": "2000s" })).await;
    kit.clock.advance_secs(100);
    kit.settle().await;
    assert_eq!(kit.count(space::LOCKED_ALIASES), 20, "they were made longer meanwhile");
    assert_eq!(log_in(&kit, "nobody-7", "right").await, Locked);
    kit.clock.advance_secs(1_100);
    kit.settle().await;
    assert_eq!(kit.count(space::LOCKED_ALIASES), 0);
    assert_eq!(kit.count(space::DUE), 0);
}

#[tokio::test]
async fn a_name_too_long_to_be_stored_is_locked_all_the_same() {
    let (kit, _) = ready().await;
    let (name, other) = ("n".repeat(513), "o".repeat(513));
    assert_eq!(wrong(&kit, &name, 6).await, [Wrong, Wrong, Wrong, Wrong, Wrong, Locked]);
    let guesses = (0..20).map(|n| log_in(&kit, &other, if n == 9 { "slow right" } else { "guess" }));
    let answers = join_all(guesses).await;
    assert_eq!(answers.iter().filter(|answer| **answer == Wrong).count(), 5);
    assert!(!answers.contains(&Token), "nor does one that came at the same time get in");
    assert_eq!(log_in(&kit, &name, "right").await, Locked);
    assert_eq!(kit.count(space::LOCKED_ALIASES), 0);
    kit.clock.advance_secs(900);
    assert_eq!(log_in(&kit, &name, "right").await, Token);
}

/// The method of MFA that all logins need from now on.
async fn demand_a_factor(kit: &Kit) -> String {
    let ask = |path: &'static str, body: Value| async move {
        let answer = kit.ask(Verb::Write, path, ROOT, body).await;
        assert_eq!(answer.failed, None, "{path}");
        answer.data()
    };
    let made = ask("identity/mfa/method/totp", json!({ "issuer": "Bulkhead", "method_name": "phone" })).await;
    let method = made["method_id"].as_str().expect("an id").to_owned();
    let demanded = json!({ "mfa_method_ids": [method], "auth_method_types": ["phrases"] });
    ask("identity/mfa/login-enforcement/all", demanded).await;
    method
}

#[tokio::test]
async fn a_login_that_waits_for_its_second_factor_forgives_no_guess() {
    let (kit, _) = ready().await;
    demand_a_factor(&kit).await;
    assert_eq!(wrong(&kit, "ann", 4).await, [Wrong; 4]);
    assert_eq!(log_in(&kit, "ann", "right").await, Token, "it waits, and has none yet");
    assert_eq!(wrong(&kit, "ann", 1).await, [Wrong]);
    assert_eq!(log_in(&kit, "ann", "right").await, Locked);
}

#[tokio::test]
async fn a_login_that_has_proven_its_second_factor_begins_anew() {
    let (kit, _) = ready().await;
    let method = demand_a_factor(&kit).await;
    assert_eq!(wrong(&kit, "ann", 4).await, [Wrong; 4]);
    let asked = kit.ask(Verb::Write, "auth/p/login/ann", "", json!({ "phrase": "right" })).await;
    let waits = asked.envelope.mfa.expect("it waits").mfa_request_id;
    let mounts = kit.ask(Verb::Read, "sys/auth", ROOT, Value::Null).await.data();
    let known = json!({ "alias_name": "ann", "alias_mount_accessor": mounts["p/"]["accessor"] });
    let entity = kit.ask(Verb::Write, "identity/lookup/entity", ROOT, known).await.data()["id"].clone();
    let body = json!({ "method_id": method, "entity_id": entity });
    let made = kit.ask(Verb::Write, "identity/mfa/method/totp/admin-generate", ROOT, body).await;
    assert_eq!(made.failed, None);
    let body = json!({ "mfa_request_id": waits, "mfa_payload": { &method: [code(&kit, &method, &entity)] } });
    kit.ask(Verb::Write, "sys/mfa/validate", "", body).await.token();
    assert_eq!(wrong(&kit, "ann", 4).await, [Wrong; 4], "the guesses before it are forgotten");
    assert_eq!(log_in(&kit, "ann", "right").await, Token);
}

/// What an entity's app shows now.
fn code(kit: &Kit, method: &str, entity: &Value) -> String {
    let open = kit.open();
    let ids = [method, entity.as_str().expect("an id")].map(|id| parse_id(id).expect("an id"));
    let mut tx = open.begin().expect("memory has views");
    let found = secrets::get(&mut tx, &ids[0], &ids[1]).expect("it can be read").expect("it has a secret");
    let step = found.scheme.step_at(open.parts.clock.now_ms());
    found.scheme.code(found.secret.duplicate().expose(), step).expose().clone()
}
