//! The room as its neighbours see it: a node over memory, asked as the API asks it.

mod batch;
mod bench;
mod identity;
