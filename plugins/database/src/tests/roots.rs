//! `rotate-root/:name`, whole and interrupted.

use bulkhead_sdk::bench::Failure;

use super::*;

/// The root's password as the record has it, by what the record can do.
fn works(bench: &mut Bench<Database>) -> bool {
    bench.read("creds/app").status() == 200
}

/// Refused, and then so is every look at what became of it: nobody knows which password holds.
const UNKNOWN: [Failure; 4] = [Failure::Refused; 4];

#[test]
fn the_roots_password_is_changed_and_known_to_nobody() {
    let mut bench = bench();
    bench.write("config/pg", json!({ "root_rotation_statements": "ALTER" })).ok();
    bench.databases().take_calls();
    assert_eq!(bench.write("rotate-root/pg", json!({})).status(), 204);
    assert_eq!(bench.databases().take_calls(), ["change root", "verify root"]);
    assert_eq!(bench.databases().take_statements(), ["ALTER"]);
    assert_ne!(password(&mut bench, "root"), "rootpw");
    assert!(works(&mut bench));
    assert_eq!(bench.intents(), []);
    let shown = bench.read("config/pg").text().to_owned();
    assert!(!shown.contains(&password(&mut bench, "root")));
}

#[test]
fn what_cannot_be_rotated_is_told() {
    let mut bench = bench();
    let text = "failed to find entry for connection with name: \"none\"";
    assert_eq!(refusal(&bench.write("rotate-root/none", json!({}))), (400, text));
    bench.write("config/pg", json!({ "password": "", "verify_connection": false })).ok();
    let text = "unable to rotate root credentials: no password in configuration";
    assert_eq!(refusal(&bench.write("rotate-root/pg", json!({}))), (400, text));
    bench.write("config/pg", json!({ "username": "", "verify_connection": false })).ok();
    let text = "unable to rotate root credentials: no username in configuration";
    assert_eq!(refusal(&bench.write("rotate-root/pg", json!({}))), (400, text));
    let url = "postgresql://root:pw@h";
    let body = json!({ "connection_url": url, "username": "root", "password": "pw", "verify_connection": false });
    bench.write("config/pg", body).ok();
    let text = "unable to rotate root credentials: connection_url has a password of its own";
    assert_eq!(refusal(&bench.write("rotate-root/pg", json!({}))), (400, text));
    assert_eq!(password(&mut bench, "root"), "rootpw");
}

#[test]
fn one_change_at_a_time() {
    let mut bench = bench();
    bench.hold_lock("connection/pg");
    assert_eq!(bench.write("rotate-root/pg", json!({})).status(), 503);
    assert_eq!(password(&mut bench, "root"), "rootpw");
}

#[test]
fn a_lost_answer_does_not_hide_that_the_password_was_changed() {
    let mut bench = bench();
    bench.databases().fail_next(&[Failure::AnswerLost]);
    assert_eq!(bench.write("rotate-root/pg", json!({})).status(), 204);
    assert_ne!(password(&mut bench, "root"), "rootpw");
    assert!(works(&mut bench));
}

#[test]
fn the_password_that_holds_is_found_out_after_a_crash() {
    // How the change goes, and how the look at it that follows.
    for failures in [&[Failure::None, Failure::Refused][..], &[Failure::AnswerLost, Failure::Refused], &UNKNOWN] {
        let mut bench = bench();
        bench.databases().fail_next(failures);
        let answer = bench.write("rotate-root/pg", json!({}));
        assert_eq!(answer.status(), 502, "{failures:?}");
        assert_eq!(bench.intents().len(), 1);
        bench.roll_back().unwrap();
        assert!(works(&mut bench), "{failures:?}");
        assert_eq!(bench.roll_back().unwrap(), 0);
    }
}

#[test]
fn a_change_that_is_refused_or_not_begun_leaves_nothing_to_settle() {
    let mut bench = bench();
    bench.databases().fail_next(&[Failure::Refused]);
    bench.databases().take_calls();
    assert_eq!(refusal(&bench.write("rotate-root/pg", json!({}))), (502, "connection refused"));
    let expected = ["change root", "verify root", "change root"];
    assert_eq!(bench.databases().take_calls(), expected, "and the old one is told once more");
    bench.databases().server(SERVER).is_down = true;
    assert_eq!(refusal(&bench.write("rotate-root/pg", json!({}))), (502, "connection refused"));
    assert_eq!(bench.databases().take_calls(), ["change root"]);
    assert_eq!(bench.intents(), []);
    bench.databases().server(SERVER).is_down = false;
    assert_eq!(password(&mut bench, "root"), "rootpw");
    assert!(works(&mut bench));
}

#[test]
fn a_change_whose_commit_was_lost_is_taken_over() {
    let mut bench = bench();
    bench.lose_next_commit();
    assert_eq!(bench.write("rotate-root/pg", json!({})).status(), 503);
    assert!(!works(&mut bench));
    bench.databases().server(SERVER).is_down = true;
    bench.roll_back().unwrap_err();
    bench.databases().server(SERVER).is_down = false;
    let left = bench.intents().len();
    assert_eq!(bench.roll_back().unwrap(), left);
    assert!(works(&mut bench));
    assert_ne!(password(&mut bench, "root"), "rootpw");
}

#[test]
fn a_record_that_was_written_meanwhile_ends_with_the_password_that_holds() {
    for (body, changed) in [
        (json!({ "password": "typo", "verify_connection": false }), true),
        (json!({ "password": "typo", "verify_connection": false }), false),
    ] {
        let mut bench = bench();
        if changed {
            bench.lose_next_commit();
        } else {
            bench.databases().fail_next(&UNKNOWN);
        }
        assert!(bench.write("rotate-root/pg", json!({})).status() > 500);
        bench.write("config/pg", body).ok();
        bench.roll_back().unwrap();
        assert!(works(&mut bench), "{changed}");
    }
}

#[test]
fn without_its_connection_the_database_gets_back_the_password_that_its_owner_knows() {
    for changed in [true, false] {
        let mut bench = bench();
        if changed {
            bench.lose_next_commit();
        } else {
            bench.databases().fail_next(&UNKNOWN);
        }
        assert!(bench.write("rotate-root/pg", json!({})).status() > 500);
        bench.delete("config/pg").ok();
        bench.roll_back().unwrap();
        assert_eq!(password(&mut bench, "root"), "rootpw");
    }
}

#[test]
fn nothing_is_settled_while_no_password_holds() {
    let mut bench = bench();
    bench.lose_next_commit();
    assert_eq!(bench.write("rotate-root/pg", json!({})).status(), 503);
    bench.databases().add_account(SERVER, "root", "a third one");
    bench.roll_back().unwrap_err();
    assert_eq!(bench.intents().len(), 1);
    bench.write("config/pg", json!({ "password": "a third one" })).ok();
    bench.roll_back().unwrap();
    assert!(works(&mut bench));
}

#[test]
fn the_old_password_is_said_once_more_rather_than_believed() {
    let mut bench = bench();
    bench.databases().fail_next(&UNKNOWN);
    assert_eq!(bench.write("rotate-root/pg", json!({})).status(), 502);
    bench.databases().take_calls();
    bench.roll_back().unwrap();
    assert_eq!(bench.databases().take_calls(), ["verify root", "change root"]);
    assert_eq!(password(&mut bench, "root"), "rootpw");
}

#[test]
fn a_database_that_does_not_take_the_same_password_again_is_believed() {
    let mut bench = bench();
    bench.databases().fail_next(&UNKNOWN);
    assert_eq!(bench.write("rotate-root/pg", json!({})).status(), 502);
    bench.databases().fail_next(&[Failure::None, Failure::Refused]);
    bench.databases().take_calls();
    bench.roll_back().unwrap();
    assert_eq!(bench.databases().take_calls(), ["verify root", "change root", "verify root"]);
    assert!(works(&mut bench));
}

#[test]
fn the_root_from_before_gets_its_password_back_when_there_is_another() {
    for (changed, is_gone) in [(true, false), (false, false), (true, true)] {
        let mut bench = bench();
        bench.databases().add_account(SERVER, "other", "otherpw");
        if changed {
            bench.lose_next_commit();
        } else {
            bench.databases().fail_next(&UNKNOWN);
        }
        assert!(bench.write("rotate-root/pg", json!({})).status() > 500);
        bench.write("config/pg", json!({ "username": "other", "password": "otherpw" })).ok();
        if is_gone {
            bench.databases().server(SERVER).accounts.remove("root");
        }
        bench.roll_back().unwrap();
        let root = bench.databases().server(SERVER).accounts.get("root").cloned();
        assert_eq!(root.map(|root| root.credential), (!is_gone).then(|| "rootpw".to_owned()));
        assert_eq!(password(&mut bench, "other"), "otherpw");
        assert!(works(&mut bench));
    }
}
