//! Names, encrypted segment by segment so that folders can be listed by prefix. Knows
//! the shape of ledger keys; knows nothing of values.
//!
//! A segment is padded with NULs to a multiple of 16 bytes (its length would tell much)
//! and encrypted with AES-256-SIV (RFC 5297), which is deterministic: the same name in
//! the same folder is always the same ciphertext, so it can be found. Associated data is
//! the space and the SIV tag of the folder above. That tag is a pseudorandom function
//! of the whole way down to the folder, so equal names in different folders or spaces
//! have nothing in common, and a component moved elsewhere fails to decrypt. (The
//! whole prefix as associated data would say the same at a cost that grows with the
//! square of the depth.) Whether it is a folder's name or a record's is bound as well.
//!
//! The names key never rotates. Rotation replaces a key because too much was encrypted
//! under it with random nonces; a deterministic cipher has no nonces to run out of. And
//! a new names key would mean to rename every record of the node in one change, since a
//! lookup must know which key a name is under before it has found it.

use std::collections::HashMap;
use std::sync::Arc;

use bulkhead_model::limits::LEDGER_KEY_BYTES_MAX;
use parking_lot::RwLock;
use zeroize::Zeroize;

use crate::error::StoreError;
use crate::key::{Folder, Key, KeyError, Place, Realm, SpaceId};
use crate::keybytes::KeyBytes;
use crate::siv::{BLOCK, Siv};

/// Kind byte of named records.
const NAMES: u8 = b'N';
/// Kind byte of opaque keys.
const OPAQUE: u8 = b'O';
/// Kind byte of the barrier's own.
const PLAIN: u8 = b'P';

/// Ends the component of a record.
const LEAF: u8 = 0;
/// Ends the component of a folder.
const FOLDER: u8 = 1;

/// Most folders whose encrypted prefix is remembered. Source: ours. Why: a request names
/// the same few folders again and again, and each segment costs four AES blocks and an
/// allocation. At [`REMEMBERED_BYTES_MAX`] each they take 8 MiB at worst.
const REMEMBERED_MAX: usize = 4096;

/// Longest folder (path and prefix together) that is remembered, in bytes.
const REMEMBERED_BYTES_MAX: usize = 2048;

/// The names key of a node, and the folders looked up lately.
pub(crate) struct Names {
    key: KeyBytes<64>,
    cipher: Box<Siv>,
    remembered: RwLock<Remembered>,
}

/// Folders and their prefixes.
#[derive(Default)]
struct Remembered {
    folders: HashMap<SpaceId, HashMap<Box<str>, Arc<Prefix>>>,
    count: usize,
}

/// A folder's ledger key, which every key below starts with.
pub(crate) struct Prefix {
    /// Space, kind and components.
    pub(crate) bytes: Vec<u8>,
    space: SpaceId,
    tag: [u8; BLOCK],
}

/// The first component of what follows a folder's prefix.
pub(crate) struct Component<'a> {
    tag: [u8; BLOCK],
    padded: &'a [u8],
    /// Whether it is a folder's.
    pub(crate) is_folder: bool,
    /// How many bytes of the ledger key it takes.
    pub(crate) bytes: usize,
}

impl Names {
    pub(crate) fn new(key: KeyBytes<64>) -> Self {
        let cipher = Box::new(Siv::new(key.expose()));
        Self { key, cipher, remembered: RwLock::default() }
    }

    pub(crate) fn key(&self) -> &KeyBytes<64> {
        &self.key
    }

    /// The ledger key of a record.
    pub(crate) fn ledger_key(&self, key: &Key) -> Result<Vec<u8>, StoreError> {
        self.ledger_key_in(Realm::ROOT, key)
    }

    /// The ledger key of a record that may be of a realm's books.
    pub(crate) fn ledger_key_in(&self, realm: Realm, key: &Key) -> Result<Vec<u8>, StoreError> {
        let space = realm.place(key.space);
        let path = match &key.place {
            Place::Name(path) => path,
            Place::Opaque(bytes) => return Ok(opaque_key(space, bytes)),
        };
        let (folder, name) = path.split_at(path.rfind('/').map_or(0, |slash| slash + 1));
        let prefix = self.prefix(space, folder)?;
        let mut bytes = Vec::with_capacity(prefix.bytes.len() + name.len() + 2 + 2 * BLOCK);
        bytes.extend_from_slice(&prefix.bytes);
        push_name(&self.cipher, &mut bytes, &prefix, name, LEAF)?;
        Ok(bytes)
    }

    /// The prefix of a folder that may be of a realm's books.
    pub(crate) fn folder(&self, realm: Realm, folder: &Folder) -> Result<Arc<Prefix>, StoreError> {
        self.prefix(realm.place(folder.space), &folder.path)
    }

    /// The name in a component found below this prefix.
    pub(crate) fn open(&self, parent: &Prefix, component: &Component<'_>) -> Result<String, StoreError> {
        open_name(&self.cipher, parent, component)
            .ok_or(StoreError::Damaged { space: parent.space, what: "a name fails authentication" })
    }

    fn prefix(&self, space: SpaceId, path: &str) -> Result<Arc<Prefix>, StoreError> {
        if path.is_empty() {
            return Ok(Arc::new(Prefix::root(space)));
        }
        if let Some(found) = self.remembered.read().folders.get(&space).and_then(|folders| folders.get(path)) {
            return Ok(Arc::clone(found));
        }
        // From the root down, not by recursion: a path may have two thousand segments.
        let mut prefix = Prefix::root(space);
        for segment in path.split_terminator('/') {
            let mut bytes = std::mem::take(&mut prefix.bytes);
            let tag = push_name(&self.cipher, &mut bytes, &prefix, segment, FOLDER)?;
            prefix = Prefix { bytes, space, tag };
        }
        let prefix = Arc::new(prefix);
        self.remember(space, path, &prefix);
        Ok(prefix)
    }

    fn remember(&self, space: SpaceId, path: &str, prefix: &Arc<Prefix>) {
        if path.len() + prefix.bytes.len() > REMEMBERED_BYTES_MAX {
            return;
        }
        let mut remembered = self.remembered.write();
        if remembered.count >= REMEMBERED_MAX {
            remembered.forget();
        }
        let earlier = remembered.folders.entry(space).or_default().insert(path.into(), Arc::clone(prefix));
        remembered.count += usize::from(earlier.is_none());
    }
}

impl Remembered {
    /// Empties the memory and wipes the names in it.
    fn forget(&mut self) {
        for (mut path, _) in self.folders.drain().flat_map(|(_, folders)| folders) {
            path.zeroize();
        }
        self.count = 0;
    }
}

impl Drop for Remembered {
    fn drop(&mut self) {
        self.forget();
    }
}

impl Prefix {
    fn root(space: SpaceId) -> Self {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(&space.0);
        bytes.push(NAMES);
        Self { bytes, space, tag: [0; BLOCK] }
    }

    /// The prefix of a folder whose component was found below this one.
    pub(crate) fn below(&self, component: &Component<'_>, bytes: Vec<u8>) -> Self {
        Self { bytes, space: self.space, tag: component.tag }
    }

    /// The end of the stretch of keys with this prefix. No component starts with 0xff:
    /// it would be longer than a key may be.
    pub(crate) fn end(&self) -> Vec<u8> {
        [self.bytes.as_slice(), &[0xff]].concat()
    }

    /// Takes the first component of a ledger key that starts with this prefix.
    pub(crate) fn component<'a>(&self, ledger_key: &'a [u8]) -> Result<Component<'a>, StoreError> {
        let rest = ledger_key.get(self.bytes.len()..).unwrap_or_default();
        parse(rest).ok_or(StoreError::Damaged { space: self.space, what: "a ledger key has no valid name" })
    }

    /// What a component below this folder is bound to. Its end is put into the tag's last
    /// bit rather than behind it, which would cost a block: that the tags of two folders
    /// differ by just this bit is as unlikely as that they are equal.
    fn associated_data(&self, end: u8) -> [u8; 2 * BLOCK] {
        let mut bytes = [0; 2 * BLOCK];
        bytes[..BLOCK].copy_from_slice(&self.space.0);
        bytes[BLOCK..].copy_from_slice(&self.tag);
        bytes[2 * BLOCK - 1] ^= end;
        bytes
    }
}

fn parse(rest: &[u8]) -> Option<Component<'_>> {
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (tag, rest) = rest.split_first_chunk::<BLOCK>()?;
    let padded_bytes = usize::from(u16::from_be_bytes(*length)).checked_sub(BLOCK)?;
    let (padded, rest) = rest.split_at_checked(padded_bytes)?;
    let (&end, rest) = rest.split_first()?;
    let whole = !padded.is_empty() && padded.len().is_multiple_of(BLOCK);
    let is_folder = end == FOLDER;
    let ends_well = if is_folder { !rest.is_empty() } else { end == LEAF && rest.is_empty() };
    (whole && ends_well).then_some(Component { tag: *tag, padded, is_folder, bytes: 2 + BLOCK + padded_bytes + 1 })
}

/// Appends a component to a ledger key and gives its tag.
fn push_name(
    cipher: &Siv,
    out: &mut Vec<u8>,
    parent: &Prefix,
    segment: &str,
    end: u8,
) -> Result<[u8; BLOCK], StoreError> {
    let padded_bytes = segment.len().next_multiple_of(BLOCK);
    if out.len() + 2 + BLOCK + padded_bytes + 1 > LEDGER_KEY_BYTES_MAX {
        return Err(KeyError::Length.into());
    }
    let length = u16::try_from(BLOCK + padded_bytes).expect("a key is shorter than 65,000 bytes");
    out.extend_from_slice(&length.to_be_bytes());
    let tag_at = out.len();
    let name_at = tag_at + BLOCK;
    out.resize(name_at, 0);
    out.extend_from_slice(segment.as_bytes());
    out.resize(name_at + padded_bytes, 0);
    let tag = cipher.seal(&parent.associated_data(end), &mut out[name_at..]);
    out[tag_at..name_at].copy_from_slice(&tag);
    out.push(end);
    Ok(tag)
}

/// The name in a component, if it was made in this folder.
fn open_name(cipher: &Siv, parent: &Prefix, component: &Component<'_>) -> Option<String> {
    // With room for a folder's slash, or adding it could leave a copy that nobody wipes.
    let mut name = Vec::with_capacity(component.padded.len() + 1);
    name.extend_from_slice(component.padded);
    let end = if component.is_folder { FOLDER } else { LEAF };
    if !cipher.open(&parent.associated_data(end), &mut name, &component.tag) {
        return None;
    }
    let name_bytes = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    name.truncate(name_bytes);
    String::from_utf8(name).ok()
}

/// The ledger key of an opaque key.
pub(crate) fn opaque_key(space: SpaceId, bytes: &[u8]) -> Vec<u8> {
    [&space.0, [OPAQUE].as_slice(), bytes].concat()
}

/// The ledger key of one of the barrier's own records.
pub(crate) fn plain_key(name: &str) -> Vec<u8> {
    [&SpaceId::BARRIER.0, [PLAIN].as_slice(), name.as_bytes()].concat()
}

/// Bytes before the opaque key in its ledger key.
pub(crate) const OPAQUE_AT: usize = 17;

/// All keys of a space: from, end.
pub(crate) fn space_stretch(space: SpaceId) -> (Vec<u8>, Vec<u8>) {
    (space.0.to_vec(), [&space.0, [0xff].as_slice()].concat())
}

#[cfg(test)]
mod tests;
