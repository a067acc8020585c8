//! What guests are handed, borrowed from the model: the records of `types.wit` that go
//! in, with nothing copied on the way to the guest's memory. Members are those of the
//! WIT, in its order; the first instantiation of a component checks them against it.

use bulkhead_model::plugin::{self as model, Seconds, TimestampMs};
use wasmtime::component::{ComponentType, Lower};

use super::types;

/// Names and JSON, as in `extras`. The host has none to tell yet.
type Extras<'a> = &'a [(String, Vec<u8>)];

/// `caller`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct Caller<'a> {
    authenticated: bool,
    #[component(name = "entity-id")]
    entity_id: Option<&'a str>,
    #[component(name = "display-name")]
    display_name: &'a str,
    #[component(name = "token-fingerprint")]
    token_fingerprint: Option<&'a str>,
    #[component(name = "remote-address")]
    remote_address: &'a str,
    #[component(name = "remote-port")]
    remote_port: u16,
    #[component(name = "client-certificates")]
    client_certificates: &'a [Vec<u8>],
    metadata: &'a [(String, String)],
}

/// `request`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct Request<'a> {
    id: &'a str,
    operation: types::Operation,
    path: &'a str,
    route: u32,
    captures: &'a [(String, String)],
    data: &'a [u8],
    supplied: &'a [String],
    body: Option<&'a [u8]>,
    headers: &'a [(String, String)],
    caller: Caller<'a>,
    #[component(name = "wrap-ttl")]
    wrap_ttl: Option<Seconds>,
    extra: Extras<'a>,
}

/// `lease`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct Lease<'a> {
    id: &'a str,
    kind: &'a str,
    path: &'a str,
    #[component(name = "issued-at")]
    issued_at: TimestampMs,
    #[component(name = "expires-at")]
    expires_at: TimestampMs,
    internal: &'a [u8],
    #[component(name = "data-version")]
    data_version: u32,
    unmounting: bool,
}

/// `alias`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct Alias<'a> {
    name: &'a str,
    metadata: &'a [(String, String)],
}

/// `auth-grant`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct AuthGrant<'a> {
    alias: Option<Alias<'a>>,
    #[component(name = "group-aliases")]
    group_aliases: Vec<Alias<'a>>,
    #[component(name = "display-name")]
    display_name: &'a str,
    policies: &'a [String],
    #[component(name = "no-default-policy")]
    no_default_policy: bool,
    metadata: &'a [(String, String)],
    ttl: Option<Seconds>,
    #[component(name = "max-ttl")]
    max_ttl: Option<Seconds>,
    #[component(name = "explicit-max-ttl")]
    explicit_max_ttl: Option<Seconds>,
    period: Option<Seconds>,
    #[component(name = "num-uses")]
    num_uses: u32,
    #[component(name = "token-type")]
    token_type: types::TokenType,
    #[component(name = "bound-cidrs")]
    bound_cidrs: &'a [String],
    renewable: bool,
    internal: &'a [u8],
    extra: Extras<'a>,
}

/// `issued-auth`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct IssuedAuth<'a> {
    grant: AuthGrant<'a>,
    #[component(name = "entity-id")]
    entity_id: Option<&'a str>,
    #[component(name = "issued-at")]
    issued_at: TimestampMs,
    #[component(name = "expires-at")]
    expires_at: TimestampMs,
    #[component(name = "data-version")]
    data_version: u32,
}

impl<'a> From<&'a model::GuestRequest> for Request<'a> {
    fn from(request: &'a model::GuestRequest) -> Self {
        Self {
            id: &request.id,
            operation: request.operation.into(),
            path: &request.path,
            route: request.route,
            captures: &request.captures,
            data: request.data.expose(),
            supplied: &request.supplied,
            body: request.body.as_ref().map(|body| body.expose().as_slice()),
            headers: &request.headers,
            caller: (&request.caller).into(),
            wrap_ttl: request.wrap_ttl,
            extra: &[],
        }
    }
}

impl<'a> From<&'a model::Caller> for Caller<'a> {
    fn from(caller: &'a model::Caller) -> Self {
        Self {
            authenticated: caller.authenticated,
            entity_id: caller.entity_id.as_deref(),
            display_name: &caller.display_name,
            token_fingerprint: caller.token_fingerprint.as_deref(),
            remote_address: &caller.remote_address,
            remote_port: caller.remote_port,
            client_certificates: &caller.client_certificates,
            metadata: &caller.metadata,
        }
    }
}

impl<'a> From<&'a model::GuestLease> for Lease<'a> {
    fn from(lease: &'a model::GuestLease) -> Self {
        Self {
            id: &lease.id,
            kind: &lease.kind,
            path: &lease.path,
            issued_at: lease.issued_at,
            expires_at: lease.expires_at,
            internal: lease.internal.expose(),
            data_version: lease.data_version,
            unmounting: lease.unmounting,
        }
    }
}

impl<'a> From<&'a model::Alias> for Alias<'a> {
    fn from(alias: &'a model::Alias) -> Self {
        Self { name: &alias.name, metadata: &alias.metadata }
    }
}

impl<'a> From<&'a model::AuthGrant> for AuthGrant<'a> {
    fn from(grant: &'a model::AuthGrant) -> Self {
        Self {
            alias: grant.alias.as_ref().map(Alias::from),
            group_aliases: grant.group_aliases.iter().map(Alias::from).collect(),
            display_name: &grant.display_name,
            policies: &grant.policies,
            no_default_policy: grant.no_default_policy,
            metadata: &grant.metadata,
            ttl: grant.ttl,
            max_ttl: grant.max_ttl,
            explicit_max_ttl: grant.explicit_max_ttl,
            period: grant.period,
            num_uses: grant.num_uses,
            token_type: grant.token_type.into(),
            bound_cidrs: &grant.bound_cidrs,
            renewable: grant.renewable,
            internal: grant.internal.expose(),
            extra: &[],
        }
    }
}

impl<'a> From<&'a model::IssuedAuth> for IssuedAuth<'a> {
    fn from(auth: &'a model::IssuedAuth) -> Self {
        Self {
            grant: (&auth.grant).into(),
            entity_id: auth.entity_id.as_deref(),
            issued_at: auth.issued_at,
            expires_at: auth.expires_at,
            data_version: auth.data_version,
        }
    }
}

impl From<model::Operation> for types::Operation {
    fn from(operation: model::Operation) -> Self {
        match operation {
            model::Operation::Create => Self::Create,
            model::Operation::Read => Self::Read,
            model::Operation::Update => Self::Update,
            model::Operation::Patch => Self::Patch,
            model::Operation::Delete => Self::Delete,
            model::Operation::List => Self::List,
            model::Operation::Scan => Self::Scan,
            model::Operation::Header => Self::Header,
            model::Operation::AliasLookahead => Self::AliasLookahead,
            model::Operation::ResolveRole => Self::ResolveRole,
        }
    }
}

impl From<model::TokenType> for types::TokenType {
    fn from(token_type: model::TokenType) -> Self {
        match token_type {
            model::TokenType::Default => Self::Default,
            model::TokenType::Service => Self::Service,
            model::TokenType::Batch => Self::Batch,
        }
    }
}
