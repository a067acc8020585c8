//! Which route a path belongs to: the rules of `route.pattern` in the WIT, in short. Nothing is
//! folded here: a plugin must take every spelling of a name by itself, as a host may not know
//! what the route says of it.

use crate::bindings::mounted::bulkhead::plugin::types::{Operation, Route};

/// A route and what its pattern captured.
pub(super) struct Found {
    pub(super) route: u32,
    pub(super) captures: Captures,
}

/// The best route for a path, among those whose condition holds.
pub(super) fn find(routes: &[Route], options: &[(String, String)], path: &str, operation: Operation) -> Option<Found> {
    let listing = matches!(operation, Operation::List | Operation::Scan);
    let path = if listing && !path.is_empty() && !path.ends_with('/') { format!("{path}/") } else { path.to_owned() };
    let candidates = routes.iter().zip(0_u32..).filter_map(|(route, index)| {
        let condition = condition(route);
        let holds = condition.as_ref().is_none_or(|wanted| options.contains(wanted));
        let (rank, captures) = matches(&route.pattern, &path).filter(|_| holds)?;
        Some(((rank, condition.is_some()), Found { route: index, captures }))
    });
    candidates.max_by(|(a, _), (b, _)| a.cmp(b)).map(|(_, found)| found)
}

/// The option and value under which the route exists.
fn condition(route: &Route) -> Option<(String, String)> {
    let (_, json) = route.extra.iter().find(|(name, _)| name == "when-option")?;
    serde_json::from_slice(json).ok()
}

/// What a pattern captured of a path: names and texts.
type Captures = Vec<(String, String)>;

/// How well each segment fits (2 literal, 1 capture, 0 rest), and the captures.
fn matches(pattern: &str, path: &str) -> Option<(Vec<u8>, Captures)> {
    let (mut rank, mut captures) = (Vec::new(), Vec::new());
    let mut rest = Some(path);
    for part in pattern.split('/') {
        let capture = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
        if let Some(name) = capture.and_then(|name| name.strip_suffix("...")) {
            captures.push((name.to_owned(), rest?.to_owned()));
            rank.push(0);
            return Some((rank, captures));
        }
        let optional = capture.and_then(|name| name.strip_suffix('?'));
        if let (Some(_), None) = (optional, rest) {
            return Some((rank, captures));
        }
        let (segment, after) = rest?.split_once('/').map_or((rest?, None), |(segment, after)| (segment, Some(after)));
        match capture {
            None if part == segment => rank.push(2),
            Some(name) if !segment.is_empty() || optional.is_some() => {
                captures.push((name.trim_end_matches('?').to_owned(), segment.to_owned()));
                rank.push(1);
            }
            _ => return None,
        }
        rest = after;
    }
    rest.is_none().then_some((rank, captures))
}

/// A storage key template with the captures filled in.
pub(super) fn fill(template: &str, captures: &[(String, String)]) -> String {
    captures.iter().fold(template.to_owned(), |key, (name, value)| key.replace(&format!("{{{name}}}"), value))
}
