//! The process's own numbers, and pushing all numbers to a statsd server.

mod process;
mod push;

pub(crate) use process::Process;
pub(crate) use push::run;
