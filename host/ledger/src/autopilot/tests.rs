use super::*;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn leader() -> Sight {
    Sight { number: 1, leader: true, voter: true, healthy_for: Some(secs(1000)), ..Sight::default() }
}

fn well(number: u64) -> Sight {
    Sight { number, voter: true, last: Some(secs(0)), healthy_for: Some(secs(1000)), ..Sight::default() }
}

fn silent(number: u64, last: u64) -> Sight {
    Sight { number, voter: true, last: Some(secs(last)), silent: secs(last), ..Sight::default() }
}

fn cleaning() -> AutopilotConfig {
    AutopilotConfig {
        cleanup_dead_servers: true,
        min_quorum: 3,
        dead_server_last_contact_threshold: secs(60),
        ..AutopilotConfig::default()
    }
}

#[test]
fn a_member_is_healthy_if_it_answers_and_keeps_up() {
    let config = AutopilotConfig::default();
    for (last, behind, healthy) in [(0, 0, true), (10, 1000, true), (11, 0, false), (0, 1001, false)] {
        let sight = Sight { last: Some(secs(last)), behind, ..well(2) };
        assert_eq!(is_healthy(&sight, &config), healthy, "{last} s, {behind} behind");
    }
    assert!(!is_healthy(&Sight { last: None, ..well(2) }, &config));
    assert!(is_healthy(&Sight { last: None, ..leader() }, &config), "the leader hears itself");
}

#[test]
fn the_tolerance_counts_healthy_voters_above_a_majority() {
    for (healthy, silents, tolerance) in [(0, 0, 0), (1, 0, 0), (2, 0, 1), (1, 1, 0), (4, 0, 2), (3, 1, 1), (1, 3, 0)] {
        let mut sights = vec![leader()];
        sights.extend((0..healthy).map(|n| well(10 + n)));
        sights.extend((0..silents).map(|n| silent(20 + n, 99)));
        assert_eq!(failure_tolerance(&sights), tolerance, "{healthy} well, {silents} silent");
    }
}

#[test]
fn a_learner_is_promoted_once_it_was_healthy_long_enough() {
    let learner = |healthy_for| Sight { voter: false, healthy_for, ..well(4) };
    let config = AutopilotConfig::default();
    let due = |sight| due(&[leader(), well(2), sight], &config);
    assert_eq!(due(learner(Some(secs(9)))), None);
    assert_eq!(due(learner(None)), None);
    assert_eq!(due(learner(Some(secs(10)))), Some(Step::Promote(4)));
    assert_eq!(due(Sight { non_voter: true, ..learner(Some(secs(100))) }), None, "it is never to vote");
}

#[test]
fn dead_servers_stay_unless_they_are_to_be_cleaned_up() {
    let sights = [leader(), well(2), well(3), silent(4, 1000)];
    assert_eq!(due(&sights, &AutopilotConfig::default()), None);
    assert_eq!(due(&sights, &cleaning()), Some(Step::RemoveVoter(4)));
    assert_eq!(due(&[leader(), well(2), well(3), silent(4, 60)], &cleaning()), None, "not yet");
}

#[test]
fn a_new_leader_does_not_take_for_dead_whom_it_had_no_time_to_hear() {
    let unheard = |leading| Sight { last: None, ..silent(4, leading) };
    let due = |leading| due(&[leader(), well(2), well(3), unheard(leading)], &cleaning());
    assert_eq!(due(60), None);
    assert_eq!(due(61), Some(Step::RemoveVoter(4)));
    let threshold = AutopilotConfig::default();
    assert!(is_alive(&unheard(10), &threshold) && !is_alive(&unheard(11), &threshold));
    assert!(is_alive(&leader(), &threshold));
}

#[test]
fn voters_are_removed_only_while_enough_are_left() {
    let cases: [(&[Sight], Option<Step>); 4] = [
        (&[leader(), well(2), silent(3, 1000)], None),
        (&[leader(), well(2), silent(3, 1000), silent(4, 1000)], None),
        (&[leader(), well(2), well(3), silent(4, 1000), silent(5, 1000)], Some(Step::RemoveVoter(4))),
        (&[leader(), silent(3, 1000), silent(4, 1000), Sight { voter: false, ..silent(5, 99) }], {
            Some(Step::RemoveLearner(5))
        }),
    ];
    for (sights, step) in cases {
        assert_eq!(due(sights, &cleaning()), step, "{sights:?}");
    }
}
