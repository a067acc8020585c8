//! When secret ids end: an index in the order of time, in folders of ten minutes, so that
//! clearing away costs what there is to clear. An entry's name has all that is needed to
//! remove its secret id; nothing has to be read for it.

use bulkhead_sdk::prelude::*;

use crate::records::Place;

/// Time covered by a folder, in milliseconds. Why: in 32 days there are some thousand
/// folders, and the one of now has few entries that are still to come.
const FOLDER_MS: u64 = 600_000;

/// What ends, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) ends_ms: u64,
    pub(crate) place: Place,
    pub(crate) hmac: String,
    pub(crate) accessor: String,
}

impl Entry {
    fn key(&self) -> String {
        let Self { ends_ms, place, hmac, accessor } = self;
        let folder = Place::expiry(place.is_local);
        format!("{folder}{:010}/{ends_ms:016}.{}.{hmac}.{accessor}", ends_ms / FOLDER_MS, place.space)
    }

    fn parse(is_local: bool, name: &str) -> Option<Self> {
        let mut parts = name.split('.');
        let mut next = || parts.next().map(str::to_owned);
        let (ends_ms, space, hmac, accessor) = (next()?.parse().ok()?, next()?, next()?, next()?);
        Some(Self { ends_ms, place: Place { is_local, space }, hmac, accessor })
    }

    /// Removes the secret id and all that leads to it.
    pub(crate) fn end(&self, cx: &Cx) -> Result<()> {
        cx.delete_key(&[&self.place.secret_ids(), self.hmac.as_str()].concat())?;
        cx.delete_key(&[&self.place.accessors(), self.accessor.as_str()].concat())?;
        self.forget(cx)
    }

    /// Removes the entry alone; that of what does not end is not there.
    fn forget(&self, cx: &Cx) -> Result<()> {
        if self.ends_ms == 0 { Ok(()) } else { cx.delete_key(&self.key()) }
    }

    /// Writes the entry, unless it never ends.
    pub(crate) fn enter(&self, cx: &Cx) -> Result<()> {
        if self.ends_ms == 0 { Ok(()) } else { cx.put_bytes(&self.key(), b"1") }
    }
}

/// At most so many of what has ended by now, first of all those that ended first.
pub(crate) fn ended(cx: &Cx, is_local: bool, limit: usize) -> Result<Vec<Entry>> {
    let now_ms = cx.now_ms();
    let top = Place::expiry(is_local);
    let mut found = Vec::new();
    for folder in cx.names(top, &Page::default(), false)? {
        let begins = folder.trim_end_matches('/').parse::<u64>().map_or(0, |count| count.saturating_mul(FOLDER_MS));
        if begins > now_ms || found.len() >= limit {
            break;
        }
        let wanted = i64::try_from(limit - found.len()).unwrap_or(i64::MAX);
        let page = Page { after: String::new(), limit: wanted };
        let names = cx.names(&[top, folder.as_str()].concat(), &page, false)?;
        let entries = names.iter().filter_map(|name| Entry::parse(is_local, name));
        found.extend(entries.take_while(|entry| entry.ends_ms <= now_ms));
    }
    Ok(found)
}
