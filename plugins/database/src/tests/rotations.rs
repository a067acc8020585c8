//! Passwords that change by time and on demand, whole and interrupted.

use bulkhead_sdk::bench::Failure;

use super::*;

const DAY: u64 = 24 * 3600;

/// What the role tells of its password.
fn told(bench: &mut Bench<Database>) -> String {
    bench.read("static-creds/batch").data()["password"].as_str().unwrap().to_owned()
}

/// Seconds to the next change, as the role tells.
fn ttl(bench: &mut Bench<Database>) -> u64 {
    bench.read("static-creds/batch").data()["ttl"].as_u64().unwrap()
}

/// Whether who is told the password can log in.
fn holds(bench: &mut Bench<Database>) -> bool {
    told(bench) == password(bench, "worker")
}

#[test]
fn a_password_changes_when_its_period_is_over() {
    let mut bench = with_static_role();
    let first = told(&mut bench);
    assert_eq!(bench.advance(DAY - 1).unwrap(), 0);
    assert_eq!((told(&mut bench), ttl(&mut bench)), (first.clone(), 1));
    assert_eq!(bench.advance(1).unwrap(), 1);
    assert_ne!(told(&mut bench), first);
    assert!(holds(&mut bench));
    assert_eq!(ttl(&mut bench), DAY);
    assert_eq!(bench.advance(DAY + 5).unwrap(), 1);
    assert_eq!(ttl(&mut bench), DAY, "a day after the change, however late that was");
    assert_eq!(bench.intents(), []);
}

#[test]
fn a_shorter_period_counts_from_the_last_change() {
    let mut bench = with_static_role();
    bench.advance(7200).unwrap();
    let first = told(&mut bench);
    bench.write("static-roles/batch", json!({ "username": "worker", "rotation_period": "1h" })).ok();
    assert_eq!(ttl(&mut bench), 0);
    assert_eq!(bench.advance(0).unwrap(), 1);
    assert_ne!(told(&mut bench), first);
    assert_eq!(ttl(&mut bench), 3600);
}

#[test]
fn a_password_changes_when_it_is_asked_for() {
    let mut bench = with_static_role();
    assert_eq!(refusal(&bench.write("rotate-role/none", json!({}))), (400, "no static role found for role name"));
    let first = told(&mut bench);
    bench.advance(3600).unwrap();
    assert_eq!(bench.write("rotate-role/batch", json!({})).status(), 204);
    assert_ne!(told(&mut bench), first);
    assert!(holds(&mut bench));
    assert_eq!((ttl(&mut bench), bench.jobs().len()), (DAY, 1));
    assert_eq!(bench.advance(DAY - 1).unwrap(), 0);
}

#[test]
fn times_of_a_schedule_are_kept() {
    let mut bench = with_static_role();
    bench.write("static-roles/batch", json!({ "username": "worker", "rotation_schedule": "30 6 * * MON-FRI" })).ok();
    let first = told(&mut bench);
    assert_eq!(bench.advance(6 * 3600 + 1799).unwrap(), 0);
    assert_eq!(bench.advance(1).unwrap(), 1);
    assert_ne!(told(&mut bench), first);
    assert_eq!(ttl(&mut bench), DAY);
    bench.advance(DAY).unwrap();
    assert_eq!(ttl(&mut bench), 3 * DAY, "from Friday to Monday");
}

#[test]
fn a_time_that_was_missed_by_more_than_the_window_waits_for_the_next() {
    let body = json!({ "username": "worker", "rotation_schedule": "0 6 * * *", "rotation_window": "1h" });
    for (late_secs, is_changed) in [(3600, true), (3601, false)] {
        let mut bench = with_static_role();
        bench.write("static-roles/batch", body.clone()).ok();
        let first = told(&mut bench);
        assert_eq!(bench.advance(6 * 3600 + late_secs).unwrap(), 1);
        assert_eq!(told(&mut bench) != first, is_changed, "{late_secs}");
        assert_eq!(ttl(&mut bench), DAY - late_secs);
    }
}

#[test]
fn a_change_that_fails_is_tried_again_after_growing_waits() {
    let mut bench = with_static_role();
    bench.databases().server(SERVER).is_down = true;
    let mut attempts = Vec::new();
    for minute in 0..60 * 24 + 60 * 5 {
        bench.advance(60).unwrap();
        if !bench.databases().take_calls().is_empty() {
            attempts.push(minute);
        }
    }
    let waits: Vec<_> = attempts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(waits.is_sorted() && waits.len() < 16, "{waits:?}");
    assert_eq!(waits.last(), Some(&60));
    assert_eq!(bench.intents(), [], "failures do not pile up");
    bench.databases().server(SERVER).is_down = false;
    bench.advance(3600).unwrap();
    assert!(holds(&mut bench));
    assert_eq!(ttl(&mut bench), DAY);
}

#[test]
fn a_lost_answer_is_made_good_whether_or_not_there_is_a_window() {
    let mut bench = with_static_role();
    let body = json!({ "username": "worker", "rotation_schedule": "0 6 * * *", "rotation_window": "1h" });
    bench.write("static-roles/batch", body).ok();
    bench.databases().fail_next(&[Failure::AnswerLost]);
    bench.advance(6 * 3600).unwrap();
    assert!(!holds(&mut bench));
    bench.advance(2 * 3600).unwrap();
    assert!(holds(&mut bench), "the window is over, and what was begun is finished");
}

#[test]
fn a_change_on_demand_that_failed_is_finished_by_the_job() {
    for failure in [Failure::Refused, Failure::AnswerLost] {
        let mut bench = with_static_role();
        bench.databases().fail_next(&[failure]);
        let answer = bench.write("rotate-role/batch", json!({}));
        assert_eq!(answer.status(), 502);
        let text = "unable to finish rotating credentials; retries will continue in the background but it is also safe \
                    to retry manually: error setting credentials: ";
        assert!(answer.error().starts_with(text), "{}", answer.error());
        assert_eq!(bench.intents(), []);
        assert_eq!(bench.advance(10).unwrap(), 1);
        assert!(holds(&mut bench));
        assert_eq!(ttl(&mut bench), DAY);
    }
}

#[test]
fn a_change_whose_commit_was_lost_is_followed_by_another() {
    let mut bench = with_static_role();
    bench.lose_next_commit();
    assert_eq!(bench.write("rotate-role/batch", json!({})).status(), 503);
    assert!(!holds(&mut bench));
    let about = "the password of static role \"batch\"";
    let intent = json!({ "about": about, "lane": "pg", "role": "batch", "last_ms": 1_767_225_600_000_u64 });
    assert_eq!(bench.intents(), [("rotation", intent)]);
    bench.roll_back().unwrap();
    bench.advance(0).unwrap();
    assert!(holds(&mut bench));
}

#[test]
fn a_job_whose_commit_was_lost_is_run_again() {
    let mut bench = with_static_role();
    bench.lose_next_commit();
    bench.advance(DAY).unwrap_err();
    assert!(!holds(&mut bench));
    bench.advance(0).unwrap();
    assert!(holds(&mut bench));
    let known = told(&mut bench);
    bench.roll_back().unwrap();
    bench.advance(0).unwrap();
    assert_eq!(told(&mut bench), known, "it was changed since, so nothing is left to settle");
}

#[test]
fn an_intent_of_a_role_that_is_gone_is_settled() {
    let mut bench = with_static_role();
    bench.lose_next_commit();
    assert_eq!(bench.write("rotate-role/batch", json!({})).status(), 503);
    bench.delete("static-roles/batch").ok();
    assert_eq!(bench.roll_back().unwrap(), 1);
    assert_eq!(bench.jobs(), []);
}

#[test]
fn one_change_at_a_time() {
    let mut bench = with_static_role();
    let first = told(&mut bench);
    bench.hold_lock("static-role/batch");
    assert_eq!(bench.write("rotate-role/batch", json!({})).status(), 503);
    assert_eq!(bench.delete("static-roles/batch").status(), 503);
    assert_eq!(bench.advance(DAY).unwrap(), 1, "it looks again soon");
    assert_eq!(told(&mut bench), first, "and what is known can be read meanwhile");
    bench.release_lock("static-role/batch");
    assert_eq!(bench.advance(10).unwrap(), 1);
    assert_ne!(told(&mut bench), first);
}

#[test]
fn a_new_static_role_whose_commit_was_lost_can_be_written_again() {
    let mut bench = bench();
    bench.databases().add_account(SERVER, "worker", "from before");
    let body = json!({ "db_name": "pg", "username": "worker", "rotation_period": "24h" });
    bench.lose_next_commit();
    assert_eq!(bench.write("static-roles/batch", body.clone()).status(), 503);
    bench.write("static-roles/batch", body).ok();
    assert!(holds(&mut bench));
}

#[test]
fn a_change_that_cannot_be_begun_waits_no_longer_than_one_that_fails() {
    let mut bench = with_static_role();
    let first = told(&mut bench);
    for (body, mended) in
        [(json!({ "allowed_roles": "other" }), json!({ "allowed_roles": "*" })), (Value::Null, details())]
    {
        match &body {
            Value::Null => bench.delete("config/pg").ok(),
            body => bench.write("config/pg", body.clone()).ok(),
        };
        bench.databases().take_calls();
        bench.advance(DAY).unwrap();
        bench.advance(3 * 3600).unwrap();
        bench.databases().take_calls();
        assert_eq!(bench.intents(), [], "nothing is begun");
        // Once it is mended, it does not wait for its time.
        bench.write("config/pg", mended).ok();
        assert_eq!((ttl(&mut bench), bench.jobs().len()), (0, 1));
        assert_eq!(bench.advance(0).unwrap(), 1);
        assert!(holds(&mut bench) && told(&mut bench) != first);
        assert_eq!(ttl(&mut bench), DAY);
    }
    bench.hold_lock("static-role/batch");
    bench.advance(DAY).unwrap();
    bench.release_lock("static-role/batch");
    bench.advance(10).unwrap();
    assert_eq!(ttl(&mut bench), DAY);
}
