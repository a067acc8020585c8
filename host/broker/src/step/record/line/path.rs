//! Who chose which part of a path and of a body's names: what callers chose is hashed.

use super::super::trail::{Names, PathPart};
use super::secret;
use crate::book::audits::Device;
use crate::step::route::{Routed, Target};

/// Splits a path into what the API itself says and the names a caller chose. A path
/// that nothing answers is all names. The namespace's own path, with which both begin, is left out.
pub(in super::super) fn path_parts(routed: &Routed, namespace: &str) -> Vec<PathPart> {
    let path = routed.path.strip_prefix(namespace).unwrap_or(&routed.path);
    let (point, names): (&str, Vec<&str>) = match &routed.target {
        Target::NoMount => return vec![PathPart::Name(path.to_owned())],
        Target::Guest(guest) => {
            (guest.mount.request_path(), guest.captures.iter().map(|(_, value)| value.as_str()).collect())
        }
        Target::Host { mount, captures, route } => {
            let secret = |(name, _): &&(&str, String)| route.hashes(name);
            (mount.request_path(), captures.iter().filter(secret).map(|(_, value)| value.as_str()).collect())
        }
        Target::NotHere { mount, .. }
        | Target::NoPath { mount }
        | Target::NoOperation { mount }
        | Target::Loading { mount }
        | Target::NoPlugin { mount, .. } => {
            let rest = path.strip_prefix(mount.request_path()).unwrap_or_default();
            return vec![PathPart::Plain(mount.request_path().to_owned()), PathPart::Name(rest.to_owned())];
        }
    };
    let mut rest = path.strip_prefix(point).unwrap_or_default();
    let mut parts = vec![PathPart::Plain(point.to_owned())];
    for name in names.into_iter().filter(|n| !n.is_empty()) {
        // Captures come in the order of the path, each behind the one before.
        let Some(at) = rest.find(name) else {
            return vec![PathPart::Plain(point.to_owned()), PathPart::Name(rest.to_owned())];
        };
        parts.push(PathPart::Plain(rest[..at].to_owned()));
        parts.push(PathPart::Name(name.to_owned()));
        rest = &rest[at + name.len()..];
    }
    parts.push(PathPart::Plain(rest.to_owned()));
    parts
}

/// A path as a device shows it.
pub(super) fn shown(device: &Device, parts: &[PathPart]) -> String {
    let show = |part: &PathPart| match part {
        PathPart::Plain(text) => text.clone(),
        PathPart::Name(name) if name.is_empty() || device.style.raw => name.clone(),
        PathPart::Name(name) => {
            let (name, slash) = name.strip_suffix('/').map_or((name.as_str(), ""), |n| (n, "/"));
            format!("{}{slash}", secret(device, name))
        }
    };
    parts.iter().map(show).collect()
}

/// Who named the members of a body.
pub(in super::super) fn names(routed: &Routed) -> Names {
    match &routed.target {
        Target::Guest(guest) => Names::Callers(guest.route().fields.iter().map(|f| f.name.clone()).collect()),
        // Its answer names the paths that were asked about.
        Target::Host { route, .. } if route.pattern.starts_with("capabilities") => {
            let declared = route.fields.unwrap_or_default().iter().map(|f| (*f).to_owned());
            Names::Callers(declared.chain(["capabilities".to_owned()]).collect())
        }
        Target::Host { route, .. } if route.fields.is_some() => Names::Api,
        _ => Names::Callers(Vec::new()),
    }
}
