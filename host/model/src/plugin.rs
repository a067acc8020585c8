//! What guests say and hear, as the broker sees it: the Rust twin of `wit/v1/types.wit`.
//! The WIT documents each member; comments here tell only what the host does with it.

use crate::hidden::Hidden;
use crate::reply::HiddenJson;

/// Seconds.
pub type Seconds = u64;
/// Milliseconds since the Unix epoch.
pub type TimestampMs = u64;

/// An operation, as a guest knows it.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    Create,
    Read,
    Update,
    Patch,
    Delete,
    List,
    Scan,
    Header,
    AliasLookahead,
    ResolveRole,
}

impl Operation {
    /// Vault's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Read => "read",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::List => "list",
            Self::Scan => "scan",
            Self::Header => "header",
            Self::AliasLookahead => "alias-lookahead",
            Self::ResolveRole => "resolve-role",
        }
    }
}

/// Which world a component implements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PluginKind {
    /// `secrets-engine`.
    Secrets,
    /// `auth-method`.
    Auth,
    /// `database-driver`: called by secrets engines, never mounted.
    Database,
}

/// How a field's value is coerced and checked. As Vault's `framework.FieldType`.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    Text,
    LowercaseText,
    Name,
    Integer,
    Boolean,
    Float,
    Duration,
    SignedDuration,
    Time,
    AnyMap,
    StringMap,
    AnyList,
    StringList,
    CommaStringList,
    CommaIntegerList,
    HeaderMap,
    Any,
}

/// A declared field of a route.
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub name: String,
    pub kind: FieldKind,
    pub description: String,
    pub required: bool,
    pub default: Option<serde_json::Value>,
    pub allowed: Vec<serde_json::Value>,
    pub sensitive: bool,
    pub deprecated: bool,
}

/// A documented response.
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq)]
pub struct ResponseDoc {
    pub status: u16,
    pub description: String,
    pub fields: Vec<Field>,
}

/// An operation a route answers.
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq)]
pub struct OperationDoc {
    pub operation: Operation,
    pub id: String,
    pub summary: String,
    pub description: String,
    pub responses: Vec<ResponseDoc>,
    pub active_only: bool,
    pub deprecated: bool,
    pub unpublished: bool,
}

/// How the host tells create from update before the ACL check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Existence {
    /// Every write is an update.
    None,
    /// Exists iff this storage key does; captures are filled in.
    Key(String),
    /// The guest's `exists` is called.
    Ask,
}

/// A declared route.
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    pub pattern: String,
    pub synopsis: String,
    pub description: String,
    pub fields: Vec<Field>,
    pub operations: Vec<OperationDoc>,
    pub existence: Existence,
    pub unauthenticated: bool,
    pub sudo: bool,
    pub accepts_unknown_fields: bool,
    pub raw_body: bool,
    pub request_headers: Vec<String>,
    /// The route exists only on mounts whose option of this name has this value.
    pub when_option: Option<(String, String)>,
    /// Captures in which case does not count.
    pub folded_captures: Vec<String>,
}

/// A declared background job.
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobDoc {
    pub name: String,
    pub every: Option<Seconds>,
}

/// What a plugin says about itself.
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq)]
pub struct Descriptor {
    pub name: String,
    pub version: String,
    pub summary: String,
    pub help: String,
    pub data_version: u32,
    pub oldest_readable_data: u32,
    pub routes: Vec<Route>,
    pub seal_wrapped: Vec<String>,
    pub local: Vec<String>,
    pub lease_kinds: Vec<String>,
    pub jobs: Vec<JobDoc>,
}

/// Who is calling, without the bearer token.
#[allow(missing_docs)]
#[derive(Clone, Debug, Default)]
pub struct Caller {
    pub authenticated: bool,
    pub entity_id: Option<String>,
    pub display_name: String,
    pub token_fingerprint: Option<String>,
    pub remote_address: String,
    pub remote_port: u16,
    pub client_certificates: Vec<Vec<u8>>,
    pub metadata: Vec<(String, String)>,
}

/// A request, as a guest gets it.
#[allow(missing_docs)]
pub struct GuestRequest {
    pub id: String,
    pub operation: Operation,
    pub path: String,
    pub route: u32,
    pub captures: Vec<(String, String)>,
    pub data: HiddenJson,
    pub supplied: Vec<String>,
    pub body: Option<HiddenJson>,
    pub headers: Vec<(String, String)>,
    pub caller: Caller,
    pub wrap_ttl: Option<Seconds>,
}

/// A guest's answer.
#[allow(missing_docs)]
#[derive(Default)]
pub struct GuestResponse {
    pub data: Option<HiddenJson>,
    pub warnings: Vec<String>,
    pub errors: Vec<String>,
    pub status: Option<u16>,
    pub headers: Vec<(String, String)>,
    /// Content type and content.
    pub raw: Option<(String, HiddenJson)>,
    pub force_wrap: Option<Seconds>,
    /// Open-ended members; the host knows `lease-duration` (a lifetime told without a lease, as kv v1's `ttl`) and
    /// `wrong-credentials` (of a login that is to be counted against its alias).
    pub extra: Vec<(String, HiddenJson)>,
}

/// An error a guest returned: everything it did is rolled back.
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GuestError {
    InvalidRequest(String),
    PermissionDenied(String),
    NotFound,
    UnsupportedOperation,
    PreconditionFailed(String),
    RateLimited(String),
    Upstream(String),
    Unavailable(String),
    Internal(String),
}

impl GuestError {
    /// Which error it is, without its text: that may quote secrets of an outside system.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::InvalidRequest(_) => "invalid-request",
            Self::PermissionDenied(_) => "permission-denied",
            Self::NotFound => "not-found",
            Self::UnsupportedOperation => "unsupported-operation",
            Self::PreconditionFailed(_) => "precondition-failed",
            Self::RateLimited(_) => "rate-limited",
            Self::Upstream(_) => "upstream",
            Self::Unavailable(_) => "unavailable",
            Self::Internal(_) => "internal",
        }
    }
}

/// A secret the lease manager is to look after.
#[allow(missing_docs)]
pub struct LeaseGrant {
    pub kind: String,
    pub ttl: Option<Seconds>,
    pub max_ttl: Option<Seconds>,
    pub renewable: bool,
    pub internal: HiddenJson,
}

/// A lease, as a guest gets it back.
#[allow(missing_docs)]
pub struct GuestLease {
    pub id: String,
    pub kind: String,
    pub path: String,
    pub issued_at: TimestampMs,
    pub expires_at: TimestampMs,
    pub internal: HiddenJson,
    pub data_version: u32,
    pub unmounting: bool,
}

/// What a renewal came to.
#[allow(missing_docs)]
#[derive(Default)]
pub struct Renewal {
    pub ttl: Option<Seconds>,
    pub max_ttl: Option<Seconds>,
    pub internal: Option<HiddenJson>,
    pub data: Option<HiddenJson>,
    pub warnings: Vec<String>,
}

/// A name in an outside system.
#[allow(missing_docs)]
#[derive(Clone, Debug, Default)]
pub struct Alias {
    pub name: String,
    pub metadata: Vec<(String, String)>,
}

/// Which kind of token a login asks for.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenType {
    #[default]
    Default,
    Service,
    Batch,
}

/// What an auth method hands the token store.
#[allow(missing_docs)]
pub struct AuthGrant {
    pub alias: Option<Alias>,
    pub group_aliases: Vec<Alias>,
    pub display_name: String,
    pub policies: Vec<String>,
    pub no_default_policy: bool,
    pub metadata: Vec<(String, String)>,
    pub ttl: Option<Seconds>,
    pub max_ttl: Option<Seconds>,
    pub explicit_max_ttl: Option<Seconds>,
    pub period: Option<Seconds>,
    pub num_uses: u32,
    pub token_type: TokenType,
    pub bound_cidrs: Vec<String>,
    pub renewable: bool,
    pub internal: HiddenJson,
}

/// A token that is to be renewed, as its auth method gets it back.
#[allow(missing_docs)]
pub struct IssuedAuth {
    pub grant: AuthGrant,
    pub entity_id: Option<String>,
    pub issued_at: TimestampMs,
    pub expires_at: TimestampMs,
    pub data_version: u32,
}

/// Why `lifecycle.initialize` is called.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Mounted,
    Unsealed,
    BecameActive,
    Upgraded,
    Reloaded,
    Reconfigured,
}

/// How far `lifecycle.upgrade` came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpgradeStep {
    /// Finished.
    Done,
    /// Commit, then go on from this cursor.
    More(String),
}

/// What a job wants next.
pub enum JobOutcome {
    /// Nothing.
    Done,
    /// Commit, then run again at this time with this payload.
    Again(TimestampMs, HiddenJson),
}

/// What an account of an outside system proves itself by.
pub enum Credential {
    /// A password.
    Password(Hidden<String>),
    /// The public half of its key, `SubjectPublicKeyInfo`, PEM.
    PublicKey(Vec<u8>),
    /// The distinguished name of its client certificate.
    Subject(String),
}

/// An account to be made.
#[allow(missing_docs)]
pub struct UserSpec {
    pub username: Option<String>,
    pub display_name: String,
    pub role_name: String,
    pub username_template: Option<String>,
    pub statements: Vec<String>,
    pub rollback_statements: Vec<String>,
    pub credential: Credential,
    pub expires_at: Option<TimestampMs>,
}

/// An account to be changed.
#[allow(missing_docs)]
pub struct UserChange {
    pub username: String,
    pub credential: Option<Credential>,
    pub expires_at: Option<TimestampMs>,
    pub statements: Vec<String>,
}

/// An account to be removed.
#[allow(missing_docs)]
pub struct UserRemoval {
    pub username: String,
    pub statements: Vec<String>,
}

/// What a driver is to do.
pub enum DriverAction {
    /// Say which credentials it can make.
    CredentialKinds,
    /// Check a config, and try it where `connect` says so.
    Verify {
        /// Whether it is tried.
        connect: bool,
    },
    /// Name the account that it would make.
    ProposeUsername(UserSpec),
    /// Make an account.
    CreateUser(UserSpec),
    /// Change one.
    ChangeUser(UserChange),
    /// Remove one.
    DeleteUser(UserRemoval),
}

impl DriverAction {
    /// Whether it does something that the host cannot take back.
    #[must_use]
    pub fn touches_outside(&self) -> bool {
        !matches!(self, Self::CredentialKinds | Self::Verify { connect: false } | Self::ProposeUsername(_))
    }
}

/// A call of a driver, which keeps nothing between calls.
pub struct DriverCall {
    /// The connection's config, JSON.
    pub config: HiddenJson,
    /// What is to be done.
    pub action: DriverAction,
}

/// What a driver answers.
pub enum DriverAnswer {
    /// The credentials that it can make.
    Kinds(Vec<String>),
    /// The config to be stored, JSON.
    Config(HiddenJson),
    /// The name of an account.
    Username(String),
    /// It is done.
    Done,
}

/// Facts about a mount that its guest may know.
#[allow(missing_docs)]
#[derive(Clone, Debug, Default)]
pub struct MountFacts {
    pub id: String,
    pub accessor: String,
    pub path: String,
    pub namespace: String,
    pub plugin_version: String,
    pub options: Vec<(String, String)>,
    pub default_ttl: Seconds,
    pub max_ttl: Seconds,
    pub data_version: u32,
}
