//! Assembles a node: config, parts, run. The only room that knows every other one, the
//! system's clock, its randomness and its signals. No rule of the product lives here.

mod audit;
mod banner;
mod clock;
mod cluster;
mod config;
mod connect;
mod dev;
mod diagnose;
mod entropy;
mod error;
mod guests;
mod harden;
mod inspect;
mod log;
mod metrics;
mod outfits;
mod parts;
mod pid_file;
mod room;
mod run;
mod seal;
mod shelf;
mod signals;
mod transit;
mod version;

pub use audit::AuditSinks;
pub use clock::SystemClock;
pub use config::error::ConfigError;
pub use connect::tls::trust::{Roots, TrustsAnyone, handshake_fault};
pub use diagnose::{Check, DiagnoseOptions, Diagnosis, Group, Status, diagnose, validate_config};
pub use entropy::SystemEntropy;
pub use error::ServerError;
pub use inspect::{Inspection, Space, inspect_snapshot};
pub use run::{DevOptions, ServerOptions, run};
pub use transit::{TransitSettings, seal as transit_seal};
pub use version::version_text;
