//! Paths outside `/v1/`, and paths that Go's router would tidy up before anyone sees
//! them. Clients of Vault meet these redirects, so they are the same here.

use hyper::{Method, StatusCode};

use crate::encode::Encoded;

/// An answer that is no business of the broker.
pub(crate) struct Page {
    pub(crate) encoded: Encoded,
    pub(crate) location: Option<String>,
}

/// The part of a path below `/v1/`, or the page for any other path.
pub(crate) fn below_v1<'a>(method: &Method, path: &'a str, query: Option<&str>) -> Result<&'a str, Page> {
    // Go takes what follows two slashes for the name of a host, and finds nothing there.
    if path.starts_with("//") {
        return Err(Page { encoded: Encoded::errors(StatusCode::NOT_FOUND, &[]), location: None });
    }
    if let Some(cleaned) = cleaned(path) {
        return Err(redirect(method, &cleaned, query));
    }
    match path.strip_prefix("/v1/") {
        // Go's router has a handler for what is below it alone, and help is told before it.
        Some("sys") if !asks_for_help(method, query) => Err(redirect(method, "/v1/sys/", query)),
        Some(below) => Ok(below),
        None if path == "/" || path == "/ui" || path.starts_with("/ui/") => Err(no_interface()),
        None => Err(Page { encoded: Encoded::errors(StatusCode::NOT_FOUND, &[]), location: None }),
    }
}

fn asks_for_help(method: &Method, query: Option<&str>) -> bool {
    let given = |pair: &str| pair.strip_prefix("help=").is_some_and(|value| !value.is_empty());
    method.as_str() == "HELP" || query.is_some_and(|query| query.split('&').any(given))
}

/// The path without empty, `.` and `..` segments, if it has any. What is hidden behind
/// a percent sign is not tidied but refused, later.
fn cleaned(path: &str) -> Option<String> {
    if !path.contains("//") && !path.contains("/.") {
        return None;
    }
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    let mut cleaned = format!("/{}", kept.join("/"));
    // The API itself is a folder, so Go adds the slash there.
    if path.ends_with('/') && cleaned.len() > 1 || cleaned == "/v1" {
        cleaned.push('/');
    }
    (cleaned != path).then_some(cleaned)
}

fn redirect(method: &Method, path: &str, query: Option<&str>) -> Page {
    let location = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let escaped = location
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&#34;")
        .replace('\'', "&#39;");
    let body = if matches!(*method, Method::GET | Method::HEAD) {
        format!("<a href=\"{escaped}\">Temporary Redirect</a>.\n\n")
    } else {
        String::new()
    };
    let encoded = Encoded::text(StatusCode::TEMPORARY_REDIRECT, "text/html; charset=utf-8", body);
    Page { encoded, location: Some(location) }
}

/// As a peer without its web interface answers.
fn no_interface() -> Page {
    let text = "404 page not found\n".to_owned();
    Page { encoded: Encoded::text(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", text), location: None }
}
