//! `keys`: handles of private keys that last as long as the call. Linked by hand: a guest that
//! wants what is not offered yet (keys of the mount, ciphers, agreement) is refused by name.

use std::sync::Arc;

use bulkhead_model::hidden::Hidden;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, LinkerInstance, Lower, Resource, ResourceType};

use super::digest::aside;
use crate::grants::interface_name;
use crate::instance::CallData;
use crate::keys::KeyError;
use crate::limits::KEY_BYTES_MAX;

pub(super) use crate::keys::Key;

/// `error`.
#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum Error {
    #[component(name = "unsupported")]
    Unsupported(String),
    #[component(name = "denied")]
    Denied(String),
    #[component(name = "not-found")]
    NotFound,
    #[component(name = "rejected")]
    Rejected,
    #[component(name = "failed")]
    Failed(String),
}

impl From<KeyError> for Error {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Unsupported(text) => Self::Unsupported(text),
            KeyError::Denied(text) => Self::Denied(text),
            KeyError::Rejected => Self::Rejected,
            KeyError::Failed => Self::Failed("the key could not be used".to_owned()),
        }
    }
}

/// `sign-options`.
#[derive(ComponentType, Lift)]
#[component(record)]
struct SignOptions {
    scheme: String,
    hash: String,
    prehashed: bool,
    #[component(name = "salt-length")]
    salt_length: Option<u32>,
    encoding: String,
    context: Vec<u8>,
}

type This = Resource<Key>;
type Store<'a> = StoreContextMut<'a, CallData>;
/// What guests are handed, or why not.
type Answer<T> = wasmtime::Result<Result<T, Error>>;

/// Defines that there are keys, which is all that seals have of it.
pub(super) fn link_type(linker: &mut Linker<CallData>) -> wasmtime::Result<()> {
    linker.instance(&interface_name("keys"))?.resource("key", ResourceType::host::<Key>(), |mut store, at| {
        store.data_mut().way_out()?.held.delete(Resource::<Key>::new_own(at))?;
        Ok(())
    })
}

/// Defines all that is offered.
pub(super) fn link(linker: &mut Linker<CallData>) -> wasmtime::Result<()> {
    link_type(linker)?;
    let mut keys = linker.instance(&interface_name("keys"))?;
    keys.func_wrap_async("generate", |mut store: Store<'_>, (algorithm, exportable): (String, bool)| {
        Box::new(async move { Ok((store.data_mut().generate(algorithm, exportable).await?,)) })
    })?;
    keys.func_wrap(
        "import",
        |mut store: Store<'_>, (algorithm, format, bytes, exportable): (String, String, Vec<u8>, bool)| {
            Ok((store.data_mut().import(&algorithm, &format, &Hidden::new(bytes), exportable)?,))
        },
    )?;
    methods(&mut keys)
}

fn methods(keys: &mut LinkerInstance<'_, CallData>) -> wasmtime::Result<()> {
    keys.func_wrap("[method]key.algorithm", |mut store: Store<'_>, (this,): (This,)| {
        Ok((store.data_mut().key(&this)?.algorithm().to_owned(),))
    })?;
    keys.func_wrap("[method]key.exportable", |mut store: Store<'_>, (this,): (This,)| {
        Ok((store.data_mut().key(&this)?.exportable,))
    })?;
    keys.func_wrap("[method]key.public-key", |mut store: Store<'_>, (this,): (This,)| {
        Ok((store.data_mut().key(&this)?.public_key().map_err(Error::from),))
    })?;
    keys.func_wrap("[method]key.export", |mut store: Store<'_>, (this, format): (This, String)| {
        Ok((store.data_mut().export(&this, &format)?,))
    })?;
    keys.func_wrap(
        "[method]key.sign",
        |mut store: Store<'_>, (this, message, options): (This, Vec<u8>, SignOptions)| {
            let message = Hidden::new(message);
            let plain = !options.prehashed && options.context.is_empty() && options.encoding != "raw";
            let key = store.data_mut().key(&this)?;
            if !plain || options.salt_length.is_some() {
                let text = "digests, contexts, salts of a length and raw signatures are not offered in this version";
                return Ok((Err(Error::Unsupported(text.to_owned())),));
            }
            Ok((key.sign(&options.scheme, &options.hash, message.expose()).map_err(Error::from),))
        },
    )
}

impl CallData {
    fn key(&mut self, this: &This) -> wasmtime::Result<&Key> {
        self.budget.host_call()?;
        Ok(self.way_out()?.held.get(this)?)
    }

    async fn generate(&mut self, algorithm: String, exportable: bool) -> Answer<This> {
        self.budget.host_call()?;
        self.budget.key_made()?;
        let made = aside(&self.password_places, move || Key::generate(&algorithm, exportable)).await?;
        self.keep(made.unwrap_or(Err(KeyError::Failed)))
    }

    fn import(&mut self, algorithm: &str, format: &str, bytes: &Hidden<Vec<u8>>, exportable: bool) -> Answer<This> {
        self.budget.host_call()?;
        if bytes.expose().len() > KEY_BYTES_MAX {
            return Ok(Err(Error::Failed(format!("a key may have {KEY_BYTES_MAX} bytes at most"))));
        }
        let imported = Key::import(format, bytes, exportable);
        // A key of another algorithm is not the one that was meant.
        let is_meant = |key: &Key| algorithm.is_empty() || key.algorithm() == algorithm;
        self.keep(imported.and_then(|key| if is_meant(&key) { Ok(key) } else { Err(KeyError::Rejected) }))
    }

    fn keep(&mut self, made: Result<Key, KeyError>) -> Answer<This> {
        Ok(match made {
            Ok(key) => Ok(self.way_out()?.held.push(key)?),
            Err(error) => Err(error.into()),
        })
    }

    fn export(&mut self, this: &This, format: &str) -> Answer<Arc<Vec<u8>>> {
        self.budget.host_call()?;
        let way_out = self.way_out()?;
        if !way_out.grants.exports_keys() {
            return Ok(Err(Error::Denied("keys.export".to_owned())));
        }
        let exported = way_out.held.get(this)?.export(format);
        Ok(exported.map(|mut bytes| self.lent.lend(std::mem::take(bytes.expose_mut()))).map_err(Error::from))
    }
}
