//! The client side of the API: what to send, how often, and what the answer means. How
//! bytes travel is in `client/http.rs`; what commands do with answers is theirs.

mod address;
mod dry;
mod error;
mod http;
mod pace;
mod proxy;
mod secret;
mod settings;
mod stream;
mod tls;

use std::cell::{Cell, RefCell};
use std::time::Duration;

use bulkhead_model::hidden::Hidden;
use serde_json::{Value, json};

pub(crate) use error::ClientError;
pub(crate) use secret::{Auth, Secret, WrapInfo};
pub(crate) use settings::{Dry, Settings};

use address::Address;
use error::ApiError;
use http::{Exchange, Outgoing, Reply};

/// Longest chain of redirects that is followed. Source: none, a constant. Why: a
/// standby names the active node in one step; more is a loop.
const REDIRECTS_MAX: u8 = 10;

/// How long is waited where the server may take all of a request's time. Source: ours, longer than that
/// (90 s): its own answer says what becomes of the work.
const PATIENCE: Duration = Duration::from_secs(120);

/// How a wrapped answer is asked for where nothing else is said.
const WRAP_PATH: &str = "sys/wrapping/wrap";
const WRAP_TTL: &str = "5m";

/// A successful answer, or a 404 that a read may still learn from.
pub(crate) struct Answer {
    /// The body, whole.
    pub(crate) body: Vec<u8>,
}

/// One request, before the client adds what goes with every request.
pub(crate) struct Call<'a> {
    /// HTTP method.
    pub(crate) method: &'a str,
    /// Path behind `/v1/`, not encoded.
    pub(crate) path: &'a str,
    /// Query, sorted before it is sent.
    pub(crate) query: &'a [(String, String)],
    /// JSON body.
    pub(crate) body: Option<&'a Value>,
}

impl<'a> Call<'a> {
    /// A request without query and body.
    pub(crate) fn new(method: &'a str, path: &'a str) -> Self {
        Self { method, path, query: &[], body: None }
    }

    /// The same request with a body.
    pub(crate) fn body(mut self, body: &'a Value) -> Self {
        self.body = Some(body);
        self
    }

    /// The same request with a query.
    pub(crate) fn query(mut self, query: &'a [(String, String)]) -> Self {
        self.query = query;
        self
    }
}

/// Speaks to one server with one token. It blocks: a command has one thing to do.
pub(crate) struct Client {
    settings: Settings,
    token: RefCell<Hidden<String>>,
    /// Steps a command takes on its own (the KV preflight) are neither wrapped nor
    /// printed instead of sent.
    plain: Cell<bool>,
    exchange: Exchange,
}

impl Client {
    /// A client; nothing is sent yet.
    ///
    /// # Errors
    /// An address or certificate that cannot be used.
    pub(crate) fn new(settings: Settings, token: Hidden<String>) -> Result<Self, ClientError> {
        let exchange = Exchange::new(&settings)?;
        Ok(Self { settings, token: RefCell::new(token), plain: Cell::new(false), exchange })
    }

    /// Uses another token from here on.
    pub(crate) fn set_token(&self, token: &str) {
        *self.token.borrow_mut() = Hidden::new(token.to_owned());
    }

    /// The token in use, for the one place that may show it (`print token`) and for
    /// comparing.
    pub(crate) fn token_is(&self, other: &str) -> bool {
        self.token.borrow().expose() == other
    }

    /// Whether there is a token at all.
    pub(crate) fn has_token(&self) -> bool {
        !self.token.borrow().expose().is_empty()
    }

    /// Runs `step` without wrapping and for real, whatever the flags say.
    pub(crate) fn plainly<T>(&self, step: impl FnOnce(&Self) -> T) -> T {
        let before = self.plain.replace(true);
        let result = step(self);
        self.plain.set(before);
        result
    }

    /// Runs `step` without asking for a wrapped answer, but still as a dry run.
    pub(crate) fn never_wrapping(mut self) -> Self {
        self.settings.wrap_ttl = None;
        self
    }

    /// The same client for work that may take the server long, unless the user named how long to wait.
    pub(crate) fn patient(mut self) -> Self {
        if !self.settings.is_timeout_given {
            self.exchange.set_timeout(PATIENCE);
        }
        self
    }

    /// The same client outside of any namespace.
    pub(crate) fn outside_namespaces(mut self) -> Self {
        self.settings.namespace = None;
        self
    }

    /// Whether requests are printed instead of sent.
    pub(crate) fn is_dry(&self) -> bool {
        self.settings.dry != Dry::No
    }

    /// Reads a path; none if nothing is there.
    ///
    /// # Errors
    /// The server's refusal, or what kept the request from it.
    pub(crate) fn read(&self, path: &str, query: &[(String, String)]) -> Result<Option<Secret>, ClientError> {
        self.or_not_found(&Call::new("GET", path).query(query))
    }

    /// Lists a path; none if nothing is there.
    ///
    /// # Errors
    /// As [`Client::read`].
    pub(crate) fn list(&self, path: &str, page: &[(String, String)]) -> Result<Option<Secret>, ClientError> {
        self.names("list", path, page)
    }

    /// As [`Client::list`], of everything below a path.
    ///
    /// # Errors
    /// As [`Client::read`].
    pub(crate) fn scan(&self, path: &str, page: &[(String, String)]) -> Result<Option<Secret>, ClientError> {
        self.names("scan", path, page)
    }

    fn names(&self, operation: &str, path: &str, page: &[(String, String)]) -> Result<Option<Secret>, ClientError> {
        let mut query = vec![(operation.to_owned(), "true".to_owned())];
        query.extend_from_slice(page);
        self.or_not_found(&Call::new("GET", path).query(&query))
    }

    /// Sends a call whose answer is a secret, or nothing.
    ///
    /// # Errors
    /// As [`Client::read`].
    pub(crate) fn secret(&self, call: &Call<'_>) -> Result<Option<Secret>, ClientError> {
        Secret::parse(&self.send(call)?.body)
    }

    /// Sends a call whose answer is a JSON object.
    ///
    /// # Errors
    /// As [`Client::read`], and an answer that is no JSON.
    pub(crate) fn json(&self, call: &Call<'_>) -> Result<Value, ClientError> {
        secret::parse_json(&self.send(call)?.body)
    }

    /// Opens a wrapped answer; without a token the client's own is the wrapping token.
    ///
    /// # Errors
    /// As [`Client::read`].
    pub(crate) fn unwrap(&self, token: &str) -> Result<Option<Secret>, ClientError> {
        let mut body = json!({});
        if !token.is_empty() && !self.has_token() {
            self.set_token(token);
        } else if !token.is_empty() && !self.token_is(token) {
            body = json!({ "token": token });
        }
        self.or_not_found(&Call::new("PUT", "sys/wrapping/unwrap").body(&body))
    }

    /// A 404 is "nothing there", unless it carries data or warnings (a deleted version).
    fn or_not_found(&self, call: &Call<'_>) -> Result<Option<Secret>, ClientError> {
        match self.send(call) {
            Ok(answer) => Secret::parse(&answer.body),
            Err(ClientError::Api(error)) if error.status == 404 => {
                let secret = Secret::parse(&error.body)?;
                Ok(secret.filter(|secret| {
                    !secret.warnings.is_empty() || secret.data.as_ref().is_some_and(|data| !data.is_empty())
                }))
            }
            Err(other) => Err(other),
        }
    }

    /// Sends a call and follows redirects.
    ///
    /// # Errors
    /// As [`Client::read`]; in a dry run always, with what was to be printed.
    pub(crate) fn send(&self, call: &Call<'_>) -> Result<Answer, ClientError> {
        self.follow(call, |base, target, outgoing| self.exchange.send(base, target, outgoing))
    }

    fn follow(
        &self,
        call: &Call<'_>,
        mut send: impl FnMut(&Address, &str, &Outgoing) -> Result<Reply, ClientError>,
    ) -> Result<Answer, ClientError> {
        let outgoing = self.outgoing(call);
        if !self.plain.get() {
            match self.settings.dry {
                Dry::No => {}
                Dry::Curl => return Err(ClientError::Dry(dry::curl(&outgoing, &self.settings, self.exchange.base()))),
                Dry::Policy => return Err(ClientError::Dry(dry::policy(call))),
            }
        }
        let mut base = self.exchange.base().clone();
        let mut target = outgoing.target.clone();
        for _ in 0..=REDIRECTS_MAX {
            let reply = send(&base, &target, &outgoing)?;
            let follows = matches!(reply.status, 301 | 302 | 307 | 308) && !self.settings.disable_redirects;
            match reply.location.filter(|_| follows) {
                Some(location) => (base, target) = base.redirect(&location)?,
                None => {
                    let url = base.url(&target);
                    return judge(call.method, &url, reply.status, reply.body, reply.namespace);
                }
            }
        }
        Err(ClientError::Redirects { url: base.url(&target) })
    }

    fn outgoing(&self, call: &Call<'_>) -> Outgoing {
        let mut headers = self.settings.headers.clone();
        headers.push(("X-Vault-Request".to_owned(), "true".to_owned()));
        if let Some(namespace) = &self.settings.namespace {
            headers.push(("X-Vault-Namespace".to_owned(), namespace.clone()));
        }
        let default_wrap = (call.method == "PUT" && call.path == WRAP_PATH).then(|| WRAP_TTL.to_owned());
        let wrap_ttl = self.settings.wrap_ttl.clone().filter(|_| !self.plain.get()).or(default_wrap);
        if let Some(ttl) = wrap_ttl {
            headers.push(("X-Vault-Wrap-TTL".to_owned(), ttl));
        }
        if call.method == "PATCH" {
            headers.push(("Content-Type".to_owned(), "application/merge-patch+json".to_owned()));
        }
        let body = call.body.map(|body| crate::output::json::compact(&crate::output::sorted(body)));
        Outgoing {
            method: call.method.to_owned(),
            target: address::target(self.exchange.base(), call.path, call.query),
            headers,
            token: self.token.borrow().duplicate(),
            body: Hidden::new(body.unwrap_or_default()),
        }
    }
}

/// Tells a success from a refusal. 429 from `sys/health` says "standby", not "quota".
fn judge(
    method: &str,
    url: &str,
    status: u16,
    body: Vec<u8>,
    namespace: Option<String>,
) -> Result<Answer, ClientError> {
    let is_health = url.split('?').next().is_some_and(|path| path.ends_with("/v1/sys/health"));
    if (200..400).contains(&status) || (status == 429 && is_health) {
        return Ok(Answer { body });
    }
    Err(ClientError::Api(Box::new(ApiError::new(method, url, status, body, namespace))))
}

#[cfg(test)]
mod tests;
