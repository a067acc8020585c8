//! What holders of key shares do together while the node is open: each brings a share, and
//! enough of them prove that those who hold the unseal key, or the recovery key, want it. Kept in the memory of
//! this node; sealing ends it. What is done once it is proved is not known here.

use bulkhead_barrier::{Barrier, SealConfig, Submitted, UnsealError, UnsealProgress};
use bulkhead_model::hidden::Hidden;
use bulkhead_model::seam::entropy::{Entropy, uuid};
use bulkhead_model::seam::ledger::Standing as LedgerStanding;
use bulkhead_model::seam::seal::SealKind;

use crate::fault::Fault;
use crate::open::Open;

/// Ceremonies under way, at most one of each kind.
#[derive(Default)]
pub(crate) struct Ceremonies {
    /// A root token is made, and handed out hidden by this one-time password.
    pub root: Option<Ceremony<Hidden<String>>>,
    /// The root key is wrapped by another unseal key, split in this way.
    pub split: Option<Ceremony<Split>>,
    /// The recovery key is made anew, split in this way.
    pub recovery: Option<Ceremony<Split>>,
    /// The same two, begun where nobody needs a token: whoever reaches that must neither see nor
    /// end what somebody with a token began.
    pub open_split: Option<Ceremony<Split>>,
    pub open_recovery: Option<Ceremony<Split>>,
    /// What they proved who want another seal.
    pub migration: Option<Migration>,
    /// In which the node led when it was last looked; none: it did not.
    term: Option<u64>,
}

/// A new split of a key.
pub(crate) struct Split {
    pub config: SealConfig,
    /// What becomes of the new shares.
    pub shares: NewShares,
}

/// What becomes of new shares before the old ones are worthless.
pub(crate) enum NewShares {
    /// They are handed out, and count at once.
    Count,
    /// They are to be handed out, and then to be proven to have arrived.
    ToProve,
    /// They are handed out.
    Proving(Box<Verification>),
}

/// New shares that are proven to have arrived: enough of them are brought back.
pub(crate) struct Verification {
    key: Hidden<Vec<u8>>,
    config: SealConfig,
    nonce: String,
    brought: UnsealProgress,
    /// As of a [`Ceremony`].
    proved_by: Option<String>,
}

/// Why a new share did not help.
pub(crate) enum NotProven {
    /// Together they do not give the new key, or cannot.
    Wrong,
}

impl Verification {
    pub(crate) fn of(key: Hidden<Vec<u8>>, config: SealConfig, entropy: &dyn Entropy) -> Self {
        Self { key, config, nonce: uuid(entropy), brought: UnsealProgress::new(config), proved_by: None }
    }

    pub(crate) fn nonce(&self) -> &str {
        &self.nonce
    }

    pub(crate) fn progress(&self) -> usize {
        self.brought.collected()
    }

    /// Forgets what was brought; it goes on under another nonce.
    pub(crate) fn begin_anew(&mut self, entropy: &dyn Entropy) {
        *self = Self::of(self.key.duplicate(), self.config, entropy);
    }

    /// Takes a share that this request brought; gives the key once enough are here.
    pub(crate) fn submit(
        &mut self,
        request_id: &str,
        share: Hidden<Vec<u8>>,
        entropy: &dyn Entropy,
    ) -> Result<Option<Hidden<Vec<u8>>>, NotProven> {
        if self.proved_by.as_deref() == Some(request_id) {
            return Ok(Some(self.key.duplicate()));
        }
        self.proved_by = None;
        match self.brought.submit(share, entropy) {
            Ok(Submitted::Collecting) => Ok(None),
            // `Hidden` compares in constant time.
            Ok(Submitted::Complete(key)) if key == self.key => {
                self.proved_by = Some(request_id.to_owned());
                Ok(Some(key))
            }
            Ok(Submitted::Complete(_)) | Err(_) => {
                self.begin_anew(entropy);
                Err(NotProven::Wrong)
            }
        }
    }
}

/// What was proved once for a change of the seal.
pub(crate) struct Migration {
    /// The unseal key, or the recovery key.
    pub secret: Hidden<Vec<u8>>,
    /// The wrapping of the root key that it was proved against. It holds for that one alone.
    pub mark: Vec<u8>,
}

/// One ceremony.
pub(crate) struct Ceremony<T> {
    pub about: T,
    nonce: String,
    required: u8,
    shares: UnsealProgress,
    /// The request that brought the last share. Where its commit meets a conflict it runs
    /// again, and does not have to bring it twice.
    proved_by: Option<String>,
}

/// How far a ceremony is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// More shares are needed.
    Collecting,
    /// The shares are those of this cluster.
    Proved,
}

/// Why a share did not help.
pub(crate) enum ShareFault {
    /// It cannot be one, or together they are not those of this cluster; the text says so.
    Share(UnsealError),
    /// That could not be found out.
    Node(Fault),
}

impl<T> Ceremony<T> {
    pub(crate) fn new(about: T, config: SealConfig, entropy: &dyn Entropy) -> Self {
        let (nonce, required) = (uuid(entropy), config.threshold());
        Self { about, nonce, required, shares: UnsealProgress::new(config), proved_by: None }
    }

    /// Names this ceremony, so that share holders see they take part in the same one.
    pub(crate) fn nonce(&self) -> &str {
        &self.nonce
    }

    /// Shares that are needed.
    pub(crate) fn required(&self) -> u8 {
        self.required
    }

    /// Shares brought so far.
    pub(crate) fn progress(&self) -> usize {
        if self.proved_by.is_some() { self.required.into() } else { self.shares.collected() }
    }

    /// Takes a share that this request brought.
    pub(crate) fn submit(
        &mut self,
        open: &Open,
        request_id: &str,
        share: Hidden<Vec<u8>>,
    ) -> Result<Standing, ShareFault> {
        if self.proved_by.as_deref() == Some(request_id) {
            return Ok(Standing::Proved);
        }
        // What another request proved and did not finish is not to be had for one share.
        self.proved_by = None;
        match self.shares.submit(share, &*open.parts.entropy).map_err(ShareFault::Share)? {
            Submitted::Collecting => Ok(Standing::Collecting),
            Submitted::Complete(secret) => {
                let view = open.ledger().view().map_err(|e| ShareFault::Node(e.into()))?;
                let is_shamir = open.seal_config().map_err(ShareFault::Node)?.kind() == SealKind::Shamir;
                let verified = if is_shamir {
                    Barrier::verify_unseal_key(&*view, &secret)
                } else {
                    open.barrier.verify_recovery_key(&*view, &secret)
                };
                match verified {
                    Ok(()) => {}
                    Err(UnsealError::Ledger(error)) => return Err(ShareFault::Node(error.into())),
                    Err(error) => return Err(ShareFault::Share(error)),
                }
                self.proved_by = Some(request_id.to_owned());
                Ok(Standing::Proved)
            }
        }
    }
}

impl Ceremonies {
    /// Forgets what was begun, but for a migration: each node is given the keys for that.
    pub(crate) fn give_up(&mut self) {
        let Self { migration, term, .. } = std::mem::take(self);
        *self = Self { migration, term, ..Self::default() };
    }

    /// Forgets what was begun while the node led in another term than now: what share holders began stays
    /// with the node they began it on, while it leads.
    pub(crate) fn turn(&mut self, standing: &LedgerStanding) {
        let term = standing.leader.then_some(standing.term);
        if self.term != term {
            self.give_up();
            self.term = term;
        }
    }

    /// Ends the ceremony of this nonce: what it was for is committed. Another that began
    /// meanwhile stays, unless the shares it collects have become worthless.
    pub(crate) fn ended(&mut self, nonce: &str) {
        if self.root.as_ref().is_some_and(|c| c.nonce == nonce) {
            self.root = None;
        }
        let splits = [&self.split, &self.recovery, &self.open_split, &self.open_recovery];
        if splits.into_iter().flatten().any(|c| c.nonce == nonce) {
            self.give_up();
        }
    }
}
