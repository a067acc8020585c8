use serde_json::json;

use super::Failure;
use crate::bench::Bench;
use crate::databases::{self, Credential, Driver, UserRemoval, UserSpec};
use crate::prelude::*;

const CONFIG: &str = r#"{"connection_url":"db","username":"root","password":"pw"}"#;

/// Makes users, and tells of drivers.
struct Makers;

#[plugin(name = "makers")]
impl Makers {
    #[update("users/{name}")]
    fn make(_cx: &Cx, name: &str) -> Result<Value> {
        let spec = UserSpec {
            username: Some(name.to_owned()),
            display_name: String::new(),
            role_name: String::new(),
            username_template: None,
            statements: vec!["CREATE".to_owned()],
            rollback_statements: Vec::new(),
            credential: Credential::Password("secret".to_owned()),
            expires_at: Some(7),
        };
        Ok(json!(Driver::new("d", CONFIG).create_user(&spec)?))
    }

    #[delete("users/{name}")]
    fn remove(_cx: &Cx, name: &str) -> Result<()> {
        Driver::new("d", CONFIG).delete_user(&UserRemoval { username: name.to_owned(), statements: Vec::new() })
    }

    #[read("drivers/{name}")]
    fn tell(_cx: &Cx, name: &str) -> Result<Value> {
        let driver = Driver::new(name, CONFIG);
        driver.verify(false)?;
        Ok(json!({ "all": databases::available(), "kinds": driver.credential_kinds()? }))
    }
}

fn bench() -> Bench<Makers> {
    let mut bench = Bench::new();
    bench.databases().add_driver("d", &[databases::PASSWORD]);
    bench.databases().add_account("db", "root", "pw");
    bench
}

#[test]
fn what_was_done_outside_is_done_once_and_stays_done() {
    let mut bench = bench();
    bench.lose_next_commit();
    assert_eq!(bench.write("users/ann", json!({})).status(), 503);
    assert_eq!(bench.databases().take_calls(), ["create ann"]);
    let account = bench.databases().server("db").accounts["ann"].clone();
    assert_eq!((account.credential.as_str(), account.expires_at), ("secret", Some(7)));
    assert_eq!(bench.write("users/ann", json!({})).status(), 412);
    bench.delete("users/ann").ok();
    bench.delete("users/ann").ok();
    assert_eq!(bench.databases().take_calls(), ["create ann", "delete ann", "delete ann"]);
}

#[test]
fn what_touches_nothing_is_run_twice_like_any_call() {
    let mut bench = bench();
    assert_eq!(bench.read("drivers/d").data(), json!({ "all": ["d"], "kinds": ["password"] }));
    assert_eq!(bench.read("drivers/d@v1").status(), 200);
    assert_eq!(bench.read("drivers/other").error(), "the driver \"other\" is not in the catalog");
    assert!(!bench.databases().were_touched());
}

#[test]
fn calls_fail_as_a_test_wants_it() {
    let mut bench = bench();
    bench.databases().fail_next(&[Failure::None, Failure::Refused, Failure::AnswerLost]);
    let statuses: Vec<_> =
        ["a", "b", "c", "d"].map(|name| bench.write(&format!("users/{name}"), json!({})).status()).into();
    assert_eq!(statuses, [200, 502, 502, 200]);
    let names: Vec<_> = bench.databases().server("db").accounts.keys().cloned().collect();
    assert_eq!(names, ["a", "c", "d", "root"]);
    bench.databases().server("db").is_down = true;
    assert_eq!(bench.write("users/e", json!({})).error(), "connection refused");
    bench.databases().server("db").is_down = false;
    bench.databases().add_account("db", "root", "other");
    assert_eq!(bench.write("users/e", json!({})).error(), "password authentication failed");
}
