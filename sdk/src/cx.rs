//! What a handler may do beside answering. A `Cx` costs nothing: it stands for the call.
//! Time, log, storage and the node's memory are here, the rest by noun in its own file.

use crate::bindings::mounted::bulkhead::plugin::storage::Page as StoredPage;
use crate::bindings::mounted::bulkhead::plugin::system::{Level, Mount};
use crate::bindings::mounted::bulkhead::plugin::types::Timestamp;
use crate::error::{names_refused, put_refused};
use crate::host;
use crate::{Error, Keys, Page, Result, Stored};

mod digest;
mod effects;
mod identity;

pub use effects::{IntentId, Lock};

/// Names asked of the host at a time while walking over a whole folder.
const WALK_NAMES: u32 = 1_000;

/// The call: its time, mount, storage and other means. All reads and writes of one call
/// are one transaction, committed when the handler returns `Ok`.
#[derive(Debug)]
pub struct Cx(());

impl Cx {
    /// Only the glue and the bench make one.
    pub(crate) const fn new() -> Self {
        Self(())
    }

    /// The time, in milliseconds since 1970; the same during the whole call.
    #[must_use]
    pub fn now_ms(&self) -> Timestamp {
        host::system::now()
    }

    /// Facts about the mount.
    #[must_use]
    pub fn mount(&self) -> Mount {
        host::system::mount_info()
    }

    /// The mount's option of this name; empty if it has none.
    #[must_use]
    pub fn option(&self, name: &str) -> String {
        let options = self.mount().options;
        options.into_iter().find(|(n, _)| n == name).map(|(_, value)| value).unwrap_or_default()
    }

    /// A line for the operator's log. Name things, never values.
    pub fn log(&self, level: Level, message: &str, fields: &[(&str, &str)]) {
        let fields: Vec<_> = fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        host::system::log(level, message, &fields);
    }

    /// A line at level info.
    pub fn log_info(&self, message: &str, fields: &[(&str, &str)]) {
        self.log(Level::Info, message, fields);
    }

    /// The record with this name.
    ///
    /// # Errors
    /// Whatever storage or decoding says.
    pub fn get<T: Stored>(&self, name: &str) -> Result<Option<T>> {
        self.get_bytes(&T::key(name))?.map(|bytes| T::decode(&bytes)).transpose()
    }

    /// The record with this name, which must exist.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it does not.
    pub fn require<T: Stored>(&self, name: &str) -> Result<T> {
        self.get(name)?.ok_or(Error::NotFound)
    }

    /// Writes a record.
    ///
    /// # Errors
    /// Whatever storage or encoding says.
    pub fn put<T: Stored>(&self, name: &str, record: &T) -> Result<()> {
        self.put_bytes(&T::key(name), &record.encode()?)
    }

    /// Removes a record; that it does not exist is no error.
    ///
    /// # Errors
    /// Whatever storage says.
    pub fn delete<T: Stored>(&self, name: &str) -> Result<()> {
        self.delete_key(&T::key(name))
    }

    /// The names of records of this type.
    ///
    /// # Errors
    /// Whatever storage says.
    pub fn list<T: Stored>(&self, page: &Page) -> Result<Keys> {
        Ok(Keys(self.names(T::FOLDER, page, false)?))
    }

    /// The bytes at a key.
    ///
    /// # Errors
    /// Whatever storage says.
    pub fn get_bytes(&self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(host::storage::get(key)?)
    }

    /// Writes bytes at a key.
    ///
    /// # Errors
    /// Whatever storage says.
    pub fn put_bytes(&self, key: &str, value: &[u8]) -> Result<()> {
        host::storage::put(key, value).map_err(|error| put_refused(error, value.len()))
    }

    /// Removes a key.
    ///
    /// # Errors
    /// Whatever storage says.
    pub fn delete_key(&self, key: &str) -> Result<()> {
        Ok(host::storage::delete(key)?)
    }

    /// The names below a folder (empty, or ending in a slash): direct members in byte
    /// order, or with `deep` all keys below it. Those come page by page in an order of the
    /// store's own, which is always the same, so that a page costs what is on it; without
    /// a limit they are sorted. To go on, pass the last one as `after`.
    ///
    /// # Errors
    /// Whatever storage says.
    pub fn names(&self, folder: &str, page: &Page, deep: bool) -> Result<Vec<String>> {
        let wanted = usize::try_from(page.limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
        let mut after = Some(page.after.clone()).filter(|after| !after.is_empty());
        let mut names = Vec::new();
        loop {
            let missing = u32::try_from(wanted - names.len()).unwrap_or(u32::MAX);
            let page = stored_page(folder, after.as_deref(), missing.min(WALK_NAMES), deep)?;
            names.extend(page.keys);
            match page.next {
                Some(next) if names.len() < wanted => after = Some(next),
                _ => break,
            }
        }
        if deep && wanted == usize::MAX {
            names.sort_unstable();
        }
        Ok(names)
    }

    /// What the node remembers under this key, if it still does.
    #[must_use]
    pub fn cached(&self, key: &str) -> Option<Vec<u8>> {
        host::cache::get(key)
    }

    /// Lets the node remember bytes until one of these storage keys (or folders) changes.
    pub fn remember(&self, key: &str, value: &[u8], ttl_secs: u64, depends_on: &[String]) {
        host::cache::put(key, value, ttl_secs, depends_on);
    }

    /// Lets the node forget it now.
    pub fn forget(&self, key: &str) {
        host::cache::remove(key);
    }
}

fn stored_page(folder: &str, after: Option<&str>, limit: u32, deep: bool) -> Result<StoredPage> {
    let page = if deep { host::storage::scan(folder, after, limit) } else { host::storage::list(folder, after, limit) };
    page.map_err(names_refused)
}
