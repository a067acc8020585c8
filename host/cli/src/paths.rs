//! API paths as users type them.

/// Without spaces around it and slashes at either end.
pub(crate) fn sanitized(path: &str) -> String {
    path.trim().trim_matches('/').to_owned()
}

/// With exactly one slash at its end; the empty path stays empty.
pub(crate) fn with_slash(path: &str) -> String {
    let path = path.trim();
    if path.is_empty() || path.ends_with('/') { path.to_owned() } else { format!("{path}/") }
}

/// The parts put together with single slashes, without `.`, `..` and a slash at the end.
pub(crate) fn joined(parts: &[&str]) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in parts.iter().flat_map(|part| part.split('/')) {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    segments.join("/")
}
