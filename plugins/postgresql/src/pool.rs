//! How a session begins, with the first of several servers that takes it, and how it goes on.

use bulkhead_sdk::net::{self, Connection, NetError};
use bulkhead_sdk::{Cx, Error, Result};

use crate::config::{Config, Encryption, Place, Target};
use crate::fault::{Fault, NO_DATABASE, NOT_LET_IN, WRONG_PASSWORD};
use crate::session::{Session, WithTls};

impl net::Session for Session {
    type Config = Config;
    type Fault = Fault;

    fn begin(_cx: &Cx, config: &Config) -> Result<Self> {
        begin(config)
    }

    fn resume(connection: Connection, config: &Config) -> Option<Self> {
        let mut session = Self::over(connection, config.timeout_ms);
        session.renew().ok()?;
        fits(&mut session, config.target).ok().filter(|fits| *fits)?;
        Some(session)
    }

    fn into_idle(self) -> Option<Connection> {
        Self::into_idle(self)
    }
}

/// A new session, with the first server of several that takes it.
fn begin(config: &Config) -> Result<Session> {
    let mut told = Vec::new();
    let mut last = Fault::Net(NetError::Closed);
    for place in &config.places {
        for with_tls in attempts(config.encryption, place) {
            let begun = Session::begin(config, place, *with_tls).and_then(|mut session| {
                let fits = fits(&mut session, config.target)?;
                if fits { Ok(session) } else { Err(Fault::protocol("it takes no writes")) }
            });
            match begun {
                Ok(session) => return Ok(session),
                Err(fault) => last = fault,
            }
            told.push(format!("{}: {}", place.shown, shown(&last)));
            // Without TLS it was not let in; with TLS it may be.
            if !last.is(NOT_LET_IN) {
                break;
            }
        }
        // Another server would say the same, and count it as one more wrong password.
        if [WRONG_PASSWORD, NO_DATABASE].iter().any(|state| last.is(state)) {
            break;
        }
    }
    let login = &config.login;
    let what = format!("failed to connect to `user={} database={}`:", login.user, login.database);
    let separator = if told.len() == 1 { " " } else { "\n\t" };
    let text = told.iter().fold(what, |text, line| text + separator + line);
    Err(match last {
        Fault::Net(NetError::Denied(_)) => Error::PermissionDenied(text),
        Fault::Net(_) => Error::Unavailable(text),
        Fault::Server { .. } | Fault::Protocol(_) | Fault::Taken(_) => Error::Upstream(text),
    })
}

fn attempts(encryption: Encryption, place: &Place) -> &'static [WithTls] {
    match encryption {
        _ if place.server_name.is_none() => &[WithTls::No],
        Encryption::Never => &[WithTls::No],
        Encryption::IfDemanded => &[WithTls::No, WithTls::Yes],
        Encryption::IfOffered => &[WithTls::IfOffered],
        Encryption::Always => &[WithTls::Yes],
    }
}

fn shown(fault: &Fault) -> String {
    match fault {
        Fault::Server { severity, code, message } => format!("server error: {severity}: {message} (SQLSTATE {code})"),
        Fault::Net(NetError::Denied(grant)) => bulkhead_sdk::net::ungranted(grant),
        Fault::Net(NetError::Resolve(text)) => format!("hostname resolving error: {text}"),
        Fault::Net(NetError::Refused(text)) => format!("dial error: {text}"),
        Fault::Net(NetError::Tls(text)) => format!("tls error: {text}"),
        Fault::Net(NetError::Timeout) => "timeout: it took too long".to_owned(),
        Fault::Net(NetError::Closed) => "the connection was ended before the answer".to_owned(),
        Fault::Net(NetError::Other(text)) | Fault::Protocol(text) | Fault::Taken(text) => text.clone(),
    }
}

/// Whether the server is one of those that will do.
fn fits(session: &mut Session, target: Target) -> Result<bool, Fault> {
    let question = match target {
        Target::Any => return Ok(true),
        Target::ReadWrite => "SHOW transaction_read_only",
        Target::Primary => "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN 'on' ELSE 'off' END",
    };
    let rows = session.query(question)?;
    Ok(rows.first().and_then(|row| row.first()).is_some_and(|value| value.as_deref() == Some("off")))
}
