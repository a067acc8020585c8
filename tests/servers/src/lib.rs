//! Real databases for tests, as Debian packages them: [`Postgres`], [`MariaDb`], [`Redis`]. Each
//! runs on this machine alone, on a free port, in a folder of its own and without syncing to disk,
//! can be killed and started again, and ends when it is dropped, or with the test's process. [`Wire`] is a
//! way to one of them on which a packet can be late.
//!
//! What is not installed is installed where that is allowed.

mod mariadb;
mod postgres;
mod program;
mod redis;
#[cfg(feature = "tls")]
mod tls;
mod wire;

pub use mariadb::MariaDb;
pub use postgres::Postgres;
pub use redis::Redis;
#[cfg(feature = "tls")]
pub use tls::Authority;
pub use wire::Wire;

/// Installs what is missing of all of them, so that tests which run at once need not do it at once.
///
/// # Panics
/// Something is missing and cannot be installed.
pub fn install_missing() {
    let _ = (postgres::programs(), mariadb::installer(), mariadb::client_program());
    let _ = (redis::server_program(), redis::client_program());
}

/// The account that manages others, and that tests log in as.
pub const ADMIN: &str = "manager";

/// Its password, with signs that must be escaped nearly everywhere.
pub const ADMIN_PASSWORD: &str = "p@ss:w'o\"r/d %20\\?#&{}";
