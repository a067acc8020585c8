//! The driver on the bench, with a database that the test plays.

use std::cell::RefCell;
use std::rc::Rc;

use bulkhead_sdk::Error;
use bulkhead_sdk::bench::{DriverBench, Peer};
use bulkhead_sdk::driver::{Credential, UserRemoval, UserSpec};
use serde_json::{Value, json};

use crate::Hello;

/// What the database was told.
type Told = Rc<RefCell<Vec<String>>>;

fn bench(answer: &'static str) -> (DriverBench<Hello>, Told) {
    let told = Told::default();
    let noted = Rc::clone(&told);
    let bench = DriverBench::played(move |address| {
        let noted = Rc::clone(&noted);
        assert_eq!(address, "tcp://db.example:7000");
        Ok(Peer::new(move |sent| {
            // It says nothing before it is told something.
            if sent.is_empty() {
                return Some(Vec::new());
            }
            noted.borrow_mut().push(String::from_utf8_lossy(sent).into_owned());
            Some(answer.as_bytes().to_vec())
        }))
    });
    (bench, told)
}

fn config() -> Value {
    json!({ "address": "db.example:7000" })
}

fn user(name: &str) -> UserSpec {
    UserSpec {
        username: Some(name.to_owned()),
        display_name: String::new(),
        role_name: "app".to_owned(),
        username_template: None,
        statements: Vec::new(),
        rollback_statements: Vec::new(),
        credential: Credential::Password("p4ss".to_owned()),
        expires_at: None,
    }
}

#[test]
fn users_are_made_and_removed_by_a_line_each() {
    let (mut bench, told) = bench("OK\n");
    assert_eq!(bench.create_user(&config(), &user("app-1")).unwrap(), "app-1");
    let removal = UserRemoval { username: "app-1".to_owned(), statements: Vec::new() };
    bench.delete_user(&config(), &removal).unwrap();
    assert_eq!(*told.borrow(), ["ADD app-1 p4ss\n", "DROP app-1\n"]);
}

#[test]
fn a_name_cannot_become_a_second_line() {
    let (mut bench, told) = bench("OK\n");
    let refused = bench.create_user(&config(), &user("x\nDROP app-1"));
    assert!(matches!(refused, Err(Error::InvalidRequest(_))));
    assert!(told.borrow().is_empty());
}

#[test]
fn an_account_that_is_there_already_is_somebody_elses() {
    let (mut refusing, _) = bench("NO\n");
    assert!(matches!(refusing.create_user(&config(), &user("app-1")), Err(Error::PreconditionFailed(_))));
    // It may have been made, for all that is known.
    let (mut unclear, _) = bench("?\n");
    assert!(matches!(unclear.create_user(&config(), &user("app-1")), Err(Error::Upstream(_))));
}

#[test]
fn what_the_database_refuses_is_its_refusal() {
    let (mut bench, _) = bench("NO\n");
    assert!(matches!(bench.verify(&config(), true), Err(Error::Upstream(_))));
    assert!(matches!(bench.verify(&json!({}), false), Err(Error::InvalidRequest(_))));
}
