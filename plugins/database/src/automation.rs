//! Changes of the root's password by themselves: when, and what becomes of one that fails.
//!
//! A change is as safe as one that is asked for ([`crate::root`]). One of which it is not known how it went leaves its
//! intent, and whoever settles that knows; one that certainly did not happen is counted, and tried again. The count is
//! the job's own: the connection is read by whoever makes a user, who would have to begin anew when it is written.

use bulkhead_sdk::Level;
use bulkhead_sdk::json::Object;
use bulkhead_sdk::prelude::*;
use bulkhead_sdk::time::rfc3339;
use bulkhead_sdk::wire::{Reader, Writer};

use crate::connection::LOCK_MS;
use crate::records::{Connection, connection_lock};
use crate::rhythm::{Rhythm, kind, wait_ms};
use crate::root;
use crate::rotation::{JOB, ROOTS, Told};

/// When the root's password is changed by itself, if at all.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Automation {
    rhythm: Option<Rhythm>,
    /// The rhythm is kept, and rests.
    is_disabled: bool,
    /// When the password was changed last, in milliseconds since 1970; 0: never yet.
    last_ms: u64,
    next_ms: u64,
}

/// What is sent; what is not stays as it was.
#[derive(Debug, Fields)]
pub(crate) struct SetAutomation {
    /// Time between two rotations of the root's credentials; 0: none by themselves.
    rotation_period: Option<Seconds>,
    /// Times of rotations of the root's credentials in cron's form, five fields in UTC; instead of rotation_period.
    rotation_schedule: Option<String>,
    /// How long after a time of rotation_schedule the rotation may begin. What is missed waits for the next time.
    rotation_window: Option<Seconds>,
    /// Whether rotations by themselves rest.
    disable_automated_rotation: Option<bool>,
}

impl Automation {
    /// The rhythm in which the password is changed, unless it rests.
    fn active(&self) -> Option<&Rhythm> {
        self.rhythm.as_ref().filter(|_| !self.is_disabled)
    }

    /// Takes what was sent. A rhythm that is new, or does not rest any more, counts from now.
    pub(crate) fn update(&mut self, sent: SetAutomation, now_ms: u64) -> Result<()> {
        let before = self.active().cloned();
        self.is_disabled = sent.disable_automated_rotation.unwrap_or(self.is_disabled);
        self.rhythm = rhythm(self.rhythm.take(), sent)?;
        match self.active().cloned() {
            Some(rhythm) if before.as_ref() != Some(&rhythm) => self.next_ms = rhythm.next(now_ms, now_ms)?,
            _ => {}
        }
        Ok(())
    }

    /// Whether there is anything to change by itself.
    pub(crate) fn is_active(&self) -> bool {
        self.active().is_some()
    }

    /// Notes a change of the password, whoever asked for it.
    pub(crate) fn note_change(&mut self, now_ms: u64) -> Result<()> {
        self.last_ms = now_ms;
        self.wait_for_next(now_ms)
    }

    fn wait_for_next(&mut self, now_ms: u64) -> Result<()> {
        let next_ms = self.active().map(|rhythm| rhythm.next(now_ms, now_ms)).transpose()?;
        self.next_ms = next_ms.unwrap_or(0);
        Ok(())
    }

    /// When the job is to look at it, after so many failures since a change was due.
    fn due_ms(&self, now_ms: u64, failures: u64) -> u64 {
        if failures == 0 { self.next_ms } else { now_ms.saturating_add(wait_ms(failures)) }
    }

    /// Adds to an answer what it is, as Vault does, and when it was and will be; nothing where nothing was ever set, as
    /// OpenBao does, which has none of it.
    pub(crate) fn show(&self, answer: Object) -> Object {
        if self.rhythm.is_none() && !self.is_disabled {
            return answer;
        }
        let (mut period_secs, mut schedule, mut window) = (0, "", 0);
        match &self.rhythm {
            Some(Rhythm::Period(secs)) => period_secs = *secs,
            Some(Rhythm::Schedule { cron, window_secs }) => (schedule, window) = (cron.as_str(), *window_secs),
            None => {}
        }
        let answer = answer.boolean("disable_automated_rotation", self.is_disabled);
        let told = |answer: Object, name: &str, at_ms: u64| match at_ms {
            0 => answer,
            at_ms => answer.text(name, &rfc3339(at_ms)),
        };
        let answer = match self.is_active() {
            true => told(told(answer, "last_vault_rotation", self.last_ms), "next_vault_rotation", self.next_ms),
            false => answer,
        };
        answer
            .number("rotation_period", period_secs)
            .text("rotation_schedule", schedule)
            .number("rotation_window", window)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        if let Some(rhythm) = &self.rhythm {
            rhythm.encode(&mut writer, 1);
        }
        writer.number(4, u64::from(self.is_disabled));
        writer.number(5, self.last_ms);
        writer.number(6, self.next_ms);
        writer.end()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut found = Self::default();
        let mut reader = Reader::new(bytes)?;
        let (mut period_secs, mut cron, mut window_secs) = (0, None, 0);
        while let Some((field, value)) = reader.field()? {
            match field {
                1 => period_secs = value.number(),
                2 => cron = Some(value.text()?.to_owned()),
                3 => window_secs = value.number(),
                4 => found.is_disabled = value.number() > 0,
                5 => found.last_ms = value.number(),
                6 => found.next_ms = value.number(),
                _ => {}
            }
        }
        let rhythm = Rhythm::decoded(period_secs, cron, window_secs);
        found.rhythm = Some(rhythm).filter(|rhythm| *rhythm != Rhythm::default());
        Ok(found)
    }
}

/// The rhythm that a request asks for, from what it was. A schedule takes the place of a period and the other way
/// round; a period of 0 and an empty schedule end what there was of their kind.
fn rhythm(known: Option<Rhythm>, sent: SetAutomation) -> Result<Option<Rhythm>> {
    let window = sent.rotation_window.filter(|window| window.0 > 0);
    let period = sent.rotation_period.filter(|period| period.0 > 0);
    let schedule = sent.rotation_schedule.as_deref().filter(|cron| !cron.is_empty());
    let rhythm = match (period, schedule) {
        (Some(_), Some(_)) => {
            return Err(Error::invalid(
                "mutually exclusive fields rotation_schedule and rotation_period were both specified; only one of them can be provided",
            ));
        }
        (Some(period), None) => Some(Rhythm::after_each(period)?),
        (None, Some(cron)) if !Rhythm::is_cron(cron) => {
            return Err(Error::invalid(
                "failed to parse provided rotation_schedule: five fields of cron are expected, each within its bounds, in UTC",
            ));
        }
        (None, Some(cron)) => Some(Rhythm::Schedule { cron: cron.to_owned(), window_secs: 0 }),
        (None, None) => known.clone().filter(|known| match known {
            Rhythm::Period(_) => sent.rotation_period.is_none(),
            Rhythm::Schedule { .. } => sent.rotation_schedule.is_none(),
        }),
    };
    match (rhythm, known) {
        (Some(Rhythm::Period(_)), _) if window.is_some() => {
            Err(Error::invalid("rotation_window does not apply to period"))
        }
        (None, _) if window.is_some() => Err(Error::invalid("cannot use rotation_window without rotation_schedule")),
        (Some(Rhythm::Schedule { cron, .. }), known) => {
            let before = match known {
                Some(Rhythm::Schedule { window_secs, .. }) => window_secs,
                _ => 0,
            };
            let window_secs = sent.rotation_window.map_or(before, |window| window.0);
            Ok(Some(Rhythm::Schedule { cron, window_secs }))
        }
        (rhythm, _) => Ok(rhythm),
    }
}

/// Writes the connection, and when its root's password is changed next. What failed before does not count any more:
/// whoever writes the config may have mended what was wrong with it.
pub(crate) fn keep(cx: &Cx, name: &str, connection: &Connection) -> Result<()> {
    cx.put(name, connection)?;
    schedule(cx, name, connection, 0)
}

/// Has the job go on with a connection that was settled as it was before a change, of which so many had failed.
pub(crate) fn go_on(cx: &Cx, name: &str, connection: &Connection, failures: u64) -> Result<()> {
    // One that was asked for makes none due.
    let is_due = connection.automation.next_ms <= cx.now_ms();
    schedule(cx, name, connection, if is_due { failures.saturating_add(1) } else { 0 })
}

fn schedule(cx: &Cx, name: &str, connection: &Connection, failures: u64) -> Result<()> {
    if connection.automation.is_active() {
        let at_ms = connection.automation.due_ms(cx.now_ms(), failures);
        return cx.schedule(JOB, &key(name), &payload(name, failures), at_ms);
    }
    cancel(cx, name);
    Ok(())
}

/// Takes a connection off the schedule.
pub(crate) fn cancel(cx: &Cx, name: &str) {
    cx.cancel(JOB, &key(name));
}

fn payload(name: &str, failures: u64) -> Vec<u8> {
    Told::after(name, failures).payload()
}

fn key(name: &str) -> String {
    [ROOTS, name].concat()
}

/// The job: changes the password if that is due; it is told how many changes failed since. While it can be, it says itself when it is to run again: the host
/// would have one that fails wait for up to a day.
pub(crate) fn due(cx: &Cx, name: &str, told: &[u8]) -> Result<JobOutcome> {
    let mut failures = Told::read(told).failures;
    let Ok(_lock) = cx.acquire(&connection_lock(name), LOCK_MS) else {
        let at_ms = cx.now_ms().saturating_add(wait_ms(failures));
        return Ok(JobOutcome::Again((at_ms, payload(name, failures))));
    };
    let Some(mut connection) = cx.get::<Connection>(name)? else { return Ok(JobOutcome::Done) };
    let Some(rhythm) = connection.automation.active().cloned() else { return Ok(JobOutcome::Done) };
    let now_ms = cx.now_ms();
    if rhythm.is_missed(connection.automation.next_ms, now_ms) {
        connection.automation.wait_for_next(now_ms)?;
        failures = 0;
        cx.put(name, &connection)?;
    } else if failures > 0 || connection.automation.next_ms <= now_ms {
        match root::attempt(cx, name, &mut connection, failures)? {
            Ok(()) => {
                cx.log_info("the root's password was changed as it was due", &[("connection", name)]);
                failures = 0;
                cx.put(name, &connection)?;
            }
            Err(error) => {
                failures = failures.saturating_add(1);
                cx.log(Level::Warn, "rotating the root failed", &[("connection", name), ("error", &kind(&error))]);
            }
        }
    }
    Ok(JobOutcome::Again((connection.automation.due_ms(cx.now_ms(), failures), payload(name, failures))))
}
