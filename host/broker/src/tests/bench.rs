//! A node with everything outside it replaced: memory for a ledger, a clock that stands
//! still, and plugins that answer as a test says.

use std::sync::Arc;

use async_trait::async_trait;
use bulkhead_model::fake::clock::FakeClock;
use bulkhead_model::fake::entropy::FakeEntropy;
use bulkhead_model::fake::ledger::FakeLedger;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::plugin::{AuthGrant, Descriptor, GuestResponse, LeaseGrant, PluginKind, Renewal, Route, TokenType};
use bulkhead_model::reply::{Reply, hidden_json};
use bulkhead_model::request::Verb;
use bulkhead_model::seam::plugin::{Call, CallFailure, CallHost, Finished, Plugin, Returned};
use parking_lot::Mutex;
use serde_json::{Value, json};

pub(super) use super::kit::ROOT;
use super::kit::{NoSinks, request};
use super::plugin::route;
use crate::node::{Facts, InitOptions, Node, Parts, Seals};
use crate::open::Open;

/// An unsealed node.
pub(super) struct Bench {
    pub(super) node: Arc<Node>,
    pub(super) clock: Arc<FakeClock>,
    /// What the auth method says at logins and renewals from now on.
    pub(super) grant: Arc<Mutex<Grant>>,
}

/// What the auth method says of whoever logs in.
#[derive(Clone, Default)]
pub(super) struct Grant {
    pub(super) metadata: Vec<(String, String)>,
    pub(super) groups: Vec<&'static str>,
    pub(super) batch: bool,
    /// Whose login it is, is not said.
    pub(super) nobody: bool,
    pub(super) num_uses: u32,
    pub(super) networks: Vec<&'static str>,
}

/// What came back: status, and the JSON the caller would see.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) data: Value,
    pub(super) auth: Value,
    pub(super) lease: String,
    pub(super) lease_secs: u64,
    pub(super) errors: Vec<String>,
}

impl Answer {
    /// The token in it.
    pub(super) fn token(&self) -> String {
        self.auth["client_token"].as_str().unwrap_or_else(|| panic!("a token, not {:?}", self.errors)).to_owned()
    }

    /// The entity behind that token.
    pub(super) fn entity(&self) -> String {
        self.auth["entity_id"].as_str().expect("an entity").to_owned()
    }
}

impl Bench {
    pub(super) async fn new() -> Self {
        let (clock, grant) = (Arc::new(FakeClock::at_ms(1_800_000_000_000)), Arc::<Mutex<Grant>>::default());
        let plugins: Vec<Arc<dyn Plugin>> = vec![
            auth_method(&grant),
            Arc::new(Scripted::new(PluginKind::Secrets, &["lease", "expand/{entity}"], grant.clone())),
        ];
        let node = Node::new(Parts {
            ledger: Arc::new(FakeLedger::new()),
            clock: clock.clone(),
            entropy: Arc::new(FakeEntropy::seeded(7)),
            plugins: plugins.into(),
            compiler: Arc::<super::plugin::FakeCompiler>::default(),
            audit_sinks: Arc::new(NoSinks),
            audits: Vec::new(),
            shelf: None,
            peers: None,
            seals: Seals::default(),
            metrics: crate::node::MetricsParts::default(),
            facts: Facts::default(),
        });
        let root_token = Some(Hidden::new(ROOT.to_owned()));
        let made = node.initialise(InitOptions { shares: 1, threshold: 1, root_token }).await.expect("a new node");
        for share in made.shares {
            node.unseal(share).await.expect("the right share");
        }
        let bench = Self { node, clock, grant };
        assert_eq!(bench.write("sys/auth/fake", ROOT, json!({"type": "fake"})).await.status, 204);
        assert_eq!(bench.write("sys/mounts/fake", ROOT, json!({"type": "fake"})).await.status, 204);
        bench
    }

    /// The open node, for what no request could do.
    pub(super) fn open(&self) -> Arc<Open> {
        self.node.open().expect("an unsealed node")
    }

    pub(super) async fn write(&self, path: &str, token: &str, body: Value) -> Answer {
        self.ask(Verb::Write, path, token, &body).await
    }

    pub(super) async fn read(&self, path: &str, token: &str) -> Answer {
        self.ask(Verb::Read, path, token, &Value::Null).await
    }

    pub(super) async fn list(&self, path: &str, token: &str) -> Answer {
        self.ask(Verb::List, path, token, &Value::Null).await
    }

    pub(super) async fn delete(&self, path: &str, token: &str) -> Answer {
        self.ask(Verb::Delete, path, token, &Value::Null).await
    }

    pub(super) async fn login(&self, name: &str) -> Answer {
        self.write(&format!("auth/fake/login/{name}"), "", json!({})).await
    }

    /// Accessor of the auth method.
    pub(super) async fn accessor(&self) -> String {
        let mounts = self.read("sys/auth", ROOT).await.data;
        mounts["fake/"]["accessor"].as_str().expect("the method is mounted").to_owned()
    }

    async fn ask(&self, verb: Verb, path: &str, token: &str, body: &Value) -> Answer {
        answer(self.node.handle(request(verb, path, token, body)).await.into_reply())
    }
}

fn answer(reply: Reply) -> Answer {
    let (data, auth, lease, errors) = (Value::Null, Value::Null, String::new(), Vec::new());
    let empty = Answer { status: 204, data, auth, lease, lease_secs: 0, errors };
    match reply {
        Reply::Envelope(envelope) => Answer {
            status: envelope.status.unwrap_or(200),
            data: envelope.data.as_ref().map_or(Value::Null, |d| serde_json::from_slice(d.expose()).expect("JSON")),
            auth: envelope.auth.as_ref().map_or(Value::Null, |auth| {
                json!({
                    "client_token": auth.client_token.expose(), "accessor": auth.accessor, "policies": auth.policies,
                    "identity_policies": auth.identity_policies, "entity_id": auth.entity_id,
                    "token_type": auth.token_type, "lease_duration": auth.lease_duration_secs,
                })
            }),
            lease: envelope.lease.as_ref().map(|lease| lease.id.clone()).unwrap_or_default(),
            lease_secs: envelope.lease.as_ref().map_or(0, |lease| lease.duration_secs),
            errors: envelope.errors.clone(),
        },
        Reply::Failed(failure) => Answer {
            status: match failure.kind {
                bulkhead_model::failure::FailureKind::Denied => 403,
                bulkhead_model::failure::FailureKind::NotFound => 404,
                bulkhead_model::failure::FailureKind::Invalid => 400,
                _ => 500,
            },
            errors: failure.errors,
            ..empty
        },
        Reply::Raw { status, bytes, .. } => {
            Answer { status, data: serde_json::from_slice(bytes.expose()).unwrap_or_default(), ..empty }
        }
        _ => empty,
    }
}

/// An auth method `fake` that grants to whoever logs in what it is told.
pub(super) fn auth_method(grant: &Arc<Mutex<Grant>>) -> Arc<dyn Plugin> {
    Arc::new(Scripted::new(PluginKind::Auth, &["login/{name}"], grant.clone()))
}

/// A plugin that answers as the bench says.
struct Scripted {
    kind: PluginKind,
    about: Descriptor,
    grant: Arc<Mutex<Grant>>,
}

impl Scripted {
    fn new(kind: PluginKind, patterns: &[&str], grant: Arc<Mutex<Grant>>) -> Self {
        let about = Descriptor {
            name: "fake".into(),
            version: "1".into(),
            summary: String::new(),
            help: String::new(),
            data_version: 1,
            oldest_readable_data: 1,
            routes: patterns
                .iter()
                .map(|pattern| {
                    let login = kind == PluginKind::Auth;
                    let folded_captures = if login { vec!["name".to_owned()] } else { Vec::new() };
                    Route { unauthenticated: login, folded_captures, ..route(pattern) }
                })
                .collect(),
            seal_wrapped: Vec::new(),
            local: Vec::new(),
            lease_kinds: vec!["code".into()],
            jobs: Vec::new(),
        };
        Self { kind, about, grant }
    }

    fn login(&self, name: &str) -> AuthGrant {
        let said = self.grant.lock().clone();
        let alias = |name: &str, metadata| bulkhead_model::plugin::Alias { name: name.to_owned(), metadata };
        AuthGrant {
            alias: (!said.nobody).then(|| alias(name, said.metadata)),
            group_aliases: said.groups.iter().map(|group| alias(group, Vec::new())).collect(),
            display_name: name.to_owned(),
            policies: Vec::new(),
            no_default_policy: false,
            metadata: Vec::new(),
            ttl: Some(600),
            max_ttl: None,
            explicit_max_ttl: None,
            period: None,
            num_uses: said.num_uses,
            token_type: if said.batch { TokenType::Batch } else { TokenType::Default },
            bound_cidrs: said.networks.iter().map(|network| (*network).to_owned()).collect(),
            renewable: true,
            internal: hidden_json(&json!(name)),
        }
    }
}

#[async_trait]
impl Plugin for Scripted {
    fn descriptor(&self) -> &Descriptor {
        &self.about
    }

    fn kind(&self) -> PluginKind {
        self.kind
    }

    fn sha256(&self) -> &str {
        ""
    }

    fn imports(&self) -> &[String] {
        &[]
    }

    async fn call(&self, mut host: Box<dyn CallHost>, call: Call) -> Result<Finished, CallFailure> {
        let shown = |value: Value| GuestResponse { data: Some(hidden_json(&value)), ..GuestResponse::default() };
        let returned = match call {
            Call::Handle(asked) if self.kind == PluginKind::Auth => {
                let auth = Some(Box::new(self.login(&asked.captures[0].1)));
                Returned::Login { response: GuestResponse::default(), auth }
            }
            Call::Handle(asked) if asked.path == "lease" => {
                let internal = hidden_json(&json!({}));
                let lease =
                    LeaseGrant { kind: "code".into(), ttl: Some(3600), max_ttl: None, renewable: true, internal };
                let told = json!({ "fingerprint": asked.caller.token_fingerprint });
                Returned::Secret { response: shown(told), lease: Some(lease) }
            }
            Call::Handle(asked) => {
                let id = &asked.captures[0].1;
                let groups = host.entity(id).map(|entity| entity.subject.groups.len());
                let told = host.expand("{{identity.entity.metadata.team}}", id);
                Returned::Secret { response: shown(json!({ "groups": groups, "team": told.ok() })), lease: None }
            }
            Call::RenewAuth { auth, .. } => {
                let name: String = serde_json::from_slice(auth.grant.internal.expose()).expect("its own text");
                assert_eq!(auth.grant.alias.as_ref().map(|alias| alias.name.clone()), Some(name.clone()));
                Returned::RenewedAuth(Box::new(self.login(&name)))
            }
            Call::RenewLease { .. } => {
                let (internal, data, warnings) = (None, None, Vec::new());
                Returned::Renewed(Renewal { ttl: None, max_ttl: None, internal, data, warnings })
            }
            _ => Returned::Done,
        };
        Ok(Finished { host, result: Ok(returned) })
    }
}
