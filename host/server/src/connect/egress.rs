//! The way out for plugins: what the sandbox has granted is sent from here.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bulkhead_model::seam::egress::{Egress, EgressError, EgressRequest, EgressResponse};

use super::http::{Answer, Question, ask};
use super::stream::{Stream, resolved};
use super::tls::trust::handshake_fault;
use super::tls::{Channel, Tls};

/// Sends over HTTP/1.1, a connection a request.
pub(crate) struct HttpEgress;

#[async_trait]
impl Egress for HttpEgress {
    async fn send(&self, request: EgressRequest) -> Result<EgressResponse, EgressError> {
        let within = request.within;
        // It ends by itself at the deadline, but for a name that is slow to resolve.
        let sending = tokio::task::spawn_blocking(move || sent(&request));
        let sent = tokio::time::timeout(within + Duration::from_secs(1), sending).await;
        sent.map_err(|_| EgressError::Timeout)?.map_err(|error| EgressError::Other(error.to_string()))?
    }
}

fn sent(request: &EgressRequest) -> Result<EgressResponse, EgressError> {
    let deadline = Instant::now() + request.within;
    let mut channel = connected(request, deadline)?;
    let question = Question {
        method: &request.method,
        path: &request.path,
        authority: &request.origin.authority(),
        headers: &request.headers,
        body: &request.body,
    };
    let answer = ask(&mut channel, &question, deadline, request.body_bytes_max).map_err(fault)?;
    let Answer { status, headers, body } = answer;
    Ok(EgressResponse { status, headers, body, peer_certificates: channel.peer_certificates() })
}

fn connected(request: &EgressRequest, deadline: Instant) -> Result<Channel, EgressError> {
    let tls = request.origin.tls.then(|| Tls::asked(&request.tls)).transpose().map_err(EgressError::Tls)?;
    let addresses = resolved(&request.origin.address()).map_err(|error| EgressError::Resolve(error.to_string()))?;
    let stream = Stream::to(&addresses, deadline).map_err(|error| match error.kind() {
        ErrorKind::TimedOut => EgressError::Timeout,
        _ => EgressError::Refused(error.to_string()),
    })?;
    let Some(tls) = tls else { return Ok(Channel::Plain(stream)) };
    let name = request.tls.server_name.as_deref().unwrap_or(&request.origin.host);
    let mut channel = tls.over(stream, name).map_err(|error| EgressError::Tls(error.to_string()))?;
    channel.handshake(deadline).map_err(|error| match fault(error) {
        EgressError::Other(text) => EgressError::Tls(text),
        fault => fault,
    })?;
    Ok(channel)
}

pub(super) fn fault(error: io::Error) -> EgressError {
    match error.kind() {
        ErrorKind::TimedOut => EgressError::Timeout,
        ErrorKind::UnexpectedEof
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe => EgressError::Closed,
        _ => EgressError::Other(handshake_fault(&error)),
    }
}

#[cfg(test)]
mod tests;
