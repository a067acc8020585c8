//! `net`, as far as `http` speaks of it: its error, and TLS settings; and of `keys` that there
//! are keys. Linked by hand, so that a guest that wants more of them is refused by name.

use bulkhead_model::seam::egress::{EgressError, Verification};
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, LinkerInstance, Lower, Resource, ResourceType};

use crate::grants::interface_name;
use crate::instance::CallData;
use crate::limits::ROOTS_PEM_BYTES_MAX;
use crate::way_out::{TlsConfig, Unsent};

/// `keys.key`. Nothing gives one out yet.
pub(super) struct Key;

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

/// Defines what is offered.
pub(super) fn link(linker: &mut Linker<CallData>) -> wasmtime::Result<()> {
    linker.instance(&interface_name("keys"))?.resource("key", ResourceType::host::<Key>(), |_, _| Ok(()))?;
    let mut net = linker.instance(&interface_name("net"))?;
    net.resource("tls-config", ResourceType::host::<TlsConfig>(), |mut store, at| {
        let tls = &mut store.data_mut().way_out()?.tls;
        tls.delete(Resource::<TlsConfig>::new_own(at))?;
        Ok(())
    })?;
    net.func_wrap("[constructor]tls-config", |mut store: Store<'_>, ()| {
        store.data_mut().budget.host_call()?;
        Ok((store.data_mut().way_out()?.tls.push(TlsConfig::default())?,))
    })?;
    settings(&mut net)
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
    net.func_wrap("[method]tls-config.client-identity", |mut store: Store<'_>, _: (This, Vec<u8>, Resource<Key>)| {
        store.data_mut().budget.host_call()?;
        Ok((Err::<(), Error>(Error::Tls("a client certificate is not offered in this version".to_owned())),))
    })?;
    net.func_wrap("[method]tls-config.verification", |store: Store<'_>, (this, level): (This, Level)| {
        set(store, &this, |config| config.asked.verification = level.into())
    })?;
    net.func_wrap("[method]tls-config.alpn", |store: Store<'_>, (this, protocols): (This, Vec<String>)| {
        let http = protocols.iter().all(|protocol| protocol == "http/1.1");
        set(store, &this, |config| config.lack(!http, "any protocol but http/1.1"))
    })?;
    net.func_wrap("[method]tls-config.min-version", |store: Store<'_>, (this, version): (This, String)| {
        set(store, &this, |config| config.lack(version != "1.2", "any lowest version of TLS but 1.2"))
    })
}

fn set(mut store: Store<'_>, this: &This, change: impl FnOnce(&mut TlsConfig)) -> wasmtime::Result<()> {
    let data = store.data_mut();
    data.budget.host_call()?;
    change(data.way_out()?.tls.get_mut(this)?);
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

impl From<Unsent> for Error {
    fn from(unsent: Unsent) -> Self {
        match unsent {
            Unsent::Denied(grant) => Self::Denied(grant),
            Unsent::Tls(text) => Self::Tls(text),
            Unsent::Wrong(text) => Self::Other(text),
        }
    }
}

impl From<EgressError> for Error {
    fn from(error: EgressError) -> Self {
        match error {
            EgressError::Resolve(text) => Self::Resolve(text),
            EgressError::Refused(text) => Self::Refused(text),
            EgressError::Timeout => Self::Timeout,
            EgressError::Closed => Self::Closed,
            EgressError::Tls(text) => Self::Tls(text),
            EgressError::Other(text) => Self::Other(text),
        }
    }
}
