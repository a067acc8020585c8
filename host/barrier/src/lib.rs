//! Plaintext above, ciphertext below: the only room with keys. What goes down to the
//! ledger is encrypted here, names as well as values, and what comes up is verified
//! here. No I/O, clock or randomness of its own; no policy, no HTTP, no wasm.
//!
//! - [`Key`], [`Folder`]: where a record is, in plaintext, within a [`SpaceId`].
//! - [`Barrier`]: the keys of an unsealed node; [`Transaction`]: reads of one snapshot
//!   and buffered writes, which become one [`Change`](bulkhead_model::change::Change).
//! - [`seal`]: initialisation and Shamir's shares; [`UnsealProgress`]: collecting them;
//!   [`Outside`]: where a key outside the cluster unseals it.
//!
//! Ledger keys are `space (16 bytes) || kind || rest`:
//!
//! | kind | rest |
//! |---|---|
//! | `N` | a component per path segment: length (u16), AES-SIV of the padded segment, end byte (0 leaf, 1 folder) |
//! | `O` | bytes that say nothing, as given: HMACs, ordered indexes over them |
//! | `P` | the barrier's own few records, under names that are public knowledge |
//!
//! Values under `N` and `O` are records of the module `record`: format, term, nonce and an
//! AES-256-GCM ciphertext bound to its term and ledger key.

mod barrier;
mod count;
mod derive;
mod error;
mod joining;
mod kept;
mod key;
mod keybytes;
mod keyring;
mod letter;
mod names;
mod outside;
mod record;
pub mod seal;
pub mod shamir;
mod siv;
mod static_key;
mod transaction;
mod unseal;

pub use barrier::{Barrier, KeyStatus, Rotated};
pub use derive::HmacKey;
pub use error::StoreError;
pub use joining::joining_key_of;
pub use key::{Folder, Key, KeyError, Realm, SpaceId};
pub use keyring::ENCRYPTIONS_MAX;
pub use letter::{LetterAbout, Letters, letter_name};
pub use outside::{Outside, Recovery, read_sealed_joining_key, read_sealed_key, sealed_joining_key, unseal_key_of};
pub use seal::{Initialised, SealConfig, SealConfigError, Sealing, fresh_key, init, read_seal_config, read_seal_mark};
pub use static_key::{NamedKey, StaticKey};
pub use transaction::{Transaction, UNCOMMITTED};
pub use unseal::{Submitted, UnsealError, UnsealProgress};

#[cfg(test)]
mod testing;
