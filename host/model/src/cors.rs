//! Cross-origin requests: which web pages may have their visitors' browsers ask a node.
//! What a browser is told in header lines is decided here, how it is sent is not.

use serde::{Deserialize, Serialize};

use crate::answer::Headers;

/// Methods a page may use. Source: OpenBao.
const METHODS: &str = "DELETE,GET,OPTIONS,POST,PUT,LIST,SCAN";

/// How long a browser may remember what it was told, in seconds. Source: Vault.
const MAX_AGE_SECS: &str = "300";

/// Request headers that clients of Vault send, always allowed.
const HEADERS: [&str; 10] = [
    "Content-Type",
    "Authorization",
    "X-Vault-Token",
    "X-Vault-MFA",
    "X-Vault-No-Request-Forwarding",
    "X-Vault-Wrap-Format",
    "X-Vault-Wrap-TTL",
    "X-Requested-With",
    "X-Vault-AWS-IAM-Server-ID",
    "X-Vault-Policy-Override",
];

/// What the operator allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cors {
    /// Origins, or `*` alone.
    origins: Vec<String>,
    /// Request headers beside those that are always allowed.
    more_headers: Vec<String>,
    credentials: bool,
}

/// Why origins were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum CorsError {
    #[error("at least one origin or the wildcard must be provided")]
    NoOrigin,
    #[error("to allow all origins the '*' must be the only value for allowed_origins")]
    WildcardAndMore,
}

/// What becomes of a request that a page on another site made.
#[derive(Debug, PartialEq, Eq)]
pub enum Crossing {
    /// It goes on; its answer gets these header lines.
    Pass(Headers),
    /// The browser asked first, and is told with these header lines that it may.
    Preflight(Headers),
    /// The browser asked first, for a method that pages do not get.
    BadMethod,
    /// The page is not one of those allowed.
    Refused,
}

impl Cors {
    /// Rules for these origins.
    ///
    /// # Errors
    /// [`CorsError`].
    pub fn new(origins: Vec<String>, more_headers: Vec<String>, credentials: bool) -> Result<Self, CorsError> {
        if origins.is_empty() {
            return Err(CorsError::NoOrigin);
        }
        if origins.len() > 1 && origins.iter().any(|o| o == "*") {
            return Err(CorsError::WildcardAndMore);
        }
        Ok(Self { origins, more_headers, credentials })
    }

    /// Origins that are allowed.
    #[must_use]
    pub fn origins(&self) -> &[String] {
        &self.origins
    }

    /// Request headers that are allowed.
    #[must_use]
    pub fn headers(&self) -> Vec<&str> {
        HEADERS.into_iter().chain(self.more_headers.iter().map(String::as_str)).collect()
    }

    /// Whether pages may send cookies and certificates of their visitors.
    #[must_use]
    pub fn credentials(&self) -> bool {
        self.credentials
    }

    /// Decides about a request of this origin. `asked` is what `Access-Control-Request-Method`
    /// names in a question before the request.
    #[must_use]
    pub fn decide(&self, origin: &str, method: &str, asked: Option<&str>) -> Crossing {
        if !self.origins.iter().any(|o| o == "*" || o == origin) {
            return Crossing::Refused;
        }
        let mut headers: Headers = vec![("access-control-allow-origin", origin.to_owned()), ("vary", "Origin".into())];
        if self.credentials {
            headers.push(("access-control-allow-credentials", "true".into()));
        }
        if method != "OPTIONS" {
            return Crossing::Pass(headers);
        }
        if !asked.is_some_and(|asked| METHODS.split(',').any(|m| m == asked)) {
            return Crossing::BadMethod;
        }
        headers.push(("access-control-allow-methods", METHODS.into()));
        headers.push(("access-control-allow-headers", self.headers().join(",")));
        headers.push(("access-control-max-age", MAX_AGE_SECS.into()));
        Crossing::Preflight(headers)
    }
}

#[cfg(test)]
mod tests {
    use super::{Cors, CorsError, Crossing};

    fn cors(origins: &[&str]) -> Result<Cors, CorsError> {
        Cors::new(origins.iter().map(|o| (*o).to_owned()).collect(), vec!["X-Mine".into()], false)
    }

    #[test]
    fn there_are_origins_or_the_wildcard_but_not_both() {
        assert_eq!(cors(&[]), Err(CorsError::NoOrigin));
        assert_eq!(cors(&["*", "http://a"]), Err(CorsError::WildcardAndMore));
        assert!(cors(&["*"]).is_ok() && cors(&["http://a", "http://b"]).is_ok());
    }

    #[test]
    fn a_page_is_told_of_its_own_origin_alone_and_others_are_refused() {
        let cors = cors(&["http://a", "http://b"]).expect("is possible");
        let Crossing::Pass(headers) = cors.decide("http://b", "GET", None) else { panic!("is allowed") };
        let line = |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_str());
        assert_eq!(line("access-control-allow-origin"), Some("http://b"));
        assert_eq!(line("vary"), Some("Origin"));
        assert_eq!(line("access-control-allow-credentials"), None);
        assert_eq!(cors.decide("http://c", "GET", None), Crossing::Refused);
        assert_eq!(cors.decide("http://c", "OPTIONS", Some("GET")), Crossing::Refused);
        assert_eq!(cors.decide("null", "GET", None), Crossing::Refused);
    }

    #[test]
    fn a_browser_that_asks_first_is_told_methods_and_headers() {
        let cors = cors(&["*"]).expect("is possible");
        assert_eq!(cors.decide("http://a", "OPTIONS", Some("TRACE")), Crossing::BadMethod);
        assert_eq!(cors.decide("http://a", "OPTIONS", None), Crossing::BadMethod);
        let Crossing::Preflight(headers) = cors.decide("http://a", "OPTIONS", Some("LIST")) else { panic!("may ask") };
        let line = |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_str());
        assert_eq!(line("access-control-allow-methods"), Some("DELETE,GET,OPTIONS,POST,PUT,LIST,SCAN"));
        assert!(line("access-control-allow-headers").is_some_and(|h| h.ends_with(",X-Vault-Policy-Override,X-Mine")));
    }
}
