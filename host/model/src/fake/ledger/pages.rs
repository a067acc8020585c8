//! Records in key order, cut into pages that are shared until written. A snapshot costs
//! one reference count, a write at most one page and the list of pages. Knows nothing
//! of changes or checks.

use std::sync::Arc;

use crate::change::Version;

/// Most records in a page. Why: a write copies this many pointers, and the list of
/// pages is this much shorter than the list of records.
const PAGE_RECORDS_MAX: usize = 128;

/// One record.
pub(super) struct Record {
    pub(super) key: Vec<u8>,
    pub(super) version: Version,
    pub(super) bytes: Vec<u8>,
}

/// All records. No page is empty, and keys ascend within and across pages.
#[derive(Clone, Default)]
pub(super) struct Pages(Vec<Arc<Vec<Arc<Record>>>>);

impl Pages {
    /// The record at this key.
    pub(super) fn find(&self, key: &[u8]) -> Option<&Record> {
        let page = self.0.get(self.page_of(key))?;
        let at = place(page, key).ok()?;
        Some(&page[at])
    }

    /// The first `limit` records of `[from, end)`.
    pub(super) fn stretch(&self, from: &[u8], end: &[u8], limit: u32) -> impl Iterator<Item = &Record> {
        let first = self.page_of(from);
        let skipped = self.0.get(first).map_or(0, |page| place(page, from).unwrap_or_else(|gap| gap));
        let records = self.0.iter().skip(first).flat_map(|page| page.iter());
        records
            .skip(skipped)
            .map(AsRef::as_ref)
            .take_while(move |record: &&Record| record.key.as_slice() < end)
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
    }

    /// Writes a record, over an older one with its key.
    pub(super) fn put(&mut self, record: Record) {
        let at = self.page_of(&record.key);
        let Some(page) = self.0.get_mut(at) else {
            self.0.push(Arc::new(vec![Arc::new(record)]));
            return;
        };
        let page = Arc::make_mut(page);
        match place(page, &record.key) {
            Ok(old) => page[old] = Arc::new(record),
            Err(gap) => page.insert(gap, Arc::new(record)),
        }
        if page.len() > PAGE_RECORDS_MAX {
            let upper = page.split_off(PAGE_RECORDS_MAX / 2);
            self.0.insert(at + 1, Arc::new(upper));
        }
    }

    /// Removes the record at this key, if there is one.
    pub(super) fn remove(&mut self, key: &[u8]) {
        let at = self.page_of(key);
        let Some(page) = self.0.get_mut(at) else { return };
        let Ok(old) = place(page, key) else { return };
        if page.len() == 1 {
            self.0.remove(at);
        } else {
            Arc::make_mut(page).remove(old);
        }
    }

    /// Which page holds this key, or would: the last one that starts at or before it.
    fn page_of(&self, key: &[u8]) -> usize {
        self.0.partition_point(|page| page[0].key.as_slice() <= key).saturating_sub(1)
    }
}

/// Where in a page a key is (`Ok`) or belongs (`Err`).
fn place(page: &[Arc<Record>], key: &[u8]) -> Result<usize, usize> {
    page.binary_search_by(|record| record.key.as_slice().cmp(key))
}
