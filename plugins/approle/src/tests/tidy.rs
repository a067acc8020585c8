//! What is cleared away, and when.

use super::*;

fn tidy(bench: &mut Bench<Approle>) {
    let answer = bench.write("tidy/secret-id", json!({}));
    assert_eq!((answer.status(), answer.warnings().len()), (202, 1));
    bench.advance(0).unwrap();
}

#[test]
fn what_has_ended_is_cleared_away_and_nothing_else() {
    let mut bench = bench();
    bench.write("role/near", json!({ "role_id": "n", "local_secret_ids": true })).ok();
    for ttl in [60, 61, 100_000] {
        issue(&mut bench, &format!("s{ttl}"), json!({ "ttl": ttl }));
        bench.write("role/near/secret-id", json!({ "ttl": ttl })).ok();
    }
    issue(&mut bench, "endless", json!({}));
    let before = traces(&bench).len();
    tidy(&mut bench);
    assert_eq!(traces(&bench).len(), before);
    bench.advance(60).unwrap();
    tidy(&mut bench);
    assert_eq!(traces(&bench).len(), before - 6);
    bench.advance(40).unwrap();
    tidy(&mut bench);
    assert_eq!(traces(&bench).len(), before - 12);
    assert_eq!(bench.list("role/web/secret-id/").data()["keys"].as_array().unwrap().len(), 2);
    assert_eq!((log_in(&mut bench, "s100000").status(), log_in(&mut bench, "endless").status()), (200, 200));
}

#[test]
fn it_is_done_every_minute_without_being_asked() {
    let bench = bench();
    let job = bench.descriptor().jobs.iter().find(|job| job.name == "tidy").unwrap();
    assert_eq!(job.every, Some(60));
}

#[test]
fn more_than_a_call_may_write_is_cleared_away_in_slices() {
    let mut bench = bench();
    for number in 0..900 {
        issue(&mut bench, &format!("s{number}"), json!({ "ttl": 60 }));
    }
    bench.advance(60).unwrap();
    bench.write("tidy/secret-id", json!({})).ok();
    assert_eq!(bench.advance(0).unwrap(), 3);
    assert_eq!(traces(&bench), Vec::<String>::new());
}

#[test]
fn a_role_with_any_number_of_secret_ids_can_be_removed() {
    let mut bench = bench();
    for number in 0..900 {
        issue(&mut bench, &format!("s{number}"), json!({}));
    }
    bench.write("role/near", json!({ "role_id": "n", "local_secret_ids": true })).ok();
    bench.write("role/near/secret-id", json!({})).ok();
    assert_eq!((bench.delete("role/web").status(), bench.delete("role/near").status()), (204, 204));
    bench.advance(0).unwrap();
    assert_eq!(bench.keys(), Vec::<String>::new());
    assert_eq!(bench.jobs(), Vec::<(&str, &str)>::new());
}

#[test]
fn a_used_up_secret_id_is_not_looked_for_again() {
    let mut bench = bench();
    issue(&mut bench, "s", json!({ "ttl": 60, "num_uses": 1 }));
    log_in(&mut bench, "s").ok();
    assert_eq!(traces(&bench), Vec::<String>::new());
    bench.advance(120).unwrap();
    tidy(&mut bench);
}

#[test]
fn a_secret_id_made_again_after_its_end_is_not_cleared_away_with_the_old_one() {
    let mut bench = bench();
    let old = issue(&mut bench, "s", json!({ "ttl": 60 }));
    bench.advance(60).unwrap();
    let new = issue(&mut bench, "s", json!({}));
    tidy(&mut bench);
    assert_eq!(log_in(&mut bench, "s").status(), 200);
    assert_ne!(old["secret_id_accessor"], new["secret_id_accessor"]);
    assert_eq!(bench.list("role/web/secret-id/").data(), json!({ "keys": [new["secret_id_accessor"]] }));
}
