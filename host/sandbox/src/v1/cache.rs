//! `cache`: node-local memory that may forget. The broker bounds it per mount.

use std::sync::Arc;

use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

use super::wit::cache::Host;
use crate::grants::interface_name;
use crate::instance::CallData;

/// Storage keys one entry may depend on. Source: ours. Why: each write of any of them
/// looks for the entries that depend on it.
const DEPENDENCIES_MAX: usize = 64;

/// Defines `get` so that the value is wiped here after the guest has its copy.
pub(super) fn link_get(linker: &mut Linker<CallData>) -> wasmtime::Result<()> {
    let get = |mut store: StoreContextMut<'_, CallData>, (key,): (String,)| {
        let data = store.data_mut();
        data.budget.host_call()?;
        let lent: Option<Arc<Vec<u8>>> = data.host.cache_get(&key).map(|bytes| data.lent.lend(bytes));
        Ok((lent,))
    };
    linker.instance(&interface_name("cache"))?.func_wrap("get", get)
}

impl Host for CallData {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        self.budget.host_call()?;
        Ok(self.host.cache_get(&key))
    }

    fn put(&mut self, key: String, value: Vec<u8>, ttl: u64, depends_on: Vec<String>) -> wasmtime::Result<()> {
        self.budget.host_call()?;
        // An entry whose dependencies were not all watched would go stale; the contract
        // lets the cache forget at any time, so it forgets at once.
        if depends_on.len() <= DEPENDENCIES_MAX {
            self.host.cache_put(&key, value, ttl, &depends_on);
        }
        Ok(())
    }

    fn remove(&mut self, key: String) -> wasmtime::Result<()> {
        self.budget.host_call()?;
        self.host.cache_remove(&key);
        Ok(())
    }
}
