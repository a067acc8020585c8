//! `http`: one request to a server outside. Linked by hand, so that bodies and headers, which may
//! hold secrets, are wiped here once the guest has its copy.

use std::sync::Arc;
use std::time::Duration;

use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::egress::{EgressError, EgressResponse};
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, Lower, Resource};

use super::net::Error;
use crate::grants::interface_name;
use crate::instance::{CallData, stop};
use crate::way_out::{Draft, TlsConfig};

/// `request`.
#[derive(ComponentType, Lift)]
#[component(record)]
struct Request {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// `options`. Redirects are not followed, whatever the guest allows: where they lead is a
/// matter of grants.
#[derive(ComponentType, Lift)]
#[component(record)]
struct Options {
    #[component(name = "timeout-ms")]
    timeout_ms: u32,
    #[component(name = "max-body")]
    max_body: u64,
    #[component(name = "follow-redirects")]
    _follow_redirects: u32,
}

/// `response`.
#[derive(ComponentType, Lower)]
#[component(record)]
struct Response {
    status: u16,
    headers: Vec<(String, String)>,
    body: Arc<Vec<u8>>,
    #[component(name = "peer-certificates")]
    peer_certificates: Vec<Vec<u8>>,
}

type Arguments = (Request, Option<Resource<TlsConfig>>, Options);

/// Defines `send`.
pub(super) fn link(linker: &mut Linker<CallData>) -> wasmtime::Result<()> {
    linker.instance(&interface_name("http"))?.func_wrap_async(
        "send",
        |mut store: StoreContextMut<'_, CallData>, (request, tls, options): Arguments| {
            Box::new(async move { Ok((store.data_mut().send(request, tls, options).await?,)) })
        },
    )
}

impl CallData {
    async fn send(
        &mut self,
        request: Request,
        tls: Option<Resource<TlsConfig>>,
        options: Options,
    ) -> wasmtime::Result<Result<Response, Error>> {
        let hidden = |(name, value)| (name, Hidden::new(value));
        let (body, headers) = (Hidden::new(request.body), request.headers.into_iter().map(hidden).collect());
        self.budget.host_call()?;
        self.budget.http_request()?;
        let left = Duration::from_millis(self.wall_ms.saturating_sub(self.meter.elapsed_ms()));
        let way_out = self.way_out()?;
        let draft = Draft {
            method: request.method,
            url: request.url,
            headers,
            body,
            tls: tls.map(|tls| way_out.held.get(&tls).cloned()).transpose()?.unwrap_or_default(),
            within: Duration::from_millis(options.timeout_ms.into()),
            body_bytes_max: options.max_body,
        };
        let admitted = match way_out.admit(draft, left) {
            Ok(admitted) => admitted,
            Err(unsent) => return Ok(Err(EgressError::from(unsent).into())),
        };
        let egress = Arc::clone(&way_out.ways.egress);
        self.host.touch_outside().map_err(stop)?;
        Ok(egress.send(admitted).await.map(|answer| self.lend(answer)).map_err(Error::from))
    }

    fn lend(&mut self, mut answer: EgressResponse) -> Response {
        let EgressResponse { status, headers, peer_certificates, .. } = answer;
        let body = self.lent.lend(std::mem::take(answer.body.expose_mut()));
        Response { status, headers, body, peer_certificates }
    }
}
