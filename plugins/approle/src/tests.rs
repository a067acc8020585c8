//! The method on the bench.
