//! The driver of Redis and Valkey: what it does when, and nothing else.

#![cfg_attr(test, allow(clippy::unwrap_used))] // a test says what failed by where it stopped

use bulkhead_sdk::driver::{Driver, Settings, UserChange, UserRemoval, UserSpec, refusal, watched};
use bulkhead_sdk::{Cx, Result};

mod address;
mod config;
mod fence;
mod resp;
mod session;
mod users;

use config::Config;
use session::Session;

/// The driver.
#[derive(Debug)]
pub struct Redis;

impl Driver for Redis {
    const NAME: &'static str = "redis-database-plugin";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const HELP: &'static str = "Manages accounts of Redis and Valkey.";

    fn verify(cx: &Cx, config: &Settings, connect: bool) -> Result<Settings> {
        let checked = Config::read(cx, config)?;
        checked.check_template(cx)?;
        if connect {
            let reached = checked.pool.with_new_session(cx, &checked, |session: &mut Session| {
                session.command(&["PING"])?;
                fence::check(session)
            });
            reached.map_err(|error| refusal(checked.hush.error(error)).within("error verifying connection"))?;
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

bulkhead_sdk::export_driver!(Redis);

#[cfg(test)]
mod tests;
