//! Changes of the root's password by themselves, whole and interrupted.

use bulkhead_sdk::bench::Failure;

use super::*;

const DAY: u64 = 24 * 3600;

/// A mount whose root changes its password by itself.
fn with(body: Value) -> Bench<Database> {
    let mut bench = bench();
    bench.write("config/pg", body).ok();
    bench.databases().take_calls();
    bench
}

fn daily() -> Bench<Database> {
    with(json!({ "rotation_period": "24h" }))
}

fn shown(bench: &mut Bench<Database>, member: &str) -> Value {
    bench.read("config/pg").data().get(member).cloned().unwrap_or(Value::Null)
}

fn root(bench: &mut Bench<Database>) -> String {
    password(bench, "root")
}

/// Whether the connection knows the password that holds.
fn works(bench: &mut Bench<Database>) -> bool {
    bench.read("creds/app").status() == 200
}

#[test]
fn the_roots_password_changes_when_its_period_is_over() {
    let mut bench = daily();
    assert_eq!(bench.jobs(), [("rotate", "root/pg")]);
    assert_eq!(shown(&mut bench, "next_vault_rotation"), "2026-01-02T00:00:00Z");
    assert_eq!(shown(&mut bench, "last_vault_rotation"), Value::Null);
    assert_eq!(bench.advance(DAY - 1).unwrap(), 0);
    assert_eq!(root(&mut bench), "rootpw");
    assert_eq!(bench.advance(1).unwrap(), 1);
    assert_eq!(bench.databases().take_calls(), ["verify root", "change root", "verify root"]);
    let first = root(&mut bench);
    assert_ne!(first, "rootpw");
    assert!(works(&mut bench));
    assert_eq!(shown(&mut bench, "last_vault_rotation"), "2026-01-02T00:00:00Z");
    assert_eq!(shown(&mut bench, "next_vault_rotation"), "2026-01-03T00:00:00Z");
    assert_eq!(bench.advance(DAY).unwrap(), 1);
    assert_ne!(root(&mut bench), first);
    assert_eq!(bench.intents(), []);
    assert!(!bench.read("config/pg").text().contains(&root(&mut bench)));
}

#[test]
fn times_of_a_schedule_are_kept_unless_the_window_is_over() {
    let body = json!({ "rotation_schedule": "30 6 * * *", "rotation_window": "30m" });
    for (late_secs, is_changed) in [(0, true), (1800, true), (1801, false)] {
        let mut bench = with(body.clone());
        assert_eq!(shown(&mut bench, "next_vault_rotation"), "2026-01-01T06:30:00Z");
        assert_eq!(bench.advance(6 * 3600 + 1800 + late_secs).unwrap(), 1);
        assert_eq!(root(&mut bench) != "rootpw", is_changed, "{late_secs}");
        assert_eq!(shown(&mut bench, "next_vault_rotation"), "2026-01-02T06:30:00Z");
        assert!(works(&mut bench));
    }
}

#[test]
fn a_database_that_is_away_is_asked_again_after_growing_waits_and_nothing_is_begun() {
    let mut bench = daily();
    bench.databases().server(SERVER).is_down = true;
    bench.advance(DAY - 60).unwrap();
    let mut attempts = Vec::new();
    for minute in 0..60 * 6 {
        bench.advance(60).unwrap();
        if !bench.databases().take_calls().is_empty() {
            attempts.push(minute);
        }
        assert_eq!(bench.intents(), []);
    }
    let waits: Vec<_> = attempts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(waits.is_sorted() && waits.len() > 8 && waits.len() < 16, "{waits:?}");
    assert_eq!(waits.last(), Some(&60));
    bench.databases().server(SERVER).is_down = false;
    bench.advance(3600).unwrap();
    assert_ne!(root(&mut bench), "rootpw");
    assert!(works(&mut bench));
}

#[test]
fn what_failed_within_a_window_waits_for_the_next_time_after_it() {
    let mut bench = with(json!({ "rotation_schedule": "0 6 * * *", "rotation_window": "1h" }));
    bench.databases().server(SERVER).is_down = true;
    bench.advance(6 * 3600).unwrap();
    for _ in 0..120 {
        bench.advance(60).unwrap();
    }
    assert_eq!(shown(&mut bench, "next_vault_rotation"), "2026-01-02T06:00:00Z");
    bench.databases().server(SERVER).is_down = false;
    bench.databases().take_calls();
    bench.advance(20 * 3600).unwrap();
    assert_eq!(bench.databases().take_calls(), Vec::<String>::new());
    bench.advance(2 * 3600).unwrap();
    assert_ne!(root(&mut bench), "rootpw");
}

#[test]
fn a_change_that_is_refused_leaves_nothing_and_is_tried_again() {
    let mut bench = daily();
    bench.databases().fail_next(&[Failure::None, Failure::Refused]);
    assert_eq!(bench.advance(DAY).unwrap(), 1);
    let expected = ["verify root", "change root", "verify root", "change root"];
    assert_eq!(bench.databases().take_calls(), expected, "and the old one is told once more");
    assert_eq!((root(&mut bench).as_str(), bench.intents().len()), ("rootpw", 0));
    assert!(works(&mut bench));
    assert_eq!(bench.advance(9).unwrap(), 0);
    assert_eq!(bench.advance(1).unwrap(), 1);
    assert_ne!(root(&mut bench), "rootpw");
    assert_eq!(shown(&mut bench, "last_vault_rotation"), "2026-01-02T00:00:10Z");
}

#[test]
fn a_change_of_which_nobody_knows_how_it_went_is_settled_by_its_intent() {
    // Refused or done; then neither the new password nor the old one can be tried.
    for change in [Failure::Refused, Failure::AnswerLost] {
        let mut bench = daily();
        bench.databases().fail_next(&[Failure::None, change, Failure::Refused, Failure::Refused, Failure::Refused]);
        bench.advance(DAY).unwrap_err();
        assert_eq!(bench.intents().len(), 1, "{change:?}");
        bench.roll_back().unwrap();
        assert!(works(&mut bench), "{change:?}");
        // It goes on where the old one holds, by the engine's own waits.
        assert_eq!(bench.advance(9).unwrap(), 0, "{change:?}");
        bench.advance(1).unwrap();
        assert!(works(&mut bench), "{change:?}");
        assert_ne!(root(&mut bench), "rootpw", "{change:?}");
        assert_eq!(bench.intents(), []);
    }
}

#[test]
fn a_change_whose_commit_was_lost_is_taken_over_and_not_made_twice() {
    let mut bench = daily();
    bench.lose_next_commit();
    bench.advance(DAY).unwrap_err();
    let made = root(&mut bench);
    assert!(made != "rootpw" && !works(&mut bench));
    bench.roll_back().unwrap();
    assert!(works(&mut bench));
    assert_eq!(shown(&mut bench, "next_vault_rotation"), "2026-01-03T00:00:00Z");
    bench.advance(3600).unwrap();
    assert_eq!(root(&mut bench), made);
    bench.advance(DAY).unwrap();
    assert_ne!(root(&mut bench), made);
}

#[test]
fn a_change_on_demand_counts() {
    let mut bench = daily();
    bench.advance(DAY - 10).unwrap();
    assert_eq!(bench.write("rotate-root/pg", json!({})).status(), 204);
    let made = root(&mut bench);
    assert_eq!(bench.advance(DAY - 1).unwrap(), 0);
    assert_eq!(root(&mut bench), made);
    assert_eq!(bench.advance(1).unwrap(), 1);
    assert_ne!(root(&mut bench), made);
}

#[test]
fn a_config_that_is_written_again_keeps_its_times_and_tries_again_at_once() {
    let mut bench = daily();
    bench.advance(3600).unwrap();
    bench.write("config/pg", json!({ "allowed_roles": "*", "rotation_period": 86_400 })).ok();
    assert_eq!(shown(&mut bench, "next_vault_rotation"), "2026-01-02T00:00:00Z");
    bench.databases().add_account(SERVER, "root", "mended");
    bench.advance(DAY).unwrap();
    assert_eq!(root(&mut bench), "mended");
    bench.write("config/pg", json!({ "password": "mended" })).ok();
    assert_eq!(bench.advance(0).unwrap(), 1);
    assert_ne!(root(&mut bench), "mended");
    assert!(works(&mut bench));
}

#[test]
fn it_can_rest_and_be_ended() {
    for body in [
        json!({ "disable_automated_rotation": true }),
        json!({ "rotation_period": 0 }),
        json!({ "rotation_period": "0s", "rotation_schedule": "" }),
    ] {
        let mut bench = daily();
        bench.write("config/pg", body.clone()).ok();
        assert_eq!(bench.jobs(), [], "{body}");
        assert_eq!(shown(&mut bench, "next_vault_rotation"), Value::Null);
        bench.advance(2 * DAY).unwrap();
        assert_eq!(root(&mut bench), "rootpw");
        let again = json!({ "disable_automated_rotation": false, "rotation_period": "24h" });
        bench.write("config/pg", again).ok();
        assert_eq!(shown(&mut bench, "next_vault_rotation"), "2026-01-04T00:00:00Z", "{body}");
        assert_eq!(bench.advance(DAY).unwrap(), 1);
        assert_ne!(root(&mut bench), "rootpw");
    }
    let mut bench = daily();
    bench.delete("config/pg").ok();
    assert_eq!(bench.jobs(), []);
}

#[test]
fn a_rhythm_takes_the_place_of_another() {
    let mut bench = daily();
    let rhythm = |bench: &mut Bench<Database>| {
        ["rotation_period", "rotation_schedule", "rotation_window"].map(|member| shown(bench, member))
    };
    assert_eq!(rhythm(&mut bench), [json!(86_400), json!(""), json!(0)]);
    bench.write("config/pg", json!({ "rotation_schedule": "0 6 * * *" })).ok();
    assert_eq!(rhythm(&mut bench), [json!(0), json!("0 6 * * *"), json!(0)]);
    bench.write("config/pg", json!({ "rotation_window": 600 })).ok();
    assert_eq!(rhythm(&mut bench), [json!(0), json!("0 6 * * *"), json!(600)]);
    bench.write("config/pg", json!({ "rotation_schedule": "0 7 * * *", "rotation_period": 0 })).ok();
    assert_eq!(rhythm(&mut bench), [json!(0), json!("0 7 * * *"), json!(600)]);
    bench.write("config/pg", json!({ "rotation_schedule": "", "rotation_period": "1h", "rotation_window": 0 })).ok();
    assert_eq!(rhythm(&mut bench), [json!(3600), json!(""), json!(0)]);
    assert_eq!(shown(&mut bench, "disable_automated_rotation"), false);
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let mut bench = daily();
    let both = "mutually exclusive fields rotation_schedule and rotation_period were both specified; only one of \
                them can be provided";
    for (body, text) in [
        (json!({ "rotation_period": 5, "rotation_schedule": "0 6 * * *" }), both),
        (json!({ "rotation_period": 4 }), "rotation_period must be 5 seconds or more"),
        (
            json!({ "rotation_schedule": "sometimes" }),
            "failed to parse provided rotation_schedule: five fields of cron are expected, each within its bounds, in UTC",
        ),
        (json!({ "rotation_schedule": "0 0 30 2 *" }), "rotation_schedule has no time that will ever come"),
        (json!({ "rotation_window": 600 }), "rotation_window does not apply to period"),
        (json!({ "rotation_period": 60, "rotation_window": 600 }), "rotation_window does not apply to period"),
        (
            json!({ "rotation_period": 0, "rotation_window": 600 }),
            "cannot use rotation_window without rotation_schedule",
        ),
        (
            json!({ "password": "", "verify_connection": false }),
            "unable to rotate root credentials: no password in configuration",
        ),
        (
            json!({ "connection_url": "postgresql://root:pw@h", "verify_connection": false }),
            "unable to rotate root credentials: connection_url has a password of its own",
        ),
    ] {
        assert_eq!(refusal(&bench.write("config/pg", body.clone())), (400, text), "{body}");
    }
    assert_eq!(shown(&mut bench, "next_vault_rotation"), "2026-01-02T00:00:00Z");
    assert!(works(&mut bench));
}

#[test]
fn nothing_is_changed_while_another_has_the_connection() {
    for lock in ["connection/pg", "open/pg/0"] {
        let mut bench = with(json!({ "rotation_period": "24h", "max_open_connections": 1 }));
        bench.hold_lock(lock);
        // Not by the host's waits, which are up to a day.
        assert_eq!(bench.advance(DAY).unwrap(), 1, "{lock}");
        assert_eq!((root(&mut bench).as_str(), bench.intents().len()), ("rootpw", 0));
        bench.release_lock(lock);
        assert_eq!(bench.advance(9).unwrap(), 0);
        assert_eq!(bench.advance(1).unwrap(), 1);
        assert_ne!(root(&mut bench), "rootpw");
    }
}

#[test]
fn waits_grow_where_nobody_knows_how_each_change_went_either() {
    let mut bench = daily();
    bench.advance(DAY - 1).unwrap();
    let mut waited = 1;
    for wait in [10, 20, 40] {
        // Refused, then neither the new password nor the old one can be tried.
        bench.databases().fail_next(&[
            Failure::None,
            Failure::Refused,
            Failure::Refused,
            Failure::Refused,
            Failure::Refused,
        ]);
        assert_eq!(bench.advance(waited - 1).unwrap(), 0, "{wait}");
        bench.advance(1).unwrap_err();
        bench.roll_back().unwrap();
        assert!(works(&mut bench));
        waited = wait;
    }
    bench.advance(40).unwrap();
    assert_ne!(root(&mut bench), "rootpw");
}

#[test]
fn a_change_that_failed_does_not_write_what_whoever_makes_a_user_reads() {
    let mut bench = daily();
    let before = bench.stored("config/pg").unwrap().to_vec();
    bench.databases().server(SERVER).is_down = true;
    assert_eq!(bench.advance(DAY).unwrap(), 1);
    assert_eq!(bench.advance(10).unwrap(), 1);
    assert_eq!(bench.stored("config/pg").unwrap(), before);
}

#[test]
fn a_change_on_demand_that_had_to_be_settled_makes_none_due() {
    let mut bench = daily();
    bench.databases().fail_next(&[Failure::Refused, Failure::Refused]);
    assert_eq!(bench.write("rotate-root/pg", json!({})).status(), 502);
    bench.roll_back().unwrap();
    assert_eq!(bench.advance(DAY - 1).unwrap(), 0);
    assert_eq!(root(&mut bench), "rootpw");
    assert_eq!(bench.advance(1).unwrap(), 1);
    assert_ne!(root(&mut bench), "rootpw");
}

#[test]
fn a_static_role_and_a_connection_of_one_name_have_their_own_times() {
    let mut bench = with_static_role();
    bench.write("config/batch", details()).ok();
    bench
        .write("static-roles/batch", json!({ "db_name": "batch", "username": "worker", "rotation_period": "1h" }))
        .ok();
    bench.write("config/batch", json!({ "rotation_period": "2h" })).ok();
    assert_eq!(bench.jobs(), [("rotate", "batch"), ("rotate", "root/batch")]);
    let (worker, before) = (password(&mut bench, "worker"), root(&mut bench));
    bench.advance(3600).unwrap();
    assert_ne!(password(&mut bench, "worker"), worker);
    assert_eq!(root(&mut bench), before);
    bench.delete("static-roles/batch").ok();
    assert_eq!(bench.jobs(), [("rotate", "root/batch")]);
    bench.advance(3600).unwrap();
    assert_ne!(root(&mut bench), before);
}
