//! The other cluster's API: a question, its answer, and what a refusal means to the operator.

use bulkhead_sdk::http::HttpRequest;
use bulkhead_sdk::net::{Tls, Verification};
use bulkhead_sdk::{Error, Result};
use serde_json::Value;

use crate::config::Config;

/// Longest text of the other side that is repeated, in characters.
const TOLD_MAX: usize = 300;

/// The other cluster.
pub(crate) struct Server<'a> {
    config: &'a Config,
    address: &'a str,
    tls: Tls,
}

impl<'a> Server<'a> {
    /// # Errors
    /// The config lacks something.
    pub(crate) fn new(config: &'a Config) -> Result<Self> {
        for (name, value) in [("address", &config.address), ("token", config.token.expose())] {
            if value.is_empty() {
                return Err(Error::invalid(format!("seal \"transit\" needs {name}")));
            }
        }
        let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let tls = Tls {
            server_name: given(&config.tls_server_name),
            roots_pem: given(&config.tls_ca_cert),
            verification: if config.tls_skip_verify { Verification::Insecure } else { Verification::Full },
            client: None,
        };
        Ok(Self { config, address: config.address.trim_end_matches('/'), tls })
    }

    /// The answer to a question, which must be JSON.
    ///
    /// # Errors
    /// Nobody answers, or with a refusal.
    pub(crate) fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let mut request = HttpRequest::new(method, &format!("{}/v1/{path}", self.address))
            .header("X-Vault-Token", self.config.token.expose())
            .header("X-Vault-Request", "true")
            .tls(&self.tls);
        if !self.config.namespace.is_empty() {
            request = request.header("X-Vault-Namespace", &self.config.namespace);
        }
        if let Some(body) = body {
            request = request.json(body.to_string().into_bytes());
        }
        let answer = request.send().map_err(|error| self.unreached(error.into()))?;
        let json = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        match answer.status {
            200 if json.is_object() => Ok(json),
            200 => Err(Error::upstream(format!("{} does not answer in JSON", self.address))),
            status => Err(self.refused(status, path, &told(&json))),
        }
    }

    fn unreached(&self, error: Error) -> Error {
        match error {
            Error::Unavailable(text) => Error::Unavailable(format!("asking {}: {text}", self.address)),
            other => other,
        }
    }

    /// What another status means. The path is `transit/encrypt/key` and the like.
    fn refused(&self, status: u16, path: &str, told: &str) -> Error {
        let text = format!("{} answers {status} to {path}{told}", self.address);
        match status {
            403 => Error::PermissionDenied(format!(
                "{text}: the token may have ended, or its policies lack \"update\" on {path}; \
                 give the seal a token that is valid"
            )),
            300..400 => {
                Error::Unavailable(format!("{text}: it sends on elsewhere; give the address of the node that leads"))
            }
            // A standby's, a node's without a licence to serve, and too many requests.
            429 | 472 | 473 | 500.. => Error::Unavailable(text),
            _ => Error::InvalidRequest(text),
        }
    }
}

/// What the other side says is wrong.
fn told(json: &Value) -> String {
    let errors = json["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    let errors: Vec<&str> = errors.iter().filter_map(Value::as_str).collect();
    let told: String = errors.join("; ").chars().take(TOLD_MAX).collect();
    if told.is_empty() { told } else { format!(" ({})", told.trim()) }
}
