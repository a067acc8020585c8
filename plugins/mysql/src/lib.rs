//! The driver of MySQL and MariaDB: what it does when, and nothing else.

#![cfg_attr(test, allow(clippy::unwrap_used))] // a test says what failed by where it stopped

use bulkhead_sdk::driver::{Driver, Settings, UserChange, UserRemoval, UserSpec, check_roots, refusal, watched};
use bulkhead_sdk::{Cx, Result};

// Its feature makes mysql_common build; nothing is compressed.
use flate2 as _;

mod address;
mod authenticate;
mod config;
mod fault;
mod fence;
mod key;
mod pool;
mod session;
mod users;

use config::Config;
use session::Session;

/// The driver.
#[derive(Debug)]
pub struct Mysql;

impl Driver for Mysql {
    const NAME: &'static str = "mysql-database-plugin";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const HELP: &'static str = "Manages accounts of MySQL and MariaDB.";

    fn verify(cx: &Cx, config: &Settings, connect: bool) -> Result<Settings> {
        let checked = Config::read(cx, config)?;
        checked.check_template(cx)?;
        check_roots("tls_ca", checked.tls.roots_pem.as_deref())?;
        if connect {
            let reached = checked
                .pool
                .with_new_session(cx, &checked, |session: &mut Session| session.query("SELECT 1").map(|_| ()));
            reached.map_err(|error| refusal(checked.hush.error(error)).within("error verifying - ping"))?;
        }
        Ok(config.clone())
    }

    fn propose_username(cx: &Cx, config: &Settings, spec: &UserSpec) -> Result<String> {
        Config::read(cx, config)?.username(cx, spec)
    }

    fn create_user(cx: &Cx, config: &Settings, spec: &UserSpec) -> Result<String> {
        watched(|begun| users::create(cx, Config::read(cx, config)?, spec, begun))
    }

    fn change_user(cx: &Cx, config: &Settings, change: &UserChange) -> Result<()> {
        watched(|begun| users::change(cx, Config::read(cx, config)?, change, begun))
    }

    fn delete_user(cx: &Cx, config: &Settings, removal: &UserRemoval) -> Result<()> {
        let config = Config::read(cx, config)?;
        users::delete(cx, &config, removal).map_err(|error| config.hush.error(error))
    }
}

bulkhead_sdk::random_from_host!();
bulkhead_sdk::export_driver!(Mysql);

#[cfg(test)]
mod tests;
