//! What every implementation of a seam must pass, as functions to be called from the
//! tests of the room that implements it. They panic where a rule is broken.

pub mod ledger;
