//! The exports of a component, for every [`Plugin`], [`Seal`] and [`Driver`]: enter, call, hand back.

use crate::bindings::authenticator::exports::bulkhead::plugin::authenticator;
use crate::bindings::driver::exports::bulkhead::plugin::{database, driver_info};
use crate::bindings::engine::exports::bulkhead::plugin::engine;
use crate::bindings::lifecycle::exports::bulkhead::plugin::lifecycle;
use crate::bindings::metadata::exports::bulkhead::plugin::metadata;
use crate::bindings::mounted::bulkhead::plugin::types::{
    AuthGrant, Descriptor, Error, IssuedAuth, Json, Lease, Renewal, Request,
};
use crate::bindings::sealer::exports::bulkhead::plugin::sealer;
use crate::driver::{Driver, Settings, UserChange, UserRemoval, UserSpec};
use crate::{Cx, Plugin, Seal};

/// A panic becomes a line in the operator's log, then a trap; its text may hold secrets,
/// so it never becomes an answer.
fn enter() -> Cx {
    #[cfg(target_arch = "wasm32")]
    std::panic::set_hook(Box::new(|panic| {
        use crate::bindings::mounted::bulkhead::plugin::system;
        system::log(system::Level::Error, &panic.to_string(), &[]);
    }));
    Cx::new()
}

impl<P: Plugin> metadata::Guest for P {
    fn describe() -> Descriptor {
        // The store that `describe` runs in links no capability, not even the log.
        <P as Plugin>::describe()
    }
}

impl<P: Plugin> lifecycle::Guest for P {
    fn initialize(reason: lifecycle::Reason) -> Result<(), Error> {
        <P as Plugin>::initialize(&enter(), reason)
    }

    fn upgrade(from: u32, cursor: Option<String>) -> Result<lifecycle::UpgradeStep, Error> {
        <P as Plugin>::upgrade(&enter(), from, cursor)
    }

    fn run_job(job: String, key: String, payload: Json) -> Result<lifecycle::JobOutcome, Error> {
        <P as Plugin>::run_job(&enter(), &job, &key, &payload)
    }

    fn rollback(kind: String, data: Json) -> Result<(), Error> {
        <P as Plugin>::rollback(&enter(), &kind, &data)
    }
}

impl<P: Plugin> engine::Guest for P {
    fn exists(request: Request) -> Result<bool, Error> {
        <P as Plugin>::exists(&enter(), &request)
    }

    fn handle(request: Request) -> Result<engine::Outcome, Error> {
        let reply = <P as Plugin>::handle(&enter(), &request)?;
        Ok(engine::Outcome { response: reply.response, lease: reply.lease })
    }

    fn renew(lease: Lease, increment: Option<u64>) -> Result<Renewal, Error> {
        <P as Plugin>::renew(&enter(), &lease, increment)
    }

    fn revoke(lease: Lease) -> Result<(), Error> {
        <P as Plugin>::revoke(&enter(), &lease)
    }
}

impl<P: Plugin> authenticator::Guest for P {
    fn exists(request: Request) -> Result<bool, Error> {
        <P as Plugin>::exists(&enter(), &request)
    }

    fn handle(request: Request) -> Result<authenticator::Outcome, Error> {
        let reply = <P as Plugin>::handle(&enter(), &request)?;
        Ok(authenticator::Outcome { response: reply.response, auth: reply.auth })
    }

    fn renew(issued: IssuedAuth, increment: Option<u64>) -> Result<AuthGrant, Error> {
        <P as Plugin>::renew_token(&enter(), issued, increment)
    }
}

impl<S: Seal> sealer::Guest for S {
    fn check(config: Json) -> Result<sealer::Status, Error> {
        <S as Seal>::check(&enter(), &crate::seal::config(&config)?)
    }

    fn wrap(config: Json, plaintext: Vec<u8>, aad: Vec<u8>) -> Result<sealer::Wrapped, Error> {
        <S as Seal>::wrap(&enter(), &crate::seal::config(&config)?, &plaintext, &aad)
    }

    fn unwrap(config: Json, wrapped: sealer::Wrapped, aad: Vec<u8>) -> Result<Vec<u8>, Error> {
        <S as Seal>::unwrap(&enter(), &crate::seal::config(&config)?, &wrapped, &aad)
    }
}

impl<D: Driver> driver_info::Guest for D {
    fn credential_kinds() -> Vec<String> {
        <D as Driver>::credential_kinds().iter().map(|kind| (*kind).to_owned()).collect()
    }
}

impl<D: Driver> database::Guest for D {
    fn verify(config: Json, connect: bool) -> Result<Json, Error> {
        Ok(<D as Driver>::verify(&enter(), &Settings::read(&config)?, connect)?.json().into_bytes())
    }

    fn propose_username(config: Json, request: UserSpec) -> Result<String, Error> {
        <D as Driver>::propose_username(&enter(), &Settings::read(&config)?, &request)
    }

    fn create_user(config: Json, request: UserSpec) -> Result<String, Error> {
        <D as Driver>::create_user(&enter(), &Settings::read(&config)?, &request)
    }

    fn change_user(config: Json, request: UserChange) -> Result<(), Error> {
        <D as Driver>::change_user(&enter(), &Settings::read(&config)?, &request)
    }

    fn delete_user(config: Json, request: UserRemoval) -> Result<(), Error> {
        <D as Driver>::delete_user(&enter(), &Settings::read(&config)?, &request)
    }
}

/// Makes the crate a secrets engine: `export_engine!(Codes);`.
#[macro_export]
macro_rules! export_engine {
    ($plugin:ident) => {
        $crate::export_parts!(mounted $plugin: engine export_engine_part);
    };
}

/// Makes the crate an auth method: `export_auth_method!(Phrases);`.
#[macro_export]
macro_rules! export_auth_method {
    ($plugin:ident) => {
        $crate::export_parts!(mounted $plugin: authenticator export_authenticator_part);
    };
}

/// Makes the crate a seal: `export_seal!(Vault);`.
#[macro_export]
macro_rules! export_seal {
    ($seal:ident) => {
        $crate::export_parts!(bare seal $seal: sealer export_sealer_part);
    };
}

/// Makes the crate a driver of databases: `export_driver!(Postgres);`.
#[macro_export]
macro_rules! export_driver {
    ($driver:ident) => {
        $crate::export_parts!(bare driver $driver: driver export_driver_part);
    };
}

/// What the four above have in common: which parts of the bindings a type is exported by. Not to be used by itself.
#[doc(hidden)]
#[macro_export]
macro_rules! export_parts {
    // It has routes and data, and says so itself.
    (mounted $type:ident: $part:ident $export:ident) => {
        $crate::export_parts!({} metadata export_metadata_part $type, lifecycle export_lifecycle_part $type, $part $export $type);
    };
    // It has neither: what it says about itself is made of its constants.
    (bare $kind:ident $type:ident: $part:ident $export:ident) => {
        $crate::export_parts!({
            struct About;
            impl $crate::bindings::metadata::exports::bulkhead::plugin::metadata::Guest for About {
                fn describe() -> $crate::bindings::mounted::bulkhead::plugin::types::Descriptor {
                    $crate::describe::$kind::<$type>()
                }
            }
        } metadata export_metadata_part About, $part $export $type);
    };
    ({ $($item:item)* } $($part:ident $export:ident $type:ident),+) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, missing_docs, unreachable_pub, clippy::all)] // the exports of the canonical ABI
        const _: () = {
            $($item)*
            $($crate::bindings::$part::$export!($type with_types_in $crate::bindings::$part);)+
        };
    };
}
