//! One client's way to ask: any node, another one after a failure, and an honest word on what
//! is known of the outcome.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::http::{Connection, request_with};

/// How long a client waits for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Asks the nodes in turn.
pub(crate) struct Client<'a> {
    nodes: &'a [SocketAddr],
    token: &'a str,
    at: usize,
    connection: Option<Connection>,
}

/// What came of a request.
pub(crate) enum Told {
    /// A status below 500, and the answer's JSON.
    Answer(u16, Value),
    /// It was not sent.
    NotSent,
    /// It may have been done.
    Unknown,
}

impl<'a> Client<'a> {
    pub(crate) fn new(nodes: &'a [SocketAddr], token: &'a str, at: usize) -> Self {
        Self { nodes, token, at: at % nodes.len(), connection: None }
    }

    /// The next request goes to another node.
    pub(crate) fn turn(&mut self) {
        self.at = (self.at + 1) % self.nodes.len();
        self.connection = None;
    }

    pub(crate) fn ask(&mut self, method: &str, path: &str, body: &Value) -> Told {
        self.ask_as(self.token, method, path, body)
    }

    /// As [`ask`](Self::ask), with another token.
    pub(crate) fn ask_as(&mut self, token: &str, method: &str, path: &str, body: &Value) -> Told {
        self.ask_with(&format!("X-Vault-Token: {token}\r\n"), method, path, body)
    }

    /// Asks for an answer that can be taken once, within a day: a clock that jumps by an hour is no
    /// reason for it to be gone.
    pub(crate) fn ask_wrapped(&mut self, path: &str, body: &Value) -> Told {
        self.ask_with(&format!("X-Vault-Token: {}\r\nX-Vault-Wrap-TTL: 86400\r\n", self.token), "PUT", path, body)
    }

    fn ask_with(&mut self, headers: &str, method: &str, path: &str, body: &Value) -> Told {
        let Some(connection) = self.connected() else {
            self.turn();
            return Told::NotSent;
        };
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let told = match connection.exchange(&request_with(headers, method, path, &body)) {
            Ok(answer) if answer.status < 500 => {
                Told::Answer(answer.status, serde_json::from_slice(answer.body).unwrap_or_default())
            }
            Ok(_) | Err(_) => Told::Unknown,
        };
        if matches!(told, Told::Unknown) {
            self.turn();
        }
        told
    }

    fn connected(&mut self) -> Option<&mut Connection> {
        if self.connection.is_none() {
            self.connection = Some(Connection::open(self.nodes[self.at], ANSWER_MAX).ok()?);
        }
        self.connection.as_mut()
    }
}

/// The body of a KV write; `cas`: only at this version.
pub(crate) fn secret(value: &str, cas: Option<u64>) -> Value {
    match cas {
        Some(version) => json!({"data": {"v": value}, "options": {"cas": version}}),
        None => json!({"data": {"v": value}}),
    }
}
