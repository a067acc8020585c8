//! What the steps find out about a request, for its audit lines.

use std::sync::Arc;

use bulkhead_model::audit_filter::{Entry, Scope};
use bulkhead_model::hidden::Hidden;
use bulkhead_model::request::Request;

use super::line;
use crate::book::audits::Device;
use crate::book::mounts::{Engine, Mount};
use crate::book::namespaces::Namespace;
use crate::figures::Counted;
use crate::mint;
use crate::open::Open;
use crate::step::authorize::{Authorized, DeniedBy};
use crate::step::route::{self, Routed, Target};
use crate::visit::Who;

/// What the steps found out about a request.
pub(crate) struct Trail {
    /// Those there were when the request came; the answer goes to the same. Once there is a line, those it is for.
    pub(super) devices: Arc<Vec<Arc<Device>>>,
    /// The request may change the devices; its answer goes to a new one as well.
    pub(super) about_devices: bool,
    /// Nothing more to find out: the request line is written, and a second attempt does
    /// not write it again; or there is no device that would take one.
    pub(super) recorded: bool,
    /// No device took the request's line, so it was not served.
    pub(super) is_refused: bool,
    /// What was told of caller and request, per device: both lines say the same.
    pub(super) told: Vec<Told>,
    /// The path with what the caller chose below the mount hashed per device.
    pub(super) path: Vec<PathPart>,
    pub(super) names: Names,
    /// `None`: there is none of the name that was sent, or it was not looked for.
    pub(super) namespace: Option<Arc<Namespace>>,
    pub(super) mount: Option<MountFacts>,
    pub(super) who: Option<Caller>,
    pub(super) operation: &'static str,
    pub(super) verdict: Option<Verdict>,
    pub(super) error: Option<&'static str>,
    /// Request headers to show, and whether hashed.
    pub(super) headers: Vec<(String, bool)>,
    /// What the request is counted as.
    pub(super) counted: Counted,
}

/// The parts of a line that a request's and its answer's have in common, as JSON text.
pub(super) struct Told {
    pub auth: Hidden<Vec<u8>>,
    pub request: Hidden<Vec<u8>>,
}

/// What the policies said.
pub(super) enum Verdict {
    /// These let it through; none, where nobody has to be asked.
    Allowed(Vec<String>),
    Denied(DeniedBy),
}

/// A stretch of a path.
pub(super) enum PathPart {
    /// Part of the API: shown as it is.
    Plain(String),
    /// A name that a caller chose: hashed, as names of secrets are secrets.
    Name(String),
}

impl PathPart {
    fn text(&self) -> &str {
        match self {
            Self::Plain(text) | Self::Name(text) => text,
        }
    }
}

/// Who named the members of a body.
#[derive(Default)]
pub(super) enum Names {
    /// The API: shown as they are.
    #[default]
    Api,
    /// Callers, but for the fields declared here: hashed.
    Callers(Vec<String>),
}

/// What a line tells about the mount.
pub(super) struct MountFacts {
    pub point: String,
    pub kind: String,
    pub accessor: String,
    pub class: &'static str,
    pub version: String,
    pub sha256: String,
    pub plain_request_keys: Vec<String>,
    pub plain_response_keys: Vec<String>,
}

impl MountFacts {
    fn of(mount: &Mount, host_version: &str) -> Self {
        let (version, sha256) = match &mount.engine {
            Engine::Plugin(plugin, _) => (format!("v{}", plugin.descriptor().version), plugin.sha256().to_owned()),
            Engine::Missing(_) | Engine::Loading(_) => (String::new(), String::new()),
            _ => (format!("v{host_version}"), String::new()),
        };
        Self {
            point: mount.full_path.clone(),
            kind: mount.entry.kind.clone(),
            accessor: mount.entry.accessor.clone(),
            class: if mount.request_path().starts_with("auth/") { "auth" } else { "secret" },
            version,
            sha256,
            plain_request_keys: mount.entry.tuning.audit_non_hmac_request_keys.clone(),
            plain_response_keys: mount.entry.tuning.audit_non_hmac_response_keys.clone(),
        }
    }
}

/// What a line tells about the caller.
pub(super) struct Caller {
    pub accessor: String,
    pub display_name: String,
    pub policies: Vec<String>,
    /// Through the entity.
    pub identity_policies: Vec<String>,
    pub token_type: &'static str,
    pub metadata: Vec<(String, String)>,
    pub entity_id: String,
    /// Uses left before this one; 0: unlimited.
    pub uses: u64,
    pub ttl_secs: u64,
    pub created_ms: u64,
    /// Id of the token's namespace.
    pub namespace: String,
}

impl Caller {
    fn of(who: &Who) -> Self {
        let record = &who.record;
        Self {
            accessor: record.accessor.clone(),
            display_name: record.display_name.clone(),
            policies: record.policies.clone(),
            identity_policies: who.persona.as_ref().map(|persona| persona.policies.clone()).unwrap_or_default(),
            token_type: mint::token_type(record),
            metadata: record.metadata.clone(),
            entity_id: record.entity_id.clone(),
            uses: record.num_uses,
            ttl_secs: record.ttl_secs,
            created_ms: record.created_ms,
            namespace: who.namespace.shown_id().to_owned(),
        }
    }
}

impl Trail {
    pub(crate) fn new(open: &Open, request: &Request) -> Self {
        let devices = open.devices.read().clone();
        let about_devices = request.path.as_str().starts_with("sys/audit/");
        Self {
            recorded: devices.is_empty() && !about_devices,
            devices,
            about_devices,
            is_refused: false,
            told: Vec::new(),
            path: Vec::new(),
            names: Names::default(),
            namespace: None,
            mount: None,
            who: None,
            operation: "",
            verdict: None,
            error: None,
            headers: open.known_config().map_or_else(Vec::new, |config| {
                config.settings.audited_headers.iter().map(|(name, hmac)| (name.clone(), *hmac)).collect()
            }),
            counted: Counted { figures: None, operation: route::operation(request.verb), login: false },
        }
    }

    pub(crate) fn located(&mut self, namespace: &Arc<Namespace>) {
        self.namespace = Some(namespace.clone());
    }

    /// There is no such namespace, or it is locked. Of one that is not known the name is told with
    /// the path, as it was sent.
    pub(crate) fn unlocated(&mut self, request: &Request, namespace: Option<&Arc<Namespace>>) {
        self.namespace = namespace.cloned();
        let path = request.path.as_str();
        let path = if namespace.is_some() { path.to_owned() } else { format!("{}/{path}", request.namespace) };
        self.path = vec![PathPart::Name(path)];
    }

    pub(crate) fn routed(&mut self, open: &Open, routed: &Routed) {
        self.counted.figures = routed.target.mount().map(|mount| Arc::clone(&mount.figures));
        self.counted.login = matches!(routed.target, Target::Guest(_)) && routed.target.is_unauthenticated();
        if self.recorded {
            return;
        }
        let namespace = self.namespace.as_ref().map_or("", |namespace| namespace.path());
        self.path = line::path_parts(routed, namespace);
        self.names = line::names(routed);
        self.mount = routed.target.mount().map(|mount| MountFacts::of(mount, &open.parts.facts.version));
    }

    pub(crate) fn identified(&mut self, who: Option<&Who>) {
        if self.recorded {
            return;
        }
        self.who = who.map(Caller::of);
    }

    /// The token was of no use.
    pub(crate) fn unknown(&mut self) {
        self.error = Some(line::DENIED);
    }

    /// Whether the request was turned away before anybody looked at what it asks.
    pub(crate) fn is_denied(&self) -> bool {
        self.error == Some(line::DENIED)
    }

    /// A quota turned the request away.
    pub(crate) fn too_often(&mut self) {
        self.error = Some("rate limit quota exceeded");
    }

    pub(crate) fn authorized(&mut self, passed: &Authorized) {
        self.counted.operation = passed.operation;
        if self.devices.is_empty() && !self.about_devices {
            return;
        }
        self.operation = passed.operation.as_str();
        self.verdict = Some(Verdict::Allowed(passed.granting.clone()));
    }

    /// Leaves the devices out that the request is not for. Where it is for none of several, nobody records it, as
    /// the operator asked.
    pub(super) fn select(&mut self, request: &Request) {
        if !self.devices.iter().any(|device| matches!(device.scope, Scope::Filtered(_))) {
            return;
        }
        let path: String = match &self.path[..] {
            [] => request.path.as_str().to_owned(),
            parts => parts.iter().map(PathPart::text).collect(),
        };
        let entry = Entry {
            mount_type: self.mount.as_ref().map_or("", |mount| &mount.kind),
            mount_point: self.mount.as_ref().map_or("", |mount| &mount.point),
            namespace: self.namespace.as_ref().map_or("", |namespace| namespace.path()),
            operation: line::operation(request, self),
            path: &path,
        };
        let meant = self.devices.iter().filter(|device| device.scope.takes(&entry));
        self.devices = Arc::new(meant.cloned().collect());
    }

    /// What the request is counted as, now that it is answered.
    pub(crate) fn counted(&mut self) -> Counted {
        let figures = self.counted.figures.take();
        Counted { figures, ..self.counted }
    }

    pub(crate) fn denied(&mut self, by: DeniedBy) {
        // Where nobody was asked there is no verdict.
        self.verdict = (!matches!(by, DeniedBy::Nobody)).then_some(Verdict::Denied(by));
        self.error = Some(line::DENIED);
    }
}
