//! Calls that end without a commit, wherever they were.

use bulkhead_sdk::bench::Failure;

use super::*;

#[test]
fn a_user_whose_lease_was_lost_is_removed() {
    let mut bench = bench();
    bench.lose_next_commit();
    assert_eq!(bench.read("creds/app").status(), 503);
    assert_eq!(users(&mut bench).len(), 1);
    let name = users(&mut bench)[0].clone();
    let about = format!("user \"{name}\" of role \"app\" at connection \"pg\"");
    let intent = json!({ "username": name, "role": "app", "lane": "pg", "revocation_statements": [], "about": about });
    assert_eq!(bench.intents(), [("user", intent)]);
    assert_eq!(bench.roll_back().unwrap(), 1);
    assert_eq!(users(&mut bench), Vec::<String>::new());
}

#[test]
fn it_is_all_the_same_how_far_the_database_came() {
    for failure in [Failure::Refused, Failure::AnswerLost] {
        let mut bench = bench();
        // The database answers, so it is undone at once, and by its intent where that fails.
        bench.databases().fail_next(&[failure]);
        assert_eq!(bench.read("creds/app").status(), 502);
        assert_eq!((users(&mut bench), bench.intents().len()), (Vec::new(), 0));
        bench.databases().fail_next(&[failure, Failure::Refused]);
        assert_eq!(bench.read("creds/app").status(), 502);
        assert_eq!(users(&mut bench).len(), usize::from(failure == Failure::AnswerLost));
        assert_eq!(bench.intents().len(), 1);
        bench.roll_back().unwrap();
        assert_eq!((users(&mut bench), bench.intents().len()), (Vec::new(), 0));
    }
}

#[test]
fn what_was_not_begun_leaves_nothing_to_undo() {
    let mut bench = bench();
    bench.write("config/pg", json!({ "username_template": "fixed" })).ok();
    bench.databases().server(SERVER).is_down = true;
    assert_eq!(refusal(&bench.read("creds/app")), (502, "connection refused"));
    bench.databases().server(SERVER).is_down = false;
    bench.databases().add_account(SERVER, "root", "another");
    assert_eq!(refusal(&bench.read("creds/app")), (502, "password authentication failed"));
    assert_eq!(bench.intents(), []);
    // Nor is the name taken.
    bench.databases().add_account(SERVER, "root", "rootpw");
    assert_eq!(bench.read("creds/app").status(), 200);
}

#[test]
fn a_user_is_removed_without_its_role_and_when_the_database_is_back() {
    let mut bench = bench();
    bench.lose_next_commit();
    assert_eq!(bench.read("creds/app").status(), 503);
    bench.delete("roles/app").ok();
    bench.databases().server(SERVER).is_down = true;
    bench.roll_back().unwrap_err();
    bench.delete("config/pg").ok();
    bench.databases().server(SERVER).is_down = false;
    bench.roll_back().unwrap_err();
    assert_eq!(bench.intents().len(), 1);
    bench.write("config/pg", details()).ok();
    bench.roll_back().unwrap();
    assert_eq!(users(&mut bench), Vec::<String>::new());
}

#[test]
fn statements_that_cannot_remove_who_is_not_there_keep_no_intent_alive() {
    for statements in [
        json!({ "revocation_statements": "strict" }),
        json!({ "rollback_statements": "strict" }),
        json!({ "rollback_statements": "undo", "revocation_statements": "strict" }),
        json!({ "rollback_statements": "keep" }),
    ] {
        for failure in [Failure::Refused, Failure::AnswerLost] {
            let mut bench = bench();
            bench.write("roles/app", statements.clone()).ok();
            bench.databases().fail_next(&[failure]);
            assert_eq!(bench.read("creds/app").status(), 502);
            assert_eq!((users(&mut bench), bench.intents().len()), (Vec::new(), 0), "{statements} {failure:?}");
            bench.lose_next_commit();
            assert_eq!(bench.read("creds/app").status(), 503);
            bench.roll_back().unwrap();
            assert_eq!((users(&mut bench), bench.intents().len()), (Vec::new(), 0), "{statements}");
        }
    }
}

#[test]
fn rollback_statements_run_first() {
    let mut bench = bench();
    bench.write("roles/app", json!({ "rollback_statements": ["undo", "more"], "revocation_statements": "drop" })).ok();
    bench.lose_next_commit();
    assert_eq!(bench.read("creds/app").status(), 503);
    bench.databases().take_statements();
    bench.roll_back().unwrap();
    assert_eq!(bench.databases().take_statements(), ["undo", "more", "drop"]);
}

#[test]
fn somebody_elses_user_of_that_name_is_left_alone() {
    let mut bench = bench();
    bench.write("config/pg", json!({ "username_template": "fixed" })).ok();
    bench.databases().add_account(SERVER, "fixed", "theirs");
    let answer = bench.read("creds/app");
    assert_eq!(refusal(&answer), (400, "role \"fixed\" already exists"));
    assert_eq!(bench.intents(), []);
    assert_eq!(password(&mut bench, "fixed"), "theirs");
}

#[test]
fn a_template_that_makes_no_name_touches_nothing() {
    let mut bench = bench();
    bench.write("config/pg", json!({ "username_template": "wrong" })).ok();
    bench.databases().take_calls();
    assert_eq!(refusal(&bench.read("creds/app")), (400, "unable to parse the template"));
    assert_eq!((bench.intents().len(), bench.databases().take_calls().len()), (0, 0));
}

#[test]
fn a_renewal_that_was_lost_can_be_asked_for_again() {
    let mut bench = bench();
    let answer = bench.read("creds/app");
    bench.lose_next_commit();
    bench.renew(answer.lease(), None).unwrap_err();
    bench.renew(answer.lease(), None).unwrap();
    bench.lose_next_commit();
    bench.revoke(answer.lease()).unwrap_err();
    bench.revoke(answer.lease()).unwrap();
    assert_eq!((users(&mut bench).len(), bench.intents().len()), (0, 0));
}

/// A mount whose template makes the same name each time.
fn with_template() -> Bench<Database> {
    let mut bench = bench();
    bench.write("config/pg", json!({ "username_template": "fixed" })).ok();
    bench.databases().take_calls();
    bench
}

const TAKEN: &str = "username_template makes the name of a user that has a lease already, or a certificate still";

#[test]
fn a_template_that_makes_a_name_twice_costs_nobody_their_user() {
    let mut bench = with_template();
    let first = bench.read("creds/app");
    let known = password(&mut bench, "fixed");
    assert_eq!(refusal(&bench.read("creds/app")), (400, TAKEN));
    assert_eq!(bench.intents(), []);
    assert_eq!(bench.databases().take_calls(), ["create fixed"]);
    assert_eq!(password(&mut bench, "fixed"), known);
    bench.revoke(first.lease()).unwrap();
    assert_eq!(bench.keys(), ["config/pg", "role/app"]);
    bench.read("creds/app").ok();
}

#[test]
fn of_two_at_once_with_one_name_the_second_waits() {
    let mut bench = with_template();
    let first = bench.read("creds/app");
    let key = bench.keys().into_iter().find(|key| key.starts_with("user/")).unwrap();
    assert_eq!(key.len(), "user/pg/".len() + 64);
    bench.revoke(first.lease()).unwrap();
    bench.hold_lock(&key);
    assert_eq!(bench.read("creds/app").status(), 503);
    assert_eq!(users(&mut bench), Vec::<String>::new());
}

#[test]
fn a_user_that_another_call_made_meanwhile_is_not_undone() {
    let mut bench = with_template();
    bench.databases().fail_next(&[Failure::Refused, Failure::Refused]);
    assert_eq!(bench.read("creds/app").status(), 502);
    let second = bench.read("creds/app");
    assert_eq!(second.status(), 200);
    bench.roll_back().unwrap();
    assert_eq!(users(&mut bench), ["fixed"]);
    bench.revoke(second.lease()).unwrap();
    assert_eq!(users(&mut bench), Vec::<String>::new());
}

#[test]
fn a_name_is_free_again_when_no_lease_can_have_it_any_more() {
    let mut bench = with_template();
    bench.read("creds/app").ok();
    bench.databases().server(SERVER).accounts.remove("fixed");
    bench.advance(2 * 3600).unwrap();
    assert_eq!(refusal(&bench.read("creds/app")), (400, TAKEN));
    bench.advance(5).unwrap();
    bench.read("creds/app").ok();
}

#[test]
fn an_intent_is_settled_by_the_role_as_it_is_now() {
    let mut bench = bench();
    bench.write("roles/app", json!({ "rollback_statements": "fail", "revocation_statements": "fail" })).ok();
    bench.lose_next_commit();
    assert_eq!(bench.read("creds/app").status(), 503);
    bench.write("roles/app", json!({ "rollback_statements": "undo", "revocation_statements": "drop" })).ok();
    bench.databases().take_statements();
    bench.roll_back().unwrap();
    assert_eq!(bench.databases().take_statements(), ["undo", "drop"]);
    // One of another database says nothing of this one's users.
    bench.lose_next_commit();
    assert_eq!(bench.read("creds/app").status(), 503);
    bench.write("roles/app", json!({ "db_name": "other", "revocation_statements": "other" })).ok();
    bench.databases().take_statements();
    bench.roll_back().unwrap();
    assert_eq!(bench.databases().take_statements(), ["undo", "drop"]);
    assert_eq!(users(&mut bench), Vec::<String>::new());
}

#[test]
fn a_user_that_comes_to_be_after_it_was_undone_is_removed_too() {
    let mut bench = bench();
    bench.databases().fail_next(&[Failure::Refused, Failure::Refused]);
    assert_eq!(bench.read("creds/app").status(), 502);
    let name = bench.intents()[0].1["username"].as_str().unwrap().to_owned();
    bench.roll_back().unwrap();
    bench.databases().add_account(SERVER, &name, "late");
    assert_eq!(bench.advance(599).unwrap(), 0);
    assert_eq!(users(&mut bench), [name]);
    assert_eq!(bench.advance(1).unwrap(), 1);
    assert_eq!((users(&mut bench), bench.jobs().len()), (Vec::new(), 0));
}

#[test]
fn a_name_that_is_somebody_elses_meanwhile_is_not_removed_once_more() {
    let mut bench = with_template();
    bench.databases().fail_next(&[Failure::Refused, Failure::Refused]);
    assert_eq!(bench.read("creds/app").status(), 502);
    bench.roll_back().unwrap();
    bench.read("creds/app").ok();
    assert_eq!(bench.advance(600).unwrap(), 1);
    assert_eq!(users(&mut bench), ["fixed"]);
}

#[test]
fn without_its_connection_nobody_is_removed_once_more() {
    let mut bench = bench();
    bench.lose_next_commit();
    assert_eq!(bench.read("creds/app").status(), 503);
    bench.roll_back().unwrap();
    bench.delete("config/pg").ok();
    assert_eq!(bench.advance(600).unwrap(), 1);
    assert_eq!(bench.jobs().len(), 0);
}
