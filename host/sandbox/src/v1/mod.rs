//! The host side of `wit/v1`: one file an interface, and the conversions between its
//! types and the model's. No rule of the broker lives here: each function counts,
//! checks sizes, and asks the call's `CallHost`.

mod cache;
mod databases;
mod digest;
pub(crate) mod driver;
mod effects;
pub(crate) mod exports;
mod http;
mod identity;
pub(crate) mod incoming;
mod keys;
mod lowered;
mod net;
pub(crate) mod sealer;
mod storage;
pub(crate) mod system;

use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker};

use crate::instance::CallData;

/// Generated from the WIT. The world is our own: the interfaces we link, and all
/// exports, so that their types are generated too. Calls of exports are in `exports`,
/// because the generated ones check the types of all exports on each instantiation.
#[allow(missing_docs, unreachable_pub, dead_code, clippy::all)]
mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/v1",
        inline: "
            package bulkhead:host;
            world host {
                import bulkhead:plugin/types@1.0.0;
                import bulkhead:plugin/system@1.0.0;
                import bulkhead:plugin/storage@1.0.0;
                import bulkhead:plugin/digest@1.0.0;
                import bulkhead:plugin/cache@1.0.0;
                import bulkhead:plugin/effects@1.0.0;
                import bulkhead:plugin/identity@1.0.0;
                export bulkhead:plugin/metadata@1.0.0;
                export bulkhead:plugin/lifecycle@1.0.0;
                export bulkhead:plugin/engine@1.0.0;
                export bulkhead:plugin/authenticator@1.0.0;
                export bulkhead:plugin/sealer@1.0.0;
            }
        ",
        world: "bulkhead:host/host",
        imports: {
            "bulkhead:plugin/system.wrap": async | trappable,
            "bulkhead:plugin/storage.acquire": async | trappable,
            "bulkhead:plugin/effects.intend": async | trappable,
            "bulkhead:plugin/digest.pbkdf2": async | trappable,
            "bulkhead:plugin/digest.password-hash": async | trappable,
            "bulkhead:plugin/digest.password-verify": async | trappable,
            default: trappable,
        },
        with: {
            "bulkhead:plugin/storage.lock": super::storage::HeldLock,
        },
        additional_derives: [serde::Serialize, serde::Deserialize],
    });
}

pub(crate) use bindings::bulkhead::plugin::types;

use bindings::bulkhead::plugin as wit;

/// Host functions for the interfaces that `grants` offers to what is mounted, and to drivers,
/// which may import fewer.
///
/// # Errors
/// Those of wasmtime, if a name were defined twice: a mistake of ours.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<CallData>> {
    type Own = HasSelf<CallData>;
    let mut linker = Linker::new(engine);
    wit::types::add_to_linker::<_, Own>(&mut linker, |data| data)?;
    wit::system::add_to_linker::<_, Own>(&mut linker, |data| data)?;
    wit::storage::add_to_linker::<_, Own>(&mut linker, |data| data)?;
    wit::digest::add_to_linker::<_, Own>(&mut linker, |data| data)?;
    wit::cache::add_to_linker::<_, Own>(&mut linker, |data| data)?;
    wit::effects::add_to_linker::<_, Own>(&mut linker, |data| data)?;
    wit::identity::add_to_linker::<_, Own>(&mut linker, |data| data)?;
    keys::link(&mut linker)?;
    net::link(&mut linker)?;
    http::link(&mut linker)?;
    databases::link_types(&mut linker)?;
    databases::link(&mut linker)?;
    // The two functions that hand out stored values are defined again so that the
    // host's copy of a value is wiped; the generated ones would only drop it.
    linker.allow_shadowing(true);
    storage::link_get(&mut linker)?;
    cache::link_get(&mut linker)?;
    linker.allow_shadowing(false);
    Ok(linker)
}

/// Host functions for exactly the interfaces that `grants` offers to seals.
///
/// # Errors
/// As for [`linker`].
pub(crate) fn seal_linker(engine: &Engine) -> wasmtime::Result<Linker<CallData>> {
    type Own = HasSelf<CallData>;
    let mut linker = Linker::new(engine);
    wit::types::add_to_linker::<_, Own>(&mut linker, |data| data)?;
    wit::system::add_to_linker::<_, Own>(&mut linker, |data| data)?;
    wit::digest::add_to_linker::<_, Own>(&mut linker, |data| data)?;
    keys::link_type(&mut linker)?;
    net::link_settings(&mut linker)?;
    http::link(&mut linker)?;
    Ok(linker)
}

impl wit::types::Host for CallData {}

#[cfg(test)]
mod tests;
