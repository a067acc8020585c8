//! Support for the tests from outside. What lives here: starting either server
//! (ours and the real `bao`), a small HTTP client, and the runner of the case
//! files in `api/`. What must not: any of Bulkhead's own crates, or a test.
//!
//! - `exposition` reads the text format of Prometheus.
//! - `programs` finds executables, `node` starts and stops them, `http` speaks to them.
//! - `case` reads `api/*.yaml`, `shape` compares an answer with what is expected,
//!   `likeness` compares two servers' answers, `totp` makes passcodes, `runner` does it all for a file.
//! - `transcript` runs a session at the command line, `beside` compares two clients, and
//!   `masks` takes out what differs from run to run.

pub mod beside;
pub mod case;
pub mod exposition;
pub mod http;
pub mod likeness;
pub mod masks;
pub mod node;
pub mod programs;
pub mod runner;
pub mod shape;
pub mod totp;
pub mod transcript;
