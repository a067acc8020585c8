//! `net`: its error, TLS settings and connections. Linked by hand, so that what connections carry
//! is wiped here once the guest has its copy, and a guest that wants what is not offered (TLS
//! without a socket, datagrams, names) is refused by name.

use std::sync::Arc;
use std::time::Duration;

use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::egress::{EgressError, Verification};
use bulkhead_model::seam::net::ClientIdentity;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, LinkerInstance, Lower, Resource, ResourceType};

use super::keys::Key;
use crate::grants::interface_name;
use crate::instance::{CallData, stop};
use crate::limits::{PARK_STATE_BYTES_MAX, PARK_TEXT_BYTES_MAX, READ_BYTES_MAX, ROOTS_PEM_BYTES_MAX};
use crate::outlets::Line;
use crate::way_out::TlsConfig;

/// `error`.
#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
pub(super) enum Error {
    #[component(name = "denied")]
    Denied(String),
    #[component(name = "resolve")]
    Resolve(String),
    #[component(name = "refused")]
    Refused(String),
    #[component(name = "timeout")]
    Timeout,
    #[component(name = "closed")]
    Closed,
    #[component(name = "tls")]
    Tls(String),
    #[component(name = "other")]
    Other(String),
}

/// `verification`.
#[derive(Clone, Copy, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "made out of the number that the guest has for it")]
enum Level {
    #[component(name = "full")]
    Full,
    #[component(name = "chain-only")]
    ChainOnly,
    #[component(name = "insecure")]
    Insecure,
}

type This = Resource<TlsConfig>;
type Store<'a> = StoreContextMut<'a, CallData>;

/// `tls-info`.
#[derive(ComponentType, Lower)]
#[component(record)]
struct TlsInfo {
    version: String,
    alpn: Option<String>,
    #[component(name = "peer-certificates")]
    peer_certificates: Vec<Vec<u8>>,
    #[component(name = "channel-binding")]
    channel_binding: Vec<u8>,
}

/// Defines TLS settings, which is all that seals have of it.
pub(super) fn link_settings(linker: &mut Linker<CallData>) -> wasmtime::Result<()> {
    let mut net = linker.instance(&interface_name("net"))?;
    net.resource("tls-config", ResourceType::host::<TlsConfig>(), |mut store, at| {
        store.data_mut().way_out()?.held.delete(Resource::<TlsConfig>::new_own(at))?;
        Ok(())
    })?;
    net.func_wrap("[constructor]tls-config", |mut store: Store<'_>, ()| {
        store.data_mut().budget.host_call()?;
        Ok((store.data_mut().way_out()?.held.push(TlsConfig::default())?,))
    })?;
    settings(&mut net)
}

/// Defines all that is offered.
pub(super) fn link(linker: &mut Linker<CallData>) -> wasmtime::Result<()> {
    link_settings(linker)?;
    let mut net = linker.instance(&interface_name("net"))?;
    net.resource("connection", ResourceType::host::<Line>(), |mut store, at| {
        store.data_mut().way_out()?.held.delete(Resource::<Line>::new_own(at))?;
        Ok(())
    })?;
    net.func_wrap_async(
        "connect",
        |mut store: Store<'_>, (address, tls, timeout): (String, Option<Resource<TlsConfig>>, u32)| {
            Box::new(async move { Ok((store.data_mut().connect(&address, tls, timeout).await?,)) })
        },
    )?;
    net.func_wrap("unpark", |mut store: Store<'_>, (pool,): (String,)| Ok((store.data_mut().unpark(pool)?,)))?;
    connections(&mut net)
}

fn connections(net: &mut LinkerInstance<'_, CallData>) -> wasmtime::Result<()> {
    net.func_wrap_async(
        "[method]connection.read",
        |mut store: Store<'_>, (this, max, timeout): (Resource<Line>, u32, u32)| {
            Box::new(async move { Ok((store.data_mut().read(&this, max, timeout).await?,)) })
        },
    )?;
    net.func_wrap_async(
        "[method]connection.write",
        |mut store: Store<'_>, (this, bytes, timeout): (Resource<Line>, Vec<u8>, u32)| {
            Box::new(async move { Ok((store.data_mut().write(&this, Hidden::new(bytes), timeout).await?,)) })
        },
    )?;
    net.func_wrap_async(
        "[method]connection.start-tls",
        |mut store: Store<'_>, (this, config, timeout): (Resource<Line>, Resource<TlsConfig>, u32)| {
            Box::new(async move { Ok((store.data_mut().start_tls(&this, &config, timeout).await?,)) })
        },
    )?;
    net.func_wrap("[method]connection.tls", |mut store: Store<'_>, (this,): (Resource<Line>,)| {
        store.data_mut().budget.host_call()?;
        let facts = store.data_mut().way_out()?.held.get(&this)?.wire.tls();
        Ok((facts.map(|facts| TlsInfo {
            version: facts.version,
            alpn: None,
            peer_certificates: facts.peer_certificates,
            channel_binding: facts.channel_binding,
        }),))
    })?;
    net.func_wrap(
        "[static]connection.park",
        |mut store: Store<'_>, (line, pool, state, idle): (Resource<Line>, String, Vec<u8>, u64)| {
            store.data_mut().park(line, pool, Hidden::new(state), Duration::from_secs(idle))
        },
    )
}

impl CallData {
    /// The shorter of what the guest asks for and what the call has left.
    fn within(&self, timeout_ms: u32) -> Duration {
        let left = Duration::from_millis(self.wall_ms.saturating_sub(self.meter.elapsed_ms()));
        if timeout_ms == 0 { left } else { left.min(Duration::from_millis(timeout_ms.into())) }
    }

    async fn connect(
        &mut self,
        address: &str,
        tls: Option<Resource<TlsConfig>>,
        timeout_ms: u32,
    ) -> wasmtime::Result<Result<Resource<Line>, Error>> {
        self.budget.host_call()?;
        self.budget.connection()?;
        self.host.touch_outside().map_err(stop)?;
        let within = self.within(timeout_ms);
        let way_out = self.way_out()?;
        let tls = tls.map(|tls| way_out.held.get(&tls).cloned()).transpose()?;
        let tls = tls.map(|tls| way_out.granted_tls(tls)).transpose();
        let (dialing, tls) = match way_out.dialing(address).and_then(|dialing| Ok((dialing, tls?))) {
            Ok(granted) => granted,
            Err(unsent) => return Ok(Err(EgressError::from(unsent).into())),
        };
        let connected = async {
            let mut line = dialing.connect(within).await?;
            if let Some(tls) = tls {
                line.start_tls(&tls, within).await?;
            }
            Ok::<_, EgressError>(line)
        };
        match connected.await {
            Ok(line) => Ok(Ok(self.way_out()?.held.push(line)?)),
            Err(error) => Ok(Err(error.into())),
        }
    }

    fn unpark(&mut self, pool: String) -> wasmtime::Result<Option<(Resource<Line>, Vec<u8>)>> {
        self.budget.host_call()?;
        self.host.touch_outside().map_err(stop)?;
        let Some((line, state)) = self.way_out()?.unpark(pool) else { return Ok(None) };
        // A place where nothing waits is looked into for nothing: pools have several.
        self.budget.connection()?;
        let way_out = self.way_out()?;
        let line = way_out.held.push(line)?;
        Ok(Some((line, state.expose().clone())))
    }

    fn park(
        &mut self,
        line: Resource<Line>,
        pool: String,
        state: Hidden<Vec<u8>>,
        idle: Duration,
    ) -> wasmtime::Result<()> {
        self.budget.host_call()?;
        let way_out = self.way_out()?;
        let line = way_out.held.delete(line)?;
        // What is too long is not kept: the connection ends, as it may at any time.
        if pool.len() <= PARK_TEXT_BYTES_MAX && state.expose().len() <= PARK_STATE_BYTES_MAX {
            way_out.outlets.park(&way_out.mount, (way_out.component.clone(), pool), (line, state), idle);
        }
        Ok(())
    }

    async fn read(
        &mut self,
        line: &Resource<Line>,
        max: u32,
        timeout_ms: u32,
    ) -> wasmtime::Result<Result<Arc<Vec<u8>>, Error>> {
        self.budget.host_call()?;
        let within = self.within(timeout_ms);
        let max = usize::try_from(max).unwrap_or(usize::MAX).clamp(1, READ_BYTES_MAX);
        let read = self.way_out()?.held.get_mut(line)?.wire.read(max, within).await;
        Ok(match read {
            Ok(mut bytes) => Ok(self.lent.lend(std::mem::take(bytes.expose_mut()))),
            Err(error) => Err(error.into()),
        })
    }

    async fn write(
        &mut self,
        line: &Resource<Line>,
        bytes: Hidden<Vec<u8>>,
        timeout_ms: u32,
    ) -> wasmtime::Result<Result<(), Error>> {
        self.budget.host_call()?;
        let within = self.within(timeout_ms);
        let written = self.way_out()?.held.get_mut(line)?.wire.write(bytes.expose(), within).await;
        Ok(written.map_err(Error::from))
    }

    async fn start_tls(
        &mut self,
        line: &Resource<Line>,
        config: &Resource<TlsConfig>,
        timeout_ms: u32,
    ) -> wasmtime::Result<Result<(), Error>> {
        self.budget.host_call()?;
        let within = self.within(timeout_ms);
        let way_out = self.way_out()?;
        let tls = match way_out.granted_tls(way_out.held.get(config)?.clone()) {
            Ok(tls) => tls,
            Err(unsent) => return Ok(Err(EgressError::from(unsent).into())),
        };
        let started = way_out.held.get_mut(line)?.start_tls(&tls, within).await;
        Ok(started.map_err(Error::from))
    }
}

/// Longest name of a server, in bytes. Source: RFC 1035.
const SERVER_NAME_BYTES_MAX: usize = 255;

fn settings(net: &mut LinkerInstance<'_, CallData>) -> wasmtime::Result<()> {
    net.func_wrap("[method]tls-config.server-name", |store: Store<'_>, (this, name): (This, String)| {
        set(store, &this, |config| {
            let is_long = name.len() > SERVER_NAME_BYTES_MAX;
            config.lack(is_long, "a server's name of that length");
            config.asked.server_name = (!is_long).then_some(name);
        })
    })?;
    net.func_wrap("[method]tls-config.roots-pem", |mut store: Store<'_>, (this, pem): (This, Vec<u8>)| {
        store.data_mut().budget.host_call()?;
        if pem.len() > ROOTS_PEM_BYTES_MAX {
            return Ok((Err(Error::Tls("the roots are over 512 KiB".to_owned())),));
        }
        set(store, &this, |config| config.asked.roots_pem = Some(pem))?;
        Ok((Ok::<(), Error>(()),))
    })?;
    net.func_wrap(
        "[method]tls-config.client-identity",
        |mut store: Store<'_>, (this, chain_pem, key): (This, Vec<u8>, Resource<Key>)| {
            store.data_mut().budget.host_call()?;
            if chain_pem.len() > ROOTS_PEM_BYTES_MAX {
                return Ok((Err(Error::Tls("the client certificate is over 512 KiB".to_owned())),));
            }
            let key = store.data_mut().way_out()?.held.get(&key)?.pkcs8().duplicate();
            set(store, &this, |config| config.identity = Some(Arc::new(ClientIdentity { chain_pem, key })))?;
            Ok((Ok::<(), Error>(()),))
        },
    )?;
    net.func_wrap("[method]tls-config.verification", |store: Store<'_>, (this, level): (This, Level)| {
        set(store, &this, |config| config.asked.verification = level.into())
    })?;
    net.func_wrap("[method]tls-config.alpn", |store: Store<'_>, (this, protocols): (This, Vec<String>)| {
        let http = protocols.iter().all(|protocol| protocol == "http/1.1");
        set(store, &this, |config| config.lack(!http, "any protocol but http/1.1"))
    })?;
    net.func_wrap("[method]tls-config.min-version", |store: Store<'_>, (this, version): (This, String)| {
        set(store, &this, |config| {
            config.only_tls13 = version == "1.3";
            config.lack(!matches!(version.as_str(), "1.2" | "1.3"), "a lowest version of TLS but 1.2 and 1.3");
        })
    })
}

fn set(mut store: Store<'_>, this: &This, change: impl FnOnce(&mut TlsConfig)) -> wasmtime::Result<()> {
    let data = store.data_mut();
    data.budget.host_call()?;
    change(data.way_out()?.held.get_mut(this)?);
    Ok(())
}

impl TlsConfig {
    fn lack(&mut self, lacks: bool, what: &'static str) {
        self.lacking = if lacks { Some(what) } else { self.lacking };
    }
}

impl From<Level> for Verification {
    fn from(level: Level) -> Self {
        match level {
            Level::Full => Self::Full,
            Level::ChainOnly => Self::ChainOnly,
            Level::Insecure => Self::Insecure,
        }
    }
}

impl From<EgressError> for Error {
    fn from(error: EgressError) -> Self {
        match error {
            EgressError::Denied(grant) => Self::Denied(grant),
            EgressError::Resolve(text) => Self::Resolve(text),
            EgressError::Refused(text) => Self::Refused(text),
            EgressError::Timeout => Self::Timeout,
            EgressError::Closed => Self::Closed,
            EgressError::Tls(text) => Self::Tls(text),
            EgressError::Other(text) => Self::Other(text),
        }
    }
}
