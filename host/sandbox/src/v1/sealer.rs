//! The exports of a seal, and the types that go through them.

use wasmtime::Store;
use wasmtime::StoreLimits;
use wasmtime::component::{Component, ComponentExportIndex, Instance};

use super::bindings::exports::bulkhead::plugin::sealer;
use super::exports::{find_export, unlike_the_wit};
use super::types::Error;
use crate::error::SandboxError;

pub(crate) use sealer::{Status, Wrapped};

/// Parameters of each export, as the WIT has them: the config, and what is to be done.
pub(crate) type CheckIn<'a> = (&'a [u8],);
pub(crate) type WrapIn<'a> = (&'a [u8], &'a [u8], &'a [u8]);
pub(crate) type UnwrapIn<'a> = (&'a [u8], &'a Wrapped, &'a [u8]);
pub(crate) type Out<T> = (Result<T, Error>,);

/// Where a seal's exports are.
#[derive(Clone, Copy)]
pub(crate) struct SealExports {
    pub(crate) check: ComponentExportIndex,
    pub(crate) wrap: ComponentExportIndex,
    pub(crate) unwrap: ComponentExportIndex,
}

impl SealExports {
    /// # Errors
    /// [`SandboxError::NotAPlugin`], naming the export that is missing.
    pub(crate) fn find(component: &Component) -> Result<Self, SandboxError> {
        let find = |function| find_export(component, "sealer", function);
        Ok(Self { check: find("check")?, wrap: find("wrap")?, unwrap: find("unwrap")? })
    }

    /// Checks the types of all exports against the WIT.
    ///
    /// # Errors
    /// [`SandboxError::Compile`], naming what differs.
    pub(crate) fn check(self, instance: &Instance, store: &mut Store<StoreLimits>) -> Result<(), SandboxError> {
        let check = instance.get_typed_func::<CheckIn<'_>, Out<Status>>(&mut *store, self.check);
        let wrap = instance.get_typed_func::<WrapIn<'_>, Out<Wrapped>>(&mut *store, self.wrap);
        let unwrap = instance.get_typed_func::<UnwrapIn<'_>, Out<Vec<u8>>>(&mut *store, self.unwrap);
        check.map(drop).and(wrap.map(drop)).and(unwrap.map(drop)).map_err(unlike_the_wit)
    }
}
