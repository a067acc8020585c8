//! Turns of mounts, and of their lanes.

use std::time::Duration;

use super::room::{
    AT_WORK_OF_QUICK_MAX, BEYOND_MAX, BEYOND_OF_KIND_MAX, FRESH_OF_MOUNT_MAX, HANGS, SLOW, SLOW_OF_MOUNT_MAX,
};
use super::*;

/// A lane of a mount; 0: the mount has no others.
fn lane_of(mount: u8, lane: u8) -> Lane {
    match lane {
        0 => Lane::whole([mount; 16]),
        _ => Lane::of([mount; 16], format!("{{\"lane\":\"{lane}\"}}").as_bytes()),
    }
}

fn thing(mount: u8, lane: u8, nth: u32) -> Due {
    let mut id = [mount; 32];
    id[..4].copy_from_slice(&nth.to_be_bytes());
    id[4] = lane;
    Due { at_ms: 1, kind: DUE_LEASE, id }
}

fn due(mount: u8, nth: u32) -> Due {
    thing(mount, 0, nth)
}

/// Queues so many things of each lane, in turns.
fn queue(work: &mut Work, lanes: &[(u8, u8)], count: u32) {
    for nth in 0..count {
        for (mount, lane) in lanes {
            work.add(thing(*mount, *lane, nth), Some(lane_of(*mount, *lane)));
        }
    }
}

fn work(mounts: &[u8]) -> Work {
    let mut work = Work::default();
    queue(&mut work, &mounts.iter().map(|mount| (*mount, 0)).collect::<Vec<_>>(), 200);
    work
}

/// Starts what there is room for; returns what is at work of each mount.
fn start_all(work: &mut Work) -> HashMap<u8, usize> {
    while work.start().is_some() {}
    let mut busy = HashMap::new();
    for at_work in &work.at_work {
        *busy.entry(at_work.whose.map_or(0, |lane| lane.mount[0])).or_default() += 1;
    }
    busy
}

/// What is at work of a lane.
fn busy(work: &Work, mount: u8, lane: u8) -> usize {
    work.at_work.iter().filter(|busy| busy.whose == Some(lane_of(mount, lane))).count()
}

/// Everything at work has been for so much longer.
fn pass(work: &mut Work, time: Duration) {
    for busy in &mut work.at_work {
        busy.begun = busy.begun.checked_sub(time).expect("the machine runs longer than that");
    }
}

/// Ends a thing of a lane that took so long.
fn end_of(work: &mut Work, whose: (u8, u8), took: Duration, how: How) {
    let of_lane = |busy: &&mut AtWork| busy.whose == Some(lane_of(whose.0, whose.1));
    let at_work = work.at_work.iter_mut().find(of_lane).expect("something of it is at work");
    at_work.begun = Instant::now().checked_sub(took).expect("the machine runs longer than that");
    let ended = at_work.due;
    work.ended(&ended, how);
}

fn end(work: &mut Work, mount: u8, took: Duration) {
    end_of(work, (mount, 0), took, How::Done);
}

#[test]
fn a_mount_of_which_nothing_is_known_has_its_share_and_no_more() {
    let mut work = work(&[1, 2]);
    assert_eq!(start_all(&mut work), [(1, 4), (2, 4)].into());
}

#[test]
fn a_quick_mount_has_more_at_once_and_loses_it_with_the_first_that_takes_long() {
    let mut work = work(&[1]);
    for _ in 0..60 {
        start_all(&mut work);
        end(&mut work, 1, Duration::ZERO);
    }
    assert_eq!(start_all(&mut work), [(1, AT_WORK_OF_QUICK_MAX)].into());
    end(&mut work, 1, HANGS);
    while work.at_work.len() > 1 {
        end(&mut work, 1, HANGS);
    }
    assert_eq!(start_all(&mut work), [(1, AT_WORK_OF_MOUNT_MAX)].into());
}

#[test]
fn quick_mounts_that_hang_all_at_once_leave_the_others_their_share() {
    let quick = [1, 2, 3, 5, 6];
    let mut work = work(&quick);
    for _ in 0..60 {
        start_all(&mut work);
        for mount in quick {
            end(&mut work, mount, Duration::ZERO);
        }
    }
    start_all(&mut work);
    queue(&mut work, &[(4, 0)], 9);
    let busy = start_all(&mut work);
    assert_eq!(busy[&4], AT_WORK_OF_MOUNT_MAX);
    let of_quick: usize = quick.iter().map(|mount| busy[mount]).sum();
    assert_eq!(of_quick, quick.len() * AT_WORK_OF_MOUNT_MAX + BEYOND_OF_KIND_MAX);
}

#[test]
fn a_slow_mount_has_one_at_a_time() {
    let mut work = work(&[1]);
    start_all(&mut work);
    for _ in 0..4 {
        end(&mut work, 1, SLOW);
    }
    assert_eq!(start_all(&mut work), [(1, 1)].into());
}

#[test]
fn a_lane_that_hangs_does_not_hold_up_another_of_its_mount() {
    let mut work = Work::default();
    queue(&mut work, &[(1, 1)], 200);
    queue(&mut work, &[(1, 2)], 20);
    start_all(&mut work);
    assert!(busy(&work, 1, 2) > 0, "both are begun");
    for _ in 0..20 {
        end_of(&mut work, (1, 2), Duration::ZERO, How::Done);
        start_all(&mut work);
    }
    assert_eq!(busy(&work, 1, 2), 0, "all of it is gone, and nothing of the other lane has moved");
    while busy(&work, 1, 1) > 0 {
        end_of(&mut work, (1, 1), SLOW, How::PutOff);
    }
    queue(&mut work, &[(1, 2)], 20);
    start_all(&mut work);
    assert_eq!((busy(&work, 1, 1), busy(&work, 1, 2) > 0), (1, true));
}

#[test]
fn among_thirty_lanes_that_hang_one_that_does_not_is_found_within_seconds() {
    let mut work = Work::default();
    let hanging: Vec<_> = (1..=30).map(|lane| (1, lane)).collect();
    queue(&mut work, &hanging, 100);
    queue(&mut work, &[(1, 99)], 100);
    start_all(&mut work);
    assert_eq!(work.at_work.len(), FRESH_OF_MOUNT_MAX, "not all at a stroke");
    let mut waited_secs = 0;
    while busy(&work, 1, 99) == 0 {
        pass(&mut work, HANGS);
        start_all(&mut work);
        waited_secs += HANGS.as_secs();
        assert!(waited_secs < 4, "it waits for those that hang");
    }
    assert!(work.at_work.len() <= AT_WORK_OF_MOUNT_MAX + BEYOND_OF_KIND_MAX);
    // Another mount has its share all the same, and the one that is quick goes on.
    queue(&mut work, &[(2, 0)], 9);
    for _ in 0..60 {
        end_of(&mut work, (1, 99), Duration::ZERO, How::Done);
        assert_eq!(start_all(&mut work)[&2], AT_WORK_OF_MOUNT_MAX);
    }
    assert!(busy(&work, 1, 99) >= BEYOND_MAX - BEYOND_OF_KIND_MAX);
    // They hang again and again: what is known of them makes them few.
    for (_, lane) in &hanging {
        while busy(&work, 1, *lane) > 0 {
            end_of(&mut work, (1, *lane), SLOW, How::PutOff);
        }
    }
    start_all(&mut work);
    let slow: usize = hanging.iter().map(|(mount, lane)| busy(&work, *mount, *lane)).sum();
    assert_eq!(slow, SLOW_OF_MOUNT_MAX);
    assert_eq!(busy(&work, 1, 99), AT_WORK_OF_QUICK_MAX);
}

#[test]
fn mounts_full_of_lanes_that_hang_leave_room_for_other_mounts_and_for_what_is_quick() {
    let mut work = Work::default();
    queue(&mut work, &[(9, 1)], 1_000);
    for _ in 0..20 {
        start_all(&mut work);
        end_of(&mut work, (9, 1), Duration::ZERO, How::Done);
    }
    while !work.at_work.is_empty() {
        end_of(&mut work, (9, 1), Duration::ZERO, How::Done);
    }
    let lanes: Vec<_> = (1..=3).flat_map(|mount| (1..=40).map(move |lane| (mount, lane))).collect();
    queue(&mut work, &lanes, 10);
    for _ in 0..9 {
        // What is quick ends within that time.
        while busy(&work, 9, 1) > 0 {
            end_of(&mut work, (9, 1), Duration::ZERO, How::Done);
        }
        pass(&mut work, HANGS);
        start_all(&mut work);
    }
    queue(&mut work, &[(4, 0), (5, 0), (6, 0)], 9);
    let busy = start_all(&mut work);
    let share = AT_WORK_OF_MOUNT_MAX;
    assert_eq!((busy[&4], busy[&5], busy[&6]), (share, share, share));
    assert!(busy[&9] >= share);
    assert!(busy[&1] + busy[&2] + busy[&3] <= 3 * share + BEYOND_OF_KIND_MAX);
}

#[test]
fn what_has_run_out_is_looked_for_again_if_more_is_due_and_something_moves() {
    for is_cut in [true, false] {
        for how in [How::Done, How::PutOff, How::Crossed, How::Stuck] {
            // Of another mount something waits, and is kept waiting.
            let mut work = Work { is_cut, ..Work::default() };
            for (mount, nth) in [(1, 1), (2, 1), (1, 2), (2, 2), (2, 3), (2, 4), (2, 5)] {
                work.add(due(mount, nth), Some(lane_of(mount, 0)));
            }
            start_all(&mut work);
            let moves = matches!(how, How::Done | How::PutOff);
            assert_eq!(work.ended(&due(1, 1), how), is_cut && moves);
            assert!(!work.ended(&due(2, 1), how), "some of it waits");
            work.clear();
            assert!(!work.ended(&due(1, 2), how), "another node sees to it");
        }
    }
}

#[test]
fn what_cannot_be_written_is_not_tried_before_the_next_look() {
    let mut work = work(&[1, 2]);
    start_all(&mut work);
    work.ended(&due(1, 0), How::Stuck);
    assert_eq!((work.start(), work.counts().0), (None, 0));
}

#[test]
fn things_that_cross_each_other_or_fail_do_not_make_a_mount_quick() {
    for how in [How::Crossed, How::PutOff] {
        let mut work = work(&[1]);
        for _ in 0..20 {
            start_all(&mut work);
            let ended = work.at_work[0].due;
            work.ended(&ended, how);
        }
        assert_eq!(start_all(&mut work), [(1, AT_WORK_OF_MOUNT_MAX)].into(), "{}", how == How::Crossed);
    }
}
