//! A driver in a page, for a database that nobody knows: it listens for lines such as
//! `ADD name password`, and answers each with `OK` or `NO`.

#![cfg_attr(test, allow(clippy::unwrap_used))] // a test says what failed by where it stopped

use bulkhead_sdk::driver::{Begun, Driver, Settings, UserChange, UserRemoval, UserSpec, password, watched};
use bulkhead_sdk::net::Connection;
use bulkhead_sdk::{Cx, Error, Result};

/// The driver.
#[derive(Debug)]
pub struct Hello;

/// How long the database may take, in milliseconds.
const TIMEOUT_MS: u32 = 5_000;

/// Longest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 64;

const REFUSED: &str = "the database refuses";

/// Has the database do something: a line, and its answer. The words must be words.
fn tell(config: &Settings, words: &[&str], begun: &Begun) -> Result<()> {
    let address = config.text("address")?;
    if !words.iter().all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_graphic())) {
        return Err(Error::invalid("a name or password has signs that this database does not take"));
    }
    let mut connection = Connection::connect(&format!("tcp://{address}"), None, TIMEOUT_MS)?;
    begun.now();
    connection.write_all(format!("{}\n", words.join(" ")).as_bytes(), TIMEOUT_MS)?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\n") {
        let come = connection.read(64, TIMEOUT_MS)?;
        if come.is_empty() || answer.len() > ANSWER_BYTES_MAX {
            return Err(Error::upstream("the database does not answer in a line"));
        }
        answer.extend(come);
    }
    match answer.as_slice() {
        b"OK\n" => Ok(()),
        b"NO\n" => Err(Error::upstream(REFUSED)),
        _ => Err(Error::upstream("the database answers neither OK nor NO")),
    }
}

/// All that its database refuses an account for: there is one of the name. Whose it is, is not to lose it.
fn taken(error: Error) -> Error {
    match error {
        Error::Upstream(text) if text == REFUSED => {
            Error::PreconditionFailed("there is an account of the name".to_owned())
        }
        other => other,
    }
}

impl Driver for Hello {
    const NAME: &'static str = "hello-database-plugin";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const HELP: &'static str = "Manages accounts of a database that takes lines.";

    fn verify(_cx: &Cx, config: &Settings, connect: bool) -> Result<Settings> {
        if config.text("address")?.is_empty() {
            return Err(Error::invalid("address is required: host:port"));
        }
        if connect {
            tell(config, &["HELLO"], &Begun::default())?;
        }
        Ok(config.clone())
    }

    fn propose_username(cx: &Cx, _config: &Settings, spec: &UserSpec) -> Result<String> {
        Ok(format!("{}-{}", spec.role_name, cx.random_hex(8)))
    }

    fn create_user(cx: &Cx, config: &Settings, spec: &UserSpec) -> Result<String> {
        let proposed = || Self::propose_username(cx, config, spec);
        let name = spec.username.clone().map_or_else(proposed, Ok)?;
        let words = ["ADD", &name, password(&spec.credential)?];
        watched(|begun| tell(config, &words, begun)).map_err(taken)?;
        Ok(name)
    }

    fn change_user(_cx: &Cx, config: &Settings, change: &UserChange) -> Result<()> {
        // Its accounts have no end of their own: nothing is to be done for a new one.
        let Some(credential) = &change.credential else { return Ok(()) };
        let words = ["SET", &change.username, password(credential)?];
        watched(|begun| tell(config, &words, begun))
    }

    fn delete_user(_cx: &Cx, config: &Settings, removal: &UserRemoval) -> Result<()> {
        tell(config, &["DROP", &removal.username], &Begun::default())
    }
}

bulkhead_sdk::export_driver!(Hello);

#[cfg(test)]
mod tests;
