//! Posts to the API of another node, once, within a time. What is posted tells no secret that
//! only TLS would keep; even so, plain HTTP is spoken only where the operator wrote `http://`.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bulkhead_model::hidden::{Hidden, HiddenBuffer};
use bulkhead_model::seam::peer::{ApiAddress, ApiClient};

use crate::connect::stream::{Stream, timed_out};
use crate::connect::target::Target;
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
    let channel = if target.tls {
        let name = if to.server_name.is_empty() { &target.host } else { &to.server_name };
        tls(to)?.over(stream, name).map_err(|error| error.to_string())?
    } else {
        Channel::Plain(stream)
    };
    exchange(channel, &target, body, deadline).map_err(|error| error.to_string())
}

fn tls(to: &ApiAddress) -> Result<Tls, String> {
    let shown = to.key_pem.as_ref().map(|key| (to.certificate_pem.as_bytes(), key.expose().as_slice()));
    match (to.authorities_pem.as_str(), shown) {
        ("", None) => Tls::new(std::env::var_os("SSL_CERT_FILE").map(Into::into)),
        ("", Some(_)) => Err("a client certificate needs leader_ca_cert beside it".to_owned()),
        (roots, shown) => Tls::trusting(roots.as_bytes(), shown),
    }
}

fn exchange(
    mut channel: Channel,
    target: &Target,
    body: &Hidden<Vec<u8>>,
    deadline: Instant,
) -> io::Result<(u16, Hidden<Vec<u8>>)> {
    let mut request = HiddenBuffer::with_capacity(512 + body.expose().len());
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        target.path,
        target.authority,
        body.expose().len()
    );
    request.push(head.as_bytes());
    request.push(body.expose());
    channel.stream().bound(deadline)?;
    channel.write_all(request.into_hidden().expose())?;
    channel.flush()?;
    let mut answer = Hidden::new(Vec::with_capacity(ANSWER_BYTES_MAX));
    let mut buffer = [0; 4096];
    loop {
        if let Some(whole) = parsed(answer.expose()) {
            return Ok(whole);
        }
        if answer.expose().len() + buffer.len() > ANSWER_BYTES_MAX {
            return Err(io::Error::other("its answer is too long"));
        }
        channel.stream().bound(deadline)?;
        match channel.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => answer.expose_mut().extend_from_slice(&buffer[..count]),
        }
    }
}

/// Status and body, once all of it has come. The API says how long its bodies are.
fn parsed(answer: &[u8]) -> Option<(u16, Hidden<Vec<u8>>)> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let mut lines = head.lines();
    let status: u16 = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let length =
        lines.filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: usize = match length {
        Some((_, value)) => value.trim().parse().ok()?,
        None => 0,
    };
    let body = answer[end + 4..].get(..length)?;
    Some((status, Hidden::new(body.to_vec())))
}

#[cfg(test)]
mod tests {
    use super::parsed;

    #[test]
    fn an_answer_is_read_once_it_is_whole() {
        let whole = b"HTTP/1.1 503 Service Unavailable\r\nContent-length: 5\r\n\r\nhello";
        let (status, body) = parsed(whole).expect("it is whole");
        assert_eq!((status, body.expose().as_slice()), (503, &b"hello"[..]));
        assert!((0..whole.len()).all(|end| parsed(&whole[..end]).is_none()));
    }
}
