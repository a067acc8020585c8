//! A script of writes, cut off or failing at each of its operations in turn: whatever was
//! acknowledged before is there afterwards, in order.

use super::*;
use crate::files::sim::Failure;

/// What the script was told, and so what must be found.
#[derive(Default)]
struct Told {
    /// Acknowledged entries that no truncation or purge asked for since may have removed.
    must: BTreeMap<u64, Entry>,
    /// Every entry that was ever handed over, by index.
    offered: BTreeMap<u64, Vec<Entry>>,
    vote: Option<Vote>,
    steps: u64,
}

impl Told {
    fn offer(&mut self, entries: &[Entry]) {
        for entry in entries {
            self.offered.entry(entry.log_id.index).or_default().push(entry.clone());
        }
    }

    fn acknowledged(&mut self, entries: Vec<Entry>) {
        self.must.extend(entries.into_iter().map(|entry| (entry.log_id.index, entry)));
    }
}

const STEPS: u64 = 70;

/// Runs until the end or the first error.
async fn run(log: &mut LogStore, told: &mut Told) -> std::io::Result<()> {
    let (mut term, mut next, mut purged) = (1, 0, None);
    for step in 0..STEPS {
        let batch = |term, next, count| -> Vec<Entry> {
            (next..next + count).map(|index| entry(term, index, (index as usize * 97 + 11) % 1400)).collect()
        };
        match step % 10 {
            6 => {
                let (first, second) = (batch(term, next, 2), batch(term, next + 2, 3));
                told.offer(&first);
                told.offer(&second);
                let (sender, receiver) = Types::oneshot();
                log.append(first.clone(), IOFlushed::signal(sender)).await?;
                let later = append(log, second.clone()).await;
                if receiver.await.is_ok_and(|result| result.is_ok()) {
                    told.acknowledged(first);
                }
                later?;
                told.acknowledged(second);
                next += 5;
            }
            7 => {
                term += 1;
                let vote = Vote::new_committed(term, NODE);
                log.save_vote(&vote).await?;
                told.vote = Some(vote);
            }
            8 => {
                let last = next - 3;
                let id = log_of(told, last);
                told.must.retain(|index, _| *index <= last);
                log.truncate_after(Some(id)).await?;
                next = last + 1;
            }
            9 => {
                let upto = next - 6;
                if purged.is_none_or(|purged| purged < upto) {
                    told.must.retain(|index, _| *index > upto);
                    log.purge(log_of(told, upto)).await?;
                    purged = Some(upto);
                }
            }
            count => {
                let entries = batch(term, next, count % 3 + 1);
                next += entries.len() as u64;
                told.offer(&entries);
                append(log, entries.clone()).await?;
                told.acknowledged(entries);
            }
        }
        told.steps = step + 1;
    }
    Ok(())
}

/// The id last offered at an index.
fn log_of(told: &Told, index: u64) -> LogId {
    told.offered[&index].last().unwrap().log_id
}

async fn check(log: &mut LogStore, told: &Told, context: &str) {
    let found = entries(log).await;
    for (index, entry) in &told.must {
        assert_eq!(found.get(index), Some(entry), "{context}: acknowledged entry {index}");
    }
    for (index, entry) in &found {
        let offered = told.offered.get(index);
        assert!(offered.is_some_and(|offered| offered.contains(entry)), "{context}: entry {index} was never written");
    }
    let state = log.get_log_state().await.unwrap();
    let indexes: Vec<u64> = found.keys().copied().collect();
    assert!(indexes.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{context}: a hole in {indexes:?}");
    let terms: Vec<u64> = found.values().map(|entry| entry.log_id.leader_id.term).collect();
    assert!(terms.is_sorted(), "{context}: terms {terms:?}");
    assert!(last_of(&found).is_none() || state.last_log_id == last_of(&found), "{context}");
    let vote = log.read_vote().await.unwrap();
    assert!(
        vote.map(|vote| vote.leader_id.term) >= told.vote.map(|vote| vote.leader_id.term),
        "{context}: vote {vote:?}"
    );
}

/// A cheap sequence of coin tosses.
fn coin(seed: u64) -> impl FnMut() -> bool {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state & 4 == 0
    }
}

#[tokio::test]
async fn at_whatever_operation_the_power_goes_what_was_acknowledged_is_there() {
    let mut last_cut = 0;
    for cut in 1.. {
        let mut ended = false;
        for luck in 0..4 {
            let disk = Arc::new(SimDisk::default());
            disk.fail_at(cut, Failure::Power);
            let mut told = Told::default();
            if let Ok(mut log) = open(&disk) {
                ended = run(&mut log, &mut told).await.is_ok();
                log.close();
            }
            let (all, none) = (luck == 0, luck == 1);
            let mut toss = coin(cut * 8 + luck);
            disk.crash(|| all || (!none && toss()));
            let context = format!("power cut at operation {cut}, luck {luck}");
            let mut log = open(&disk).unwrap_or_else(|e| panic!("{context}: {e}"));
            check(&mut log, &told, &context).await;
            // The log goes on, and the power may go again right away.
            let next = log.get_log_state().await.unwrap().last_log_id.map_or(0, |id| id.index + 1);
            let more = entry(99, next, 900);
            append(&mut log, vec![more.clone()]).await.unwrap();
            told.offer(std::slice::from_ref(&more));
            told.acknowledged(vec![more]);
            disk.fail_at(1, Failure::Power);
            log.close();
            disk.crash(|| false);
            let mut log = open(&disk).unwrap_or_else(|e| panic!("{context}, again: {e}"));
            check(&mut log, &told, &context).await;
            log.close();
        }
        if ended {
            last_cut = cut;
            break;
        }
    }
    assert!(last_cut > 150, "the script has {last_cut} operations");
}

async fn fails_cleanly_with(failure: Failure) {
    for nth in 1.. {
        let disk = Arc::new(SimDisk::default());
        let health = Arc::new(Health::default());
        disk.fail_at(nth, failure);
        let mut told = Told::default();
        let context = format!("{failure:?} at operation {nth}");
        let opened = LogStore::open(setup(&disk, 16 * 1024), Arc::clone(&health), Arc::default());
        match opened {
            Err(e) => assert!(matches!(e, LedgerError::Storage { .. }), "{context}: {e}"),
            Ok(mut log) => {
                let ended = run(&mut log, &mut told).await;
                if ended.is_err() {
                    let refused = append(&mut log, vec![entry(50, 5000, 1)]).await;
                    assert!(refused.is_err(), "{context}: a write was taken after a fault");
                    let text = health.fault().unwrap_or_else(|| panic!("{context}: no fault noted")).to_string();
                    let expected =
                        if failure == Failure::Full { "disk full: free space and restart" } else { "os error 5" };
                    assert!(text.contains(expected), "{context}: {text}");
                }
                log.close();
                if ended.is_ok() && !disk.has_failed() {
                    assert!(nth > 150, "the script has {nth} operations");
                    return;
                }
            }
        }
        disk.restart_process();
        let mut log = open(&disk).unwrap_or_else(|e| panic!("{context}: {e}"));
        check(&mut log, &told, &context).await;
        log.close();
    }
}

#[tokio::test]
async fn an_io_error_at_any_operation_stops_the_log_and_loses_nothing() {
    fails_cleanly_with(Failure::Eio).await;
}

#[tokio::test]
async fn a_full_disk_at_any_operation_stops_the_log_and_loses_nothing() {
    fails_cleanly_with(Failure::Full).await;
}
