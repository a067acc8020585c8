//! A plugin that does what the test says, and remembers what it was called for.

use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::plugin::{
    Credential, Descriptor, DriverAction, DriverAnswer, DriverCall, Existence, GuestError, GuestRequest, GuestResponse,
    JobDoc, JobOutcome, LeaseGrant, Operation, OperationDoc, PluginKind, Reason, Route, UpgradeStep, UserSpec,
};
use bulkhead_model::seam::plugin::{Call, CallFailure, CallHost, Compiler, Finished, Plugin, Returned};
use parking_lot::Mutex;

/// What a mount of the plugin does when the host wants something ended or done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Manner {
    #[default]
    Works,
    /// Says no.
    Refuses,
    /// Never answers.
    Hangs,
    /// A job wants to run again in this many milliseconds.
    Again(u64),
}

/// A call that the host made for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Called {
    /// Path of the mount.
    pub mount: String,
    /// `revoke`, `job` or `rollback`.
    pub what: &'static str,
    /// The lease's id, the job's key, the intent's kind.
    pub about: String,
}

/// The plugin `leaser`. Its routes: `creds/<name>`, in any case, grants a lease, `job/<name>` schedules
/// a job for now, `intend/<name>` makes an intent and traps, `linger/<name>` makes one and never answers,
/// `attempt/<name>` makes one, writes and succeeds, `keep/<name>` keeps something in the node's memory and tells whether it
/// was there already, `drive/<name>` has the driver of this name make an account. As a driver it
/// makes one that is called what its call has of a mount.
pub(crate) struct FakePlugin {
    about: Descriptor,
    sha256: String,
    kind: PluginKind,
    imports: Vec<String>,
    manners: Mutex<HashMap<String, Manner>>,
    calls: Mutex<Vec<Called>>,
    /// What it was told of its mounts' lives.
    told: Mutex<Vec<Called>>,
    /// Held by each call that never answers.
    hanging: Arc<()>,
}

impl FakePlugin {
    pub(crate) fn new() -> Self {
        let routes = ["creds", "job", "intend", "linger", "attempt", "keep", "drive"];
        let mut routes = routes.map(|what| route(&format!("{what}/{{name}}"))).to_vec();
        routes[0].folded_captures.push("name".into());
        let about = Descriptor {
            name: "leaser".into(),
            version: "1.0.0".into(),
            summary: String::new(),
            help: String::new(),
            data_version: 1,
            oldest_readable_data: 1,
            routes,
            seal_wrapped: Vec::new(),
            local: Vec::new(),
            lease_kinds: vec!["creds".into()],
            jobs: Vec::new(),
        };
        Self {
            about,
            sha256: "0".repeat(64),
            kind: PluginKind::Secrets,
            imports: Vec::new(),
            manners: Mutex::default(),
            calls: Mutex::default(),
            told: Mutex::default(),
            hanging: Arc::default(),
        }
    }

    /// The same with a job that runs every minute.
    pub(crate) fn with_job() -> Self {
        let mut plugin = Self::new();
        plugin.about.jobs.push(every_minute("tick"));
        plugin
    }

    /// Its next version: another layout of data, which it upgrades in three slices, and one
    /// more job.
    pub(crate) fn next() -> Self {
        let mut plugin = Self::with_job();
        plugin.sha256 = "1".repeat(64);
        plugin.about.data_version = 2;
        plugin.about.jobs.push(every_minute("tock"));
        plugin
    }

    /// The same as another version, of components of their own.
    pub(crate) fn versioned(self, version: &str) -> Self {
        let mut plugin = self;
        plugin.about.version = version.into();
        plugin.sha256 = format!("{version:0>64}");
        plugin
    }

    /// The same under another name.
    pub(crate) fn named(self, name: &str) -> Self {
        let mut plugin = self;
        plugin.about.name = name.into();
        plugin
    }

    /// The same that has drivers work.
    pub(crate) fn with_drivers(self) -> Self {
        Self { imports: vec!["database-drivers".into()], ..self }
    }

    /// The same as a driver.
    pub(crate) fn driver(self) -> Self {
        Self { kind: PluginKind::Database, ..self }
    }

    /// What it was told of the life of this mount so far: `initialize` and the reason,
    /// `upgrade` and from where.
    pub(crate) fn told(&self, mount: &str) -> Vec<Called> {
        self.told.lock().iter().filter(|told| told.mount == mount).cloned().collect()
    }

    fn is_told(&self, mount: String, what: &'static str, about: String) {
        self.told.lock().push(Called { mount, what, about });
    }

    fn upgrade(&self, mount: String, from: u32, cursor: Option<&str>) -> Result<Returned, GuestError> {
        if self.manners.lock().get(&mount) == Some(&Manner::Refuses) {
            return Err(GuestError::Internal("not now".into()));
        }
        self.is_told(mount, "upgrade", format!("{from} from {}", cursor.unwrap_or("the start")));
        Ok(Returned::Upgraded(match cursor {
            None => UpgradeStep::More("1".into()),
            Some("1") => UpgradeStep::More("2".into()),
            Some(_) => UpgradeStep::Done,
        }))
    }

    /// From now on the mount at this path does this, or of all mounts what concerns the lease
    /// with this id.
    pub(crate) fn behave(&self, whom: &str, manner: Manner) {
        self.manners.lock().insert(whom.into(), manner);
    }

    fn manner(&self, mount: &str, about: &str) -> Manner {
        let manners = self.manners.lock();
        manners.get(about).or_else(|| manners.get(mount)).copied().unwrap_or_default()
    }

    /// What it does of a reason to prepare itself.
    async fn prepare(&self, host: &mut dyn CallHost, reason: Reason) -> Result<Returned, GuestError> {
        let mount = host.mount().path.clone();
        let manner = self.manner(&mount, "");
        let kept = if host.cache_get("one").is_some() { " with what was kept" } else { "" };
        self.is_told(mount, "initialize", format!("{reason:?}{kept}"));
        match manner {
            Manner::Refuses => Err(GuestError::Unavailable("the outside is not there".into())),
            Manner::Hangs => self.hang().await,
            _ => Ok(Returned::Done),
        }
    }

    /// Calls for this mount so far.
    pub(crate) fn calls(&self, mount: &str) -> Vec<Called> {
        self.calls.lock().iter().filter(|called| called.mount == mount).cloned().collect()
    }

    async fn hang(&self) -> Result<Returned, GuestError> {
        let _held = self.hanging.clone();
        pending().await
    }

    /// Calls that do not answer and were not given up.
    pub(crate) fn hanging(&self) -> usize {
        Arc::strong_count(&self.hanging) - 1
    }

    async fn ended(&self, mount: String, what: &'static str, about: String) -> Result<Returned, GuestError> {
        let manner = self.manner(&mount, &about);
        self.calls.lock().push(Called { mount, what, about });
        match manner {
            Manner::Works => Ok(if what == "job" { Returned::JobDone(JobOutcome::Done) } else { Returned::Done }),
            Manner::Refuses => Err(GuestError::Upstream("the outside is not there".into())),
            Manner::Hangs => self.hang().await,
            Manner::Again(at_ms) => Ok(Returned::JobDone(JobOutcome::Again(at_ms, Hidden::new(b"{}".to_vec())))),
        }
    }
}

/// A compiler whose components are the names of plugins that it knows: `leaser 1.1.0`. It can forget
/// how to compile, and counts what it did.
#[derive(Default)]
pub(crate) struct FakeCompiler {
    known: Mutex<HashMap<Vec<u8>, Arc<FakePlugin>>>,
    compiled: AtomicUsize,
}

impl FakeCompiler {
    /// Has it know a component; the plugin it becomes.
    pub(crate) fn knows(&self, component: &[u8], plugin: FakePlugin) -> Arc<FakePlugin> {
        let plugin = Arc::new(plugin);
        self.known.lock().insert(component.to_vec(), plugin.clone());
        plugin
    }

    /// From now on it compiles nothing.
    pub(crate) fn forgets(&self) {
        self.known.lock().clear();
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.compiled.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Compiler for FakeCompiler {
    async fn compile(&self, wasm: Vec<u8>) -> Result<Arc<dyn Plugin>, String> {
        self.compiled.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        match self.known.lock().get(&wasm) {
            Some(plugin) => Ok(plugin.clone()),
            None => Err("it is no component".to_owned()),
        }
    }
}

fn every_minute(name: &str) -> JobDoc {
    JobDoc { name: name.into(), every: Some(60) }
}

/// A route that is read and written.
pub(super) fn route(pattern: &str) -> Route {
    let doc = |operation| OperationDoc {
        operation,
        id: String::new(),
        summary: String::new(),
        description: String::new(),
        responses: Vec::new(),
        active_only: false,
        deprecated: false,
        unpublished: false,
    };
    Route {
        pattern: pattern.into(),
        synopsis: String::new(),
        description: String::new(),
        fields: Vec::new(),
        operations: vec![doc(Operation::Read), doc(Operation::Update)],
        existence: Existence::None,
        unauthenticated: false,
        sudo: false,
        accepts_unknown_fields: true,
        raw_body: false,
        request_headers: Vec::new(),
        when_option: None,
        folded_captures: Vec::new(),
    }
}

/// A secret with a lease of an hour.
fn granted() -> Returned {
    let data = Some(Hidden::new(br#"{"user":"u"}"#.to_vec()));
    let lease = LeaseGrant {
        kind: "creds".into(),
        ttl: Some(3600),
        max_ttl: None,
        renewable: true,
        internal: Hidden::new(b"{}".to_vec()),
    };
    Returned::Secret { response: GuestResponse { data, ..GuestResponse::default() }, lease: Some(lease) }
}

fn account() -> UserSpec {
    UserSpec {
        username: None,
        display_name: String::new(),
        role_name: String::new(),
        username_template: None,
        statements: Vec::new(),
        rollback_statements: Vec::new(),
        credential: Credential::Password(Hidden::new(String::new())),
        expires_at: None,
    }
}

/// What a driver's call gets hold of.
fn reach(host: &mut dyn CallHost) -> String {
    let reads = if host.get("config").is_ok() { "reads" } else { "reads nothing" };
    format!("{reads}, {}, {}", host.mount().path, host.grants().texts().join("; "))
}

async fn handle(host: &mut dyn CallHost, asked: &GuestRequest) -> Result<Returned, CallFailure> {
    let (what, name) = asked.path.split_once('/').expect("every route has a name below it");
    let nothing = || Hidden::new(b"{}".to_vec());
    match what {
        "creds" => return Ok(granted()),
        "job" => {
            let at_ms = host.now_ms();
            host.schedule("job", name, nothing(), at_ms).expect("a job can be scheduled");
        }
        "keep" => {
            let data = Some(Hidden::new(format!(r#"{{"kept":{}}}"#, host.cache_get(name).is_some()).into_bytes()));
            host.cache_put(name, b"yes".to_vec(), 3_600, &[]);
            return Ok(Returned::Secret { response: GuestResponse { data, ..GuestResponse::default() }, lease: None });
        }
        "drive" => {
            host.touch_outside().map_err(CallFailure::Stopped)?;
            let call = DriverCall { config: nothing(), action: DriverAction::CreateUser(account()) };
            let data = match host.drive(name, call).await {
                Ok(DriverAnswer::Username(user)) => format!(r#"{{"user":{user:?}}}"#),
                Ok(_) => return Err(CallFailure::Trap("a driver answers with a name".into())),
                Err(GuestError::PermissionDenied(why) | GuestError::InvalidRequest(why)) => {
                    serde_json::json!({ "refused": why }).to_string()
                }
                Err(_) => return Err(CallFailure::Trap("the driver failed".into())),
            };
            let data = Some(Hidden::new(data.into_bytes()));
            return Ok(Returned::Secret { response: GuestResponse { data, ..GuestResponse::default() }, lease: None });
        }
        "attempt" => {
            host.intend(name, nothing()).await.expect("an intent can be made");
            host.put("done", b"yes".to_vec()).expect("a record can be written");
        }
        _ => {
            let data = format!(r#"{{"about":"account {name}","secret":"hunter2"}}"#);
            host.intend(name, Hidden::new(data.into_bytes())).await.expect("an intent can be made");
            return Err(CallFailure::Trap("as the test wants it".into()));
        }
    }
    Ok(Returned::Secret { response: GuestResponse::default(), lease: None })
}

#[async_trait]
impl Plugin for FakePlugin {
    fn descriptor(&self) -> &Descriptor {
        &self.about
    }

    fn kind(&self) -> PluginKind {
        self.kind
    }

    fn sha256(&self) -> &str {
        &self.sha256
    }

    fn imports(&self) -> &[String] {
        &self.imports
    }

    async fn call(&self, mut host: Box<dyn CallHost>, call: Call) -> Result<Finished, CallFailure> {
        let mount = host.mount().path.clone();
        let result = match call {
            Call::Handle(asked) if asked.path.starts_with("linger/") => {
                host.intend("user", Hidden::new(b"{}".to_vec())).await.expect("an intent can be made");
                self.hang().await
            }
            Call::Handle(asked) => Ok(handle(&mut *host, &asked).await?),
            Call::RevokeLease(lease) => self.ended(mount, "revoke", lease.id).await,
            Call::RunJob { key, .. } => self.ended(mount, "job", key).await,
            Call::Rollback { kind, .. } => self.ended(mount, "rollback", kind).await,
            Call::Initialize(reason) => self.prepare(&mut *host, reason).await,
            Call::Driver(_) => Ok(Returned::Driven(DriverAnswer::Username(reach(&mut *host)))),
            Call::Upgrade { from, cursor } => self.upgrade(mount, from, cursor.as_deref()),
            _ => Err(GuestError::UnsupportedOperation),
        };
        Ok(Finished { host, result })
    }
}
