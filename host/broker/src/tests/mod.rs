//! Tests of the room as a whole: a node over a ledger in memory, with a plugin that does
//! what the test says and a clock that the test moves. The kit is for all of them.

mod kit;
mod leases;
mod plugin;
mod scheduler;
mod trees;
