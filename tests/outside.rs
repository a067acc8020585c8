//! Tests of Bulkhead from outside. What lives here: the list of test modules.
//! What must not: any import of Bulkhead's own crates; these tests speak HTTP,
//! start processes and read files, as a user does.
#![allow(clippy::unwrap_used)] // a test says what failed by where it stopped
mod acl;
mod api;
mod audit;
mod canary;
mod catalog;
mod cli;
mod cluster;
mod contract;
mod databases;
mod failure;
mod listeners;
mod metrics;
mod plugins;
mod policies;
mod races;
mod regressions;
mod seal;
mod snapshot;
