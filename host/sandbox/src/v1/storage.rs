//! `storage`: the mount's own keys, under the call's transaction. Which mount that is,
//! and what a key may look like, the broker's `CallHost` knows.

use std::sync::Arc;

use bulkhead_model::seam::plugin::{NamePage, StorageError};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};

use super::wit::storage::{Error, Host, HostLock, Page};
use crate::figures::Figures;
use crate::grants::interface_name;
use crate::instance::{CallData, stop};
use crate::limits::PAGE_NAMES_MAX;

/// The guest's handle of an advisory lock. The host holds the lock until the call
/// ends, so the handle carries nothing.
#[allow(unreachable_pub)] // the generated bindings name it in a public type
pub struct HeldLock;

/// What a storage function answers: outside, the end of the call; inside, what the
/// guest is told.
type Answer<T> = wasmtime::Result<Result<T, Error>>;

fn told<T>(figures: &Figures, result: Result<T, StorageError>) -> Answer<T> {
    if matches!(result, Err(StorageError::Denied(_) | StorageError::TooLarge(_))) {
        figures.denied.add_one();
    }
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(StorageError::TooLarge(limit)) => Ok(Err(Error::TooLarge(limit))),
        Err(StorageError::Denied(why)) => Ok(Err(Error::Denied(why))),
        Err(StorageError::Backend(why)) => Ok(Err(Error::Backend(why))),
        Err(StorageError::Stop(why)) => Err(stop(why)),
    }
}

fn page(page: NamePage) -> Page {
    Page { keys: page.keys, next: page.next }
}

/// No limit, or one that is too high, means the longest page there is.
fn page_limit(asked: u32) -> u32 {
    if asked == 0 { PAGE_NAMES_MAX } else { asked.min(PAGE_NAMES_MAX) }
}

/// Defines `get` so that the value is wiped here after the guest has its copy.
pub(super) fn link_get(linker: &mut Linker<CallData>) -> wasmtime::Result<()> {
    let get = |mut store: StoreContextMut<'_, CallData>, (key,): (String,)| {
        let data = store.data_mut();
        data.budget.read()?;
        let found = told(&data.limits.figures, data.host.get(&key))?;
        let lent: Result<Option<Arc<Vec<u8>>>, Error> = found.map(|value| value.map(|bytes| data.lent.lend(bytes)));
        Ok((lent,))
    };
    linker.instance(&interface_name("storage"))?.func_wrap("get", get)
}

impl Host for CallData {
    fn get(&mut self, key: String) -> Answer<Option<Vec<u8>>> {
        self.budget.read()?;
        told(&self.limits.figures, self.host.get(&key))
    }

    fn put(&mut self, key: String, value: Vec<u8>) -> Answer<()> {
        self.budget.write()?;
        told(&self.limits.figures, self.host.put(&key, value))
    }

    fn delete(&mut self, key: String) -> Answer<()> {
        self.budget.write()?;
        told(&self.limits.figures, self.host.delete(&key))
    }

    fn list(&mut self, prefix: String, after: Option<String>, limit: u32) -> Answer<Page> {
        self.budget.read()?;
        told(&self.limits.figures, self.host.list(&prefix, after.as_deref(), page_limit(limit)).map(page))
    }

    fn scan(&mut self, prefix: String, after: Option<String>, limit: u32) -> Answer<Page> {
        self.budget.read()?;
        told(&self.limits.figures, self.host.scan(&prefix, after.as_deref(), page_limit(limit)).map(page))
    }

    async fn acquire(&mut self, name: String, timeout_ms: u32) -> Answer<Resource<HeldLock>> {
        self.budget.host_call()?;
        self.budget.lock()?;
        told(&self.limits.figures, self.host.acquire(&name, timeout_ms).await.map(|()| Resource::new_own(0)))
    }
}

impl HostLock for CallData {
    fn drop(&mut self, _lock: Resource<HeldLock>) -> wasmtime::Result<()> {
        Ok(())
    }
}
