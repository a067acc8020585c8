//! Posts to the API of another node, once, within a time. What is posted tells no secret that
//! only TLS would keep; even so, plain HTTP is spoken only where the operator wrote `http://`.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::peer::{ApiAddress, ApiClient};

use crate::connect::http::{Question, ask};
use crate::connect::stream::{Stream, timed_out};
use crate::connect::target::Target;
use crate::connect::tls::trust::handshake_fault;
use crate::connect::tls::{Channel, Tls};

/// Longest answer read, in bytes. Source: ours.
const ANSWER_BYTES_MAX: usize = 128 * 1024;

/// Reaches the API over HTTP/1.1.
pub(super) struct HttpClient;

#[async_trait]
impl ApiClient for HttpClient {
    async fn post(
        &self,
        to: &ApiAddress,
        path: &str,
        body: Hidden<Vec<u8>>,
        within: Duration,
    ) -> Result<(u16, Hidden<Vec<u8>>), String> {
        let (to, url) = (to.clone(), format!("{}/v1/{path}", to.url.trim_end_matches('/')));
        // It ends by itself at the deadline, but for a name that is slow to resolve.
        let posting = tokio::task::spawn_blocking(move || posted(&to, &url, &body, Instant::now() + within));
        let posted = tokio::time::timeout(within + Duration::from_secs(1), posting).await;
        posted.map_err(|_| timed_out().to_string())?.map_err(|error| error.to_string())?
    }
}

fn posted(
    to: &ApiAddress,
    url: &str,
    body: &Hidden<Vec<u8>>,
    deadline: Instant,
) -> Result<(u16, Hidden<Vec<u8>>), String> {
    let target = Target::parse(url).ok_or_else(|| format!("{url:?} is not of the form https://host:port"))?;
    let stream = Stream::tcp(&target.address, deadline).map_err(|error| error.to_string())?;
    let mut channel = if target.tls {
        let name = if to.server_name.is_empty() { &target.host } else { &to.server_name };
        tls(to)?.over(stream, name).map_err(|error| error.to_string())?
    } else {
        Channel::Plain(stream)
    };
    let json = [("Content-Type".to_owned(), Hidden::new("application/json".to_owned()))];
    let (path, authority) = (target.path.as_str(), target.authority.as_str());
    let question = Question { method: "POST", path, authority, headers: &json, body };
    let answer = ask(&mut channel, &question, deadline, ANSWER_BYTES_MAX).map_err(|error| handshake_fault(&error))?;
    Ok((answer.status, answer.body))
}

fn tls(to: &ApiAddress) -> Result<Tls, String> {
    let shown = to.key_pem.as_ref().map(|key| (to.certificate_pem.as_bytes(), key.expose().as_slice()));
    match (to.authorities_pem.as_str(), shown) {
        ("", None) => Tls::new(std::env::var_os("SSL_CERT_FILE").map(Into::into)),
        ("", Some(_)) => Err("a client certificate needs leader_ca_cert beside it".to_owned()),
        (roots, shown) => Tls::trusting(roots.as_bytes(), shown),
    }
}
