//! Pools on the bench, with a server that says yes to everything.

use serde_json::{Value, json};

use super::*;
use crate::bench::{DriverBench, Peer};
use crate::driver::{Driver, UserChange, UserRemoval, UserSpec};

/// A session in which anything may be said, and `end` ends it.
struct Line(Connection);

impl Line {
    fn say(&mut self, word: &str) -> Result<()> {
        self.0.write_all(word.as_bytes(), 1)?;
        match self.0.read(8, 1)?.as_slice() {
            b"yes" => Ok(()),
            _ => Err(Error::upstream("no")),
        }
    }
}

impl Session for Line {
    type Config = ();
    type Fault = Error;

    fn begin(_cx: &Cx, (): &()) -> Result<Self> {
        Ok(Self(Connection::connect("tcp://h:1", None, 1)?))
    }

    fn resume(connection: Connection, (): &()) -> Option<Self> {
        let mut line = Self(connection);
        line.say("still there?").ok().map(|()| line)
    }

    fn into_idle(self) -> Option<Connection> {
        Some(self.0)
    }
}

/// `create_user` runs as many sessions at a time as there are statements, `verify` a new one.
struct Lines;

fn nested(cx: &Cx, pool: &Pool, words: &[String]) -> Result<()> {
    let Some((word, rest)) = words.split_first() else { return Ok(()) };
    pool.with_session(cx, &(), |line: &mut Line| {
        nested(cx, pool, rest)?;
        line.say(word)
    })
}

impl Driver for Lines {
    const NAME: &'static str = "lines";
    const VERSION: &'static str = "0";
    const HELP: &'static str = "";

    fn verify(cx: &Cx, config: &Settings, _connect: bool) -> Result<Settings> {
        Pool::of(cx, "line", config)?.with_new_session(cx, &(), |line: &mut Line| line.say("hello"))?;
        Ok(config.clone())
    }

    fn propose_username(_cx: &Cx, _config: &Settings, _spec: &UserSpec) -> Result<String> {
        Ok(String::new())
    }

    fn create_user(cx: &Cx, config: &Settings, spec: &UserSpec) -> Result<String> {
        nested(cx, &Pool::of(cx, "line", config)?, &spec.statements)?;
        Ok(String::new())
    }

    fn change_user(_cx: &Cx, _config: &Settings, _change: &UserChange) -> Result<()> {
        Ok(())
    }

    fn delete_user(_cx: &Cx, _config: &Settings, _removal: &UserRemoval) -> Result<()> {
        Ok(())
    }
}

fn bench() -> DriverBench<Lines> {
    DriverBench::played(|_| {
        Ok(Peer::new(|said| match said {
            b"" => Some(Vec::new()),
            b"end" => None,
            _ => Some(b"yes".to_vec()),
        }))
    })
}

/// Has so many sessions at a time say the word.
fn run(bench: &mut DriverBench<Lines>, config: &Value, word: &str, at_a_time: usize) -> Result<()> {
    let spec = UserSpec {
        username: None,
        display_name: String::new(),
        role_name: String::new(),
        username_template: None,
        statements: vec![word.to_owned(); at_a_time],
        rollback_statements: Vec::new(),
        credential: crate::driver::Credential::Password(String::new()),
        expires_at: None,
    };
    bench.create_user(config, &spec).map(|_| ())
}

#[test]
fn a_session_is_used_again_by_its_own_config_alone() {
    let mut bench = bench();
    for _ in 0..3 {
        run(&mut bench, &json!({ "a": 1 }), "hello", 1).unwrap();
    }
    assert_eq!((bench.connected().len(), bench.parked()), (1, 1));
    run(&mut bench, &json!({ "a": 2 }), "hello", 1).unwrap();
    assert_eq!((bench.connected().len(), bench.parked()), (2, 2));
}

#[test]
fn a_session_that_broke_is_not_left() {
    let mut bench = bench();
    run(&mut bench, &json!({}), "end", 1).unwrap_err();
    assert_eq!(bench.parked(), 0);
}

#[test]
fn no_more_wait_than_may() {
    for (config, waiting) in [
        (json!({}), 5),
        (json!({ "max_idle_connections": -1 }), 0),
        (json!({ "max_idle_connections": 1 }), 1),
        (json!({ "max_idle_connections": "1", "max_open_connections": "9" }), 1),
        (json!({ "max_idle_connections": 9, "max_open_connections": 1 }), 1),
        (json!({ "max_open_connections": 1 }), 1),
        (json!({ "max_open_connections": -1 }), 5),
    ] {
        let mut bench = bench();
        run(&mut bench, &config, "hello", 5).unwrap();
        assert_eq!((bench.connected().len(), bench.parked()), (5, waiting), "{config}");
    }
    let mut bench = bench();
    for _ in 0..20 {
        run(&mut bench, &json!({ "max_idle_connections": 3 }), "hello", 5).unwrap();
        assert!((1..=3).contains(&bench.parked()), "{}", bench.parked());
    }
}

#[test]
fn what_waits_is_used_before_another_is_begun() {
    let mut bench = bench();
    let config = json!({ "max_open_connections": 4 });
    run(&mut bench, &config, "hello", 4).unwrap();
    let waiting = bench.parked();
    run(&mut bench, &config, "hello", waiting).unwrap();
    assert_eq!((bench.connected().len(), bench.parked()), (4, waiting));
    // A new one takes the place of one that waits.
    bench.verify(&config, true).unwrap();
    assert_eq!((bench.connected().len(), bench.parked()), (5, waiting - 1));
}

#[test]
fn no_session_is_used_beyond_its_lifetime() {
    let mut bench = bench();
    let config = json!({ "max_connection_lifetime": "30s" });
    run(&mut bench, &config, "hello", 1).unwrap();
    bench.advance(29);
    run(&mut bench, &config, "hello", 1).unwrap();
    assert_eq!(bench.connected().len(), 1);
    bench.advance(1);
    run(&mut bench, &config, "hello", 1).unwrap();
    assert_eq!((bench.connected().len(), bench.parked()), (2, 1));
}

#[test]
fn what_is_no_number_is_refused() {
    for (name, value) in
        [("max_open_connections", "many"), ("max_idle_connections", "few"), ("max_connection_lifetime", "x")]
    {
        assert!(matches!(run(&mut bench(), &json!({ name: value }), "hello", 1), Err(Error::InvalidRequest(_))));
    }
}
