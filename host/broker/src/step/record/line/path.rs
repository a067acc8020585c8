//! Who chose which part of a path and of a body's names: what callers chose is hashed.

use super::super::trail::{Names, PathPart};
use super::secret;
use crate::book::audits::Device;
use crate::step::route::{Routed, Target};

/// Splits a path into what the API itself says and the names a caller chose. A path
/// that nothing answers is all names. The namespace's own path, with which both begin, is left out.
pub(in super::super) fn path_parts(routed: &Routed, namespace: &str) -> Vec<PathPart> {
    let path = routed.path.strip_prefix(namespace).unwrap_or(&routed.path);
    let Some(mount) = routed.target.mount() else { return vec![PathPart::Name(path.to_owned())] };
    let rest = path.strip_prefix(mount.request_path()).unwrap_or_default();
    let split = match &routed.target {
        Target::Guest(guest) => {
            let captures = guest.captures.iter().map(|(_, text)| Capture { text, is_name: true });
            below(rest, &guest.route().pattern, captures.collect())
        }
        Target::Host { captures, route, .. } => {
            let captures = captures.iter().map(|(name, text)| Capture { text, is_name: route.hashes(name) });
            below(rest, route.pattern, captures.collect())
        }
        _ => None,
    };
    let mut parts = vec![PathPart::Plain(mount.request_path().to_owned())];
    parts.extend(split.unwrap_or_else(|| vec![PathPart::Name(rest.to_owned())]));
    parts
}

/// What a part of a pattern captured.
pub(super) struct Capture<'a> {
    pub(super) text: &'a str,
    /// Chosen by a caller.
    pub(super) is_name: bool,
}

/// The parts of a path below its mount. The captures are put back into the pattern part by part, as any of them may
/// read like another part of the path: of `users/users` the second is the name. `None` if they do not make the path.
pub(super) fn below(rest: &str, pattern: &str, captures: Vec<Capture<'_>>) -> Option<Vec<PathPart>> {
    let (mut parts, mut plain, mut left) = (Vec::new(), String::new(), rest);
    let mut captures = captures.into_iter();
    for (place, part) in pattern.split('/').enumerate() {
        if place > 0 {
            match left.strip_prefix('/') {
                Some(after) => left = after,
                // What may be missing at the end is missing with its slash.
                None if left.is_empty() => break,
                None => return None,
            }
            plain.push('/');
        }
        let (text, is_name) = match part.strip_prefix('{') {
            None => (part, false),
            Some(_) => captures.next().map(|capture| (capture.text, capture.is_name))?,
        };
        left = left.strip_prefix(text)?;
        if is_name && !text.is_empty() {
            parts.push(PathPart::Plain(std::mem::take(&mut plain)));
            parts.push(PathPart::Name(text.to_owned()));
        } else {
            plain.push_str(text);
        }
    }
    plain.push_str(left);
    parts.push(PathPart::Plain(plain));
    // All that is left is the slash of a list.
    (captures.next().is_none() && matches!(left, "" | "/")).then_some(parts)
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
