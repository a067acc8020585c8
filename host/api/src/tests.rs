//! Speaks to listeners over real sockets.

mod bodies;
mod connections;
mod harness;
mod messages;
mod pages;
mod proxied;
mod secure;
