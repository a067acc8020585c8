use std::sync::Arc;

use bulkhead_model::quota::QuotaRules;

use super::{Basis, Endings, Seat, Taken, Tally};
use crate::book::lease_quotas::{LeaseQuotaRecord, LeaseQuotas};

fn basis(term: u64, names: &[&str]) -> Basis {
    let record = |name: &&str| LeaseQuotaRecord {
        name: (*name).to_owned(),
        path: format!("{name}/"),
        max_leases: 2,
        inheritable: false,
        role: String::new(),
    };
    let quotas =
        LeaseQuotas { rules: QuotaRules::new(Vec::new(), Vec::new()), records: names.iter().map(record).collect() };
    Basis { term, moment: 1, quotas: Arc::new(quotas) }
}

fn counted(basis: &Basis) -> Arc<Tally> {
    let tally = Arc::new(Tally::default());
    let number = tally.begin(basis.clone());
    assert!(tally.finish(number));
    tally
}

fn seat(tally: &Arc<Tally>, basis: &Basis) -> Option<Seat> {
    match tally.take(basis, (0, 2)) {
        Taken::Seat(seat) => Some(seat),
        Taken::Full => None,
        Taken::Uncounted => panic!("it is counted"),
    }
}

fn lease(number: u8) -> [u8; 32] {
    [number; 32]
}

fn keep(mut seat: Seat, number: u8) {
    seat.give_to(&lease(number));
    seat.commits();
    seat.keep();
}

fn end(tally: &Arc<Tally>, number: u8) {
    if let Some(endings) = Endings::of(tally, vec![lease(number)]) {
        endings.happened();
    }
}

#[test]
fn there_are_as_many_seats_as_the_quota_has_and_one_given_back_is_free() {
    let basis = basis(1, &["a"]);
    let tally = counted(&basis);
    let (first, second) = (seat(&tally, &basis).expect("is free"), seat(&tally, &basis).expect("is free"));
    assert!(seat(&tally, &basis).is_none());
    drop(first);
    assert_eq!(tally.count(&basis, 0), Some(1));
    keep(second, 1);
    keep(seat(&tally, &basis).expect("is free"), 2);
    assert!(seat(&tally, &basis).is_none());
}

#[test]
fn a_lease_that_ends_twice_makes_room_for_one() {
    let basis = basis(1, &["a"]);
    let tally = counted(&basis);
    keep(seat(&tally, &basis).expect("is free"), 1);
    keep(seat(&tally, &basis).expect("is free"), 2);
    end(&tally, 1);
    end(&tally, 1);
    assert_eq!(tally.count(&basis, 0), Some(1));
}

#[test]
fn a_lease_that_ends_before_its_maker_hears_of_the_commit_is_not_counted_on() {
    let basis = basis(1, &["a"]);
    let tally = counted(&basis);
    let mut made = seat(&tally, &basis).expect("is free");
    made.give_to(&lease(1));
    made.commits();
    end(&tally, 1);
    assert_eq!(tally.count(&basis, 0), Some(0));
    made.keep();
    assert_eq!(tally.count(&basis, 0), Some(0));
}

#[test]
fn what_a_commit_conflicted_with_is_not_counted() {
    let basis = basis(1, &["a"]);
    let tally = counted(&basis);
    let mut made = seat(&tally, &basis).expect("is free");
    made.give_to(&lease(1));
    made.commits();
    made.give_back();
    assert_eq!(tally.count(&basis, 0), Some(0));
}

#[test]
fn where_nobody_knows_what_became_of_a_change_all_is_counted_anew() {
    let basis = basis(1, &["a"]);
    let tally = counted(&basis);
    let mut made = seat(&tally, &basis).expect("is free");
    made.give_to(&lease(1));
    made.commits();
    drop(made);
    assert_eq!(tally.count(&basis, 0), None);
    assert!(matches!(tally.take(&basis, (0, 2)), Taken::Uncounted));
    let number = tally.begin(basis.clone());
    tally.found(number, [(lease(1), 0)]);
    assert!(tally.finish(number));
    assert_eq!(tally.count(&basis, 0), Some(1));
    drop(Endings::of(&tally, vec![lease(1)]));
    assert_eq!(tally.count(&basis, 0), None, "the same of an end");
}

#[test]
fn what_ends_or_is_committed_while_it_is_counted_is_counted_once() {
    let basis = basis(1, &["a"]);
    let tally = counted(&basis);
    let mut made = seat(&tally, &basis).expect("is free");
    made.give_to(&lease(1));
    made.commits();
    tally.doubt();
    let number = tally.begin(basis.clone());
    end(&tally, 2);
    tally.found(number, [(lease(1), 0), (lease(2), 0)]);
    made.keep();
    tally.found(number, [(lease(3), 0)]);
    assert!(tally.finish(number));
    assert_eq!(tally.count(&basis, 0), Some(2));
}

#[test]
fn a_doubt_while_it_is_counted_makes_the_count_worthless() {
    let basis = basis(1, &["a"]);
    let tally = counted(&basis);
    let number = tally.begin(basis.clone());
    tally.doubt();
    assert!(!tally.finish(number));
    assert_eq!(tally.count(&basis, 0), None);
}

#[test]
fn a_count_is_of_its_term_its_state_and_its_quotas_but_not_of_how_many_there_may_be() {
    let basis = basis(1, &["a"]);
    let tally = counted(&basis);
    let higher = {
        let record = LeaseQuotaRecord { max_leases: 9, ..basis.quotas.records[0].clone() };
        LeaseQuotas { rules: QuotaRules::new(Vec::new(), Vec::new()), records: vec![record] }
    };
    assert!(tally.holds(&Basis { quotas: Arc::new(higher), ..basis.clone() }));
    assert!(!tally.holds(&Basis { term: 2, ..basis.clone() }));
    assert!(!tally.holds(&Basis { moment: 2, ..basis.clone() }));
    assert!(!tally.holds(&self::basis(1, &["a", "b"])));
}

#[test]
fn who_had_a_seat_of_a_count_that_was_given_up_has_all_counted_anew() {
    let basis = basis(1, &["a"]);
    let tally = counted(&basis);
    let made = seat(&tally, &basis).expect("is free");
    tally.clear();
    let number = tally.begin(basis.clone());
    assert!(tally.finish(number));
    keep(made, 1);
    assert_eq!(tally.count(&basis, 0), None);
}
