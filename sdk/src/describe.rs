//! A plugin's description as constants, and the one function that turns them into the
//! WIT record. Only `describe` runs it; no other call touches these tables.

use crate::bindings::mounted::bulkhead::plugin::types as wit;
use crate::json::strings;

pub use wit::{FieldKind, Operation};

/// A declared field.
#[derive(Clone, Copy, Debug)]
pub struct FieldDoc {
    /// Its name.
    pub name: &'static str,
    /// How the host coerces and checks it.
    pub kind: FieldKind,
    /// What it is for.
    pub description: &'static str,
    /// The host refuses a request without it.
    pub required: bool,
    /// JSON text the host fills in.
    pub default: Option<&'static str>,
    /// JSON texts of the only values allowed; empty: any.
    pub allowed: &'static [&'static str],
    /// Never shown or logged.
    pub sensitive: bool,
    /// Still read, no longer recommended.
    pub deprecated: bool,
}

impl FieldDoc {
    /// An optional field.
    #[must_use]
    pub const fn new(name: &'static str, kind: FieldKind, description: &'static str) -> Self {
        Self {
            name,
            kind,
            description,
            required: false,
            default: None,
            allowed: &[],
            sensitive: false,
            deprecated: false,
        }
    }
}

/// A declared operation.
#[derive(Clone, Copy, Debug)]
pub struct OperationDoc {
    /// Which.
    pub operation: Operation,
    /// Suffix of the OpenAPI operation id; empty: made from the path.
    pub id: &'static str,
    /// One line.
    pub summary: &'static str,
    /// The rest.
    pub description: &'static str,
    /// Runs on the active node only.
    pub active_only: bool,
    /// Fields of the answer's `data`, for the documentation.
    pub answer: &'static [FieldDoc],
}

/// How create is told from update.
#[derive(Clone, Debug)]
pub enum ExistenceDoc {
    /// Every write is an update.
    None,
    /// By a storage key.
    Key(String),
    /// By asking the guest.
    Ask,
}

/// A declared route.
#[derive(Clone, Debug)]
pub struct RouteDoc<'a> {
    /// Its pattern.
    pub pattern: &'static str,
    /// One line of help.
    pub synopsis: &'static str,
    /// The rest of the help.
    pub description: &'static str,
    /// A mount option that must have this value.
    pub when: Option<(&'static str, &'static str)>,
    /// How create is told from update.
    pub existence: ExistenceDoc,
    /// Open to callers without a token.
    pub unauthenticated: bool,
    /// Needs `sudo`.
    pub sudo: bool,
    /// Members without a declared field pass through.
    pub any_fields: bool,
    /// The body is not JSON.
    pub raw_body: bool,
    /// Headers the guest wants to see.
    pub headers: &'static [&'static str],
    /// Descriptions of the captures.
    pub captures: &'static [FieldDoc],
    /// The fields of each argument of each handler; repeated names are taken once.
    pub fields: &'a [&'static [FieldDoc]],
    /// The captures in which case does not count, of each argument of each handler.
    pub folded: &'a [&'static [&'static str]],
    /// Its operations.
    pub operations: &'static [OperationDoc],
}

/// A plugin as a whole.
#[derive(Clone, Debug)]
pub struct PluginDoc<'a> {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Help: the first line is the summary.
    pub help: &'static str,
    /// Layout of the data it writes.
    pub data_version: u32,
    /// The oldest layout it reads.
    pub oldest_readable_data: u32,
    /// Its routes, in the order their indexes count.
    pub routes: &'a [RouteDoc<'a>],
    /// Storage prefixes sealed a second time.
    pub seal_wrapped: &'static [&'static str],
    /// Storage prefixes that never leave the cluster.
    pub local: &'static [&'static str],
    /// Kinds of leases it renews or revokes.
    pub lease_kinds: &'static [&'static str],
    /// Jobs, and how often they run by themselves, in seconds.
    pub jobs: &'static [(&'static str, Option<u64>)],
}

impl PluginDoc<'_> {
    /// The WIT record.
    #[must_use]
    pub fn descriptor(&self) -> wit::Descriptor {
        wit::Descriptor {
            name: self.name.to_owned(),
            version: self.version.to_owned(),
            summary: self.help.lines().next().unwrap_or_default().to_owned(),
            help: self.help.to_owned(),
            data_version: self.data_version,
            oldest_readable_data: self.oldest_readable_data,
            routes: self.routes.iter().map(route).collect(),
            seal_wrapped: owned(self.seal_wrapped),
            local: owned(self.local),
            lease_kinds: owned(self.lease_kinds),
            jobs: self
                .jobs
                .iter()
                .map(|(name, every)| wit::JobDoc { name: (*name).to_owned(), every: *every })
                .collect(),
            extra: Vec::new(),
        }
    }
}

/// A record's key with a capture in place of its name.
#[must_use]
pub fn key_template(folder: &str, capture: &str) -> String {
    format!("{folder}{capture}")
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn route(doc: &RouteDoc<'_>) -> wit::Route {
    let mut fields: Vec<wit::Field> = Vec::new();
    for group in core::iter::once(&doc.captures).chain(doc.fields) {
        for doc in *group {
            if fields.iter().all(|known| known.name != doc.name) {
                fields.push(field(doc));
            }
        }
    }
    let mut folded: Vec<&str> = doc.folded.concat();
    folded.sort_unstable();
    folded.dedup();
    let mut extra = Vec::new();
    extra.extend(doc.when.map(|(name, value)| ("when-option".to_owned(), strings([name, value]).into_bytes())));
    if !folded.is_empty() {
        extra.push(("folded-captures".to_owned(), strings(folded).into_bytes()));
    }
    wit::Route {
        pattern: doc.pattern.to_owned(),
        synopsis: doc.synopsis.to_owned(),
        description: doc.description.to_owned(),
        fields,
        operations: doc.operations.iter().map(operation).collect(),
        existence: match &doc.existence {
            ExistenceDoc::None => wit::Existence::None,
            ExistenceDoc::Key(key) => wit::Existence::Key(key.clone()),
            ExistenceDoc::Ask => wit::Existence::Ask,
        },
        unauthenticated: doc.unauthenticated,
        sudo: doc.sudo,
        accepts_unknown_fields: doc.any_fields,
        raw_body: doc.raw_body,
        request_headers: owned(doc.headers),
        extra,
    }
}

fn field(doc: &FieldDoc) -> wit::Field {
    wit::Field {
        name: doc.name.to_owned(),
        kind: doc.kind,
        description: doc.description.to_owned(),
        required: doc.required,
        default: doc.default.map(|json| json.as_bytes().to_vec()),
        allowed: doc.allowed.iter().map(|json| json.as_bytes().to_vec()).collect(),
        sensitive: doc.sensitive,
        deprecated: doc.deprecated,
        extra: Vec::new(),
    }
}

fn operation(doc: &OperationDoc) -> wit::OperationDoc {
    let answer = (!doc.answer.is_empty()).then(|| wit::ResponseDoc {
        status: 200,
        description: "OK".to_owned(),
        fields: doc.answer.iter().map(field).collect(),
    });
    wit::OperationDoc {
        operation: doc.operation,
        id: doc.id.to_owned(),
        summary: doc.summary.to_owned(),
        description: doc.description.to_owned(),
        responses: answer.into_iter().collect(),
        active_only: doc.active_only,
        deprecated: false,
        unpublished: false,
    }
}

/// What a seal says about itself: it has no routes and no data.
#[must_use]
pub fn seal<S: crate::Seal>() -> wit::Descriptor {
    bare(S::NAME, S::VERSION, S::HELP)
}

/// What a driver of databases says about itself: it has no routes and no data either.
#[must_use]
pub fn driver<D: crate::driver::Driver>() -> wit::Descriptor {
    bare(D::NAME, D::VERSION, D::HELP)
}

fn bare(name: &'static str, version: &'static str, help: &'static str) -> wit::Descriptor {
    PluginDoc {
        name,
        version,
        help,
        data_version: 0,
        oldest_readable_data: 0,
        routes: &[],
        seal_wrapped: &[],
        local: &[],
        lease_kinds: &[],
        jobs: &[],
    }
    .descriptor()
}
