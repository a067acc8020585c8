//! `max_open_connections`: how many calls have a database at work at a time.

use super::*;

fn bounded(open: Value) -> Bench<Database> {
    let mut bench = with_static_role();
    bench.write("config/pg", json!({ "max_open_connections": open })).ok();
    bench.databases().take_calls();
    bench
}

fn hold(bench: &mut Bench<Database>, seats: std::ops::Range<u32>) {
    seats.for_each(|seat| bench.hold_lock(&format!("open/pg/{seat}")));
}

#[test]
fn a_call_that_finds_no_seat_begins_nothing() {
    for open in [json!(2), json!("2")] {
        let mut bench = bounded(open);
        let lease = bench.read("creds/app").lease().clone();
        bench.databases().take_calls();
        hold(&mut bench, 0..2);
        let text = "all 2 of max_open_connections are in use";
        assert_eq!(refusal(&bench.read("creds/app")), (503, text));
        assert_eq!(refusal(&bench.write("rotate-root/pg", json!({}))), (503, text));
        assert_eq!(refusal(&bench.write("rotate-role/batch", json!({}))), (503, text));
        assert_eq!(refusal(&bench.write("config/pg", json!({ "allowed_roles": "*" }))), (503, text));
        bench.renew(&lease, None).unwrap_err();
        bench.revoke(&lease).unwrap_err();
        assert_eq!((bench.databases().take_calls(), bench.intents()), (Vec::new(), Vec::new()));
        bench.release_lock("open/pg/1");
        bench.renew(&lease, None).unwrap();
        bench.revoke(&lease).unwrap();
        bench.read("creds/app").ok();
        bench.write("rotate-root/pg", json!({})).ok();
        bench.write("rotate-role/batch", json!({})).ok();
    }
}

#[test]
fn any_free_seat_will_do_and_others_databases_have_their_own() {
    let mut bench = bounded(json!(4));
    hold(&mut bench, 0..3);
    for _ in 0..8 {
        bench.read("creds/app").ok();
    }
    bench.release_lock("open/pg/0");
    bench.hold_lock("open/pg/3");
    bench.read("creds/app").ok();
    hold(&mut bench, 0..4);
    bench.write("config/other", details()).ok();
}

#[test]
fn the_one_free_seat_of_fifteen_is_found() {
    let mut bench = bounded(json!(15));
    hold(&mut bench, 0..15);
    assert_eq!(refusal(&bench.read("creds/app")), (503, "all 15 of max_open_connections are in use"));
    for free in 0..15 {
        bench.release_lock(&format!("open/pg/{free}"));
        bench.read("creds/app").ok();
        bench.hold_lock(&format!("open/pg/{free}"));
    }
}

#[test]
fn without_a_bound_there_are_no_seats() {
    for open in [json!(0), json!(-1), json!(16), json!(1000), json!("many")] {
        let mut bench = bounded(open);
        hold(&mut bench, 0..20);
        bench.read("creds/app").ok();
    }
}

#[test]
fn what_is_undone_waits_for_a_seat_too() {
    let mut bench = bounded(json!(1));
    bench.lose_next_commit();
    assert_eq!(bench.read("creds/app").status(), 503);
    hold(&mut bench, 0..1);
    bench.roll_back().unwrap_err();
    assert_eq!(users(&mut bench).len(), 2);
    bench.release_lock("open/pg/0");
    bench.roll_back().unwrap();
    assert_eq!(users(&mut bench), ["worker"]);
}
