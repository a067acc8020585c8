//! LIST of all there is of one sort. It is read in pages, each in a transaction of its own,
//! and written into the answer at once: there may be a million of them, and who comes or goes
//! meanwhile must be no conflict.

use bulkhead_barrier::{StoreError, Transaction};
use bulkhead_model::failure::Failure;
use bulkhead_model::hidden::Hidden;
use bulkhead_model::limits::LIST_NAMES_MAX;
use bulkhead_model::reply::{Envelope, Reply};
use serde_json::Value;

use crate::book::identity::{Id, id_text};
use crate::fault::Fault;
use crate::visit::{Visit, enveloped};

/// Gives the next ids behind one.
type Page = fn(&mut Transaction, Option<&Id>) -> Result<Vec<Id>, StoreError>;
/// What is told of an id; `None`: it has gone meanwhile.
type Tell<T> = fn(&Visit, &mut Transaction, &Id) -> Result<Option<T>, StoreError>;

/// A list of names, one an id.
///
/// # Errors
/// 404 if there are none; [`Fault`] from the store, or for more than may be listed.
pub(super) async fn names(visit: &Visit, page: Page, tell: Tell<String>) -> Result<Reply, Fault> {
    let mut keys = Members::default();
    walk(visit, page, |tx, id| {
        if let Some(name) = tell(visit, tx, id)? {
            keys.add(&name.into());
        }
        Ok(())
    })
    .await?;
    answer(&keys, vec![br#"{"keys":["#, &keys.text, b"]}"])
}

/// A list of ids, with something told of each.
///
/// # Errors
/// As [`names`].
pub(super) async fn ids(visit: &Visit, page: Page, tell: Tell<Value>) -> Result<Reply, Fault> {
    let (mut keys, mut about) = (Members::default(), Members::default());
    walk(visit, page, |tx, id| {
        if let Some(told) = tell(visit, tx, id)? {
            let id = id_text(id).into();
            keys.add(&id);
            about.add_named(&id, &told);
        }
        Ok(())
    })
    .await?;
    answer(&keys, vec![br#"{"key_info":{"#, &about.text, br#"},"keys":["#, &keys.text, b"]}"])
}

async fn walk(
    visit: &Visit,
    page: Page,
    mut tell: impl FnMut(&mut Transaction, &Id) -> Result<(), StoreError>,
) -> Result<(), Fault> {
    let (mut after, mut seen) = (None, 0);
    loop {
        let mut tx = visit.begin()?;
        let ids = page(&mut tx, after.as_ref())?;
        seen += ids.len();
        if seen > LIST_NAMES_MAX {
            return Err(StoreError::TooMany { what: "names", limit: LIST_NAMES_MAX }.into());
        }
        for id in &ids {
            tell(&mut tx, id)?;
        }
        after = ids.last().copied();
        if after.is_none() {
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}

fn answer(keys: &Members, parts: Vec<&[u8]>) -> Result<Reply, Fault> {
    if keys.text.is_empty() {
        return Err(Failure::absent().into());
    }
    Ok(enveloped(Envelope { data: Some(Hidden::new(parts.concat())), ..Envelope::default() }))
}

/// The inside of a JSON array or object.
#[derive(Default)]
struct Members {
    text: Vec<u8>,
}

impl Members {
    fn add(&mut self, value: &Value) {
        if !self.text.is_empty() {
            self.text.push(b',');
        }
        self.write(value);
    }

    fn add_named(&mut self, name: &Value, value: &Value) {
        self.add(name);
        self.text.push(b':');
        self.write(value);
    }

    fn write(&mut self, value: &Value) {
        serde_json::to_writer(&mut self.text, value).expect("JSON can be written into memory");
    }
}
