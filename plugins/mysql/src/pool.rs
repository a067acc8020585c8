//! How a session begins, and how it goes on.

use bulkhead_sdk::net::{self, Connection, NetError};
use bulkhead_sdk::{Cx, Error, Result};

use crate::config::Config;
use crate::fault::Fault;
use crate::session::Session;

impl net::Session for Session {
    type Config = Config;
    type Fault = Fault;

    fn begin(_cx: &Cx, config: &Config) -> Result<Self> {
        Self::begin(config).map_err(|fault| unreached(fault, config))
    }

    fn resume(connection: Connection, config: &Config) -> Option<Self> {
        let mut session = Self::over(connection, config.timeout_ms);
        session.renew(config).ok().map(|()| session)
    }

    fn into_idle(self) -> Option<Connection> {
        Self::into_idle(self)
    }
}

fn unreached(fault: Fault, config: &Config) -> Error {
    let place = config.address.split_once("://").map_or("", |(_, place)| place);
    match fault {
        Fault::Net(NetError::Timeout) => Error::Unavailable(format!("dial {place}: it took too long")),
        Fault::Net(NetError::Tls(text)) => Error::Unavailable(format!("{place}: tls: {text}")),
        other => other.into(),
    }
}
