//! Sessions with a server that wait for a later call, in pools: one of each config, so that nobody gets a session that
//! was begun with another password.

use super::Connection;
use crate::driver::{Settings, pool_name};
use crate::{Cx, Error, Result};

/// How long a session waits for the next call, in seconds.
const IDLE_SECS: u64 = 60;

/// Sessions that can be told apart while they wait. Why: the host lets no more wait of one mount.
const PLACES_MAX: usize = 16;

/// A session in a driver's protocol, over one connection.
pub trait Session: Sized {
    /// What it takes to begin one.
    type Config;

    /// Why something did not work in it.
    type Fault: Into<Error>;

    /// Begins one.
    ///
    /// # Errors
    /// The server cannot be reached, or lets nobody in.
    fn begin(cx: &Cx, config: &Self::Config) -> Result<Self>;

    /// Goes on with one that has waited, if it lives and is like a new one.
    fn resume(connection: Connection, config: &Self::Config) -> Option<Self>;

    /// The connection, if another session can follow over it: nothing is under way, and nothing unread.
    fn into_idle(self) -> Option<Connection>;
}

/// Where the sessions of one config wait.
#[derive(Debug)]
pub struct Pool {
    name: String,
    /// Most sessions that wait, where that is bounded.
    idle_max: Option<usize>,
    is_open_bounded: bool,
    /// How long a session may live, in milliseconds; without end if it is 0.
    lifetime_ms: u64,
}

/// A session, when it was begun, and where it has waited.
struct Taken<S> {
    session: S,
    born_ms: u64,
    place: Option<usize>,
}

impl Pool {
    /// The pool of a config, whose `max_open_connections`, `max_idle_connections` and `max_connection_lifetime` it
    /// heeds. Below 0 no session waits; where nothing is said of those that wait, as many may as may be open. How many
    /// calls are at work at a time is for their caller to say: within that, no more sessions are open.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`]: one of them is no number, or no duration.
    pub fn of(cx: &Cx, kind: &str, settings: &Settings) -> Result<Self> {
        let bound = |name: &str| -> Result<Option<usize>> {
            let number = settings.number(name)?;
            Ok(if number == 0 { None } else { Some(usize::try_from(number).unwrap_or(0)) })
        };
        let open_max = bound("max_open_connections")?.filter(|open| *open > 0);
        let idle_max = match (bound("max_idle_connections")?, open_max) {
            (Some(idle), Some(open)) => Some(idle.min(open)),
            (idle, open) => idle.or(open),
        };
        Ok(Self {
            name: pool_name(cx, kind, settings)?,
            idle_max,
            is_open_bounded: open_max.is_some(),
            lifetime_ms: settings.seconds("max_connection_lifetime")?.saturating_mul(1000),
        })
    }

    /// Runs something in a session, one that an earlier call has left or a new one, and leaves it for the next call if
    /// it is sound.
    ///
    /// # Errors
    /// There is none to be had, or what is run fails.
    pub fn with_session<S: Session, R>(
        &self,
        cx: &Cx,
        config: &S::Config,
        act: impl FnOnce(&mut S) -> Result<R, S::Fault>,
    ) -> Result<R> {
        let mut taken = match self.left(cx, config) {
            Some(taken) => taken,
            None => Taken { session: S::begin(cx, config)?, born_ms: cx.now_ms(), place: None },
        };
        let done = act(&mut taken.session).map_err(Into::into);
        if done.is_ok() {
            self.leave(cx, taken);
        }
        done
    }

    /// The same in a new session, which ends with it: one that was left says nothing of whether its account is let in
    /// still.
    ///
    /// # Errors
    /// As for [`Pool::with_session`].
    pub fn with_new_session<S: Session, R>(
        &self,
        cx: &Cx,
        config: &S::Config,
        act: impl FnOnce(&mut S) -> Result<R, S::Fault>,
    ) -> Result<R> {
        if self.is_open_bounded {
            // It takes the place of one that waits.
            drop(self.take());
        }
        act(&mut S::begin(cx, config)?).map_err(Into::into)
    }

    /// A session of an earlier call. One that is dead is dropped before anything is asked of it, and a new one begun:
    /// the others may have died with it.
    fn left<S: Session>(&self, cx: &Cx, config: &S::Config) -> Option<Taken<S>> {
        let (connection, born, place) = self.take()?;
        let born_ms = u64::from_be_bytes(born.try_into().ok()?);
        if self.left_ms(born_ms, cx.now_ms()) == 0 {
            return None;
        }
        Some(Taken { session: S::resume(connection, config)?, born_ms, place: Some(place) })
    }

    fn take(&self) -> Option<(Connection, Vec<u8>, usize)> {
        (0..self.places()).find_map(|place| {
            let (connection, born) = Connection::unpark(&self.name_of(place))?;
            Some((connection, born, place))
        })
    }

    fn leave<S: Session>(&self, cx: &Cx, taken: Taken<S>) {
        let left_secs = self.left_ms(taken.born_ms, cx.now_ms()) / 1000;
        let places = self.places();
        if left_secs == 0 || places == 0 {
            return;
        }
        let Some(connection) = taken.session.into_idle() else { return };
        let place = match taken.place {
            Some(place) => place,
            None if places == 1 => 0,
            None => cx.random(1).first().map_or(0, |byte| usize::from(*byte) % places),
        };
        let name = self.name_of(place);
        if self.idle_max.is_some() {
            // One waits in each place: of two that do, the newer is the better one.
            while let Some(older) = Connection::unpark(&name) {
                drop(older);
            }
        }
        connection.park(&name, &taken.born_ms.to_be_bytes(), IDLE_SECS.min(left_secs));
    }

    /// How long a session that was begun then may live from now on.
    fn left_ms(&self, born_ms: u64, now_ms: u64) -> u64 {
        if self.lifetime_ms == 0 {
            return u64::MAX;
        }
        born_ms.saturating_add(self.lifetime_ms).saturating_sub(now_ms)
    }

    /// Names that sessions wait under. Where their number is bounded, one waits under each.
    fn places(&self) -> usize {
        self.idle_max.map_or(1, |idle| idle.min(PLACES_MAX))
    }

    fn name_of(&self, place: usize) -> String {
        match self.idle_max {
            None => self.name.clone(),
            Some(_) => format!("{}/{place}", self.name),
        }
    }
}

#[cfg(test)]
mod tests;
