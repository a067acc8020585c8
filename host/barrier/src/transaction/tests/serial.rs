//! Transactions in any interleaving: those that commit must have seen and done what they
//! would have, run one after the other in the order of their commits.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Op {
    Get(u8),
    Put(u8),
    Delete(u8),
    List,
    ListFolders,
    Scan,
    Walk,
    Range(u8, u8, u32),
}

/// What an operation showed.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Nothing,
    Value(Option<Vec<u8>>),
    Names(Vec<String>),
    Keys(Vec<Vec<u8>>),
}

const KEYS: u8 = 8;

/// Even numbers are named records in two folders, odd ones opaque.
fn name(key: u8) -> String {
    format!("{}/{key}", if key < KEYS / 2 { "low" } else { "high" })
}

fn place(key: u8) -> Key {
    if key.is_multiple_of(2) { leaf(&name(key)) } else { opaque(&[key]) }
}

fn run(tx: &mut Transaction, op: &Op, stamp: &[u8]) -> Seen {
    let low = || Folder::new(SPACE, "low/").expect("a folder");
    match op {
        Op::Get(key) => Seen::Value(value(tx.get(&place(*key)).expect("readable"))),
        Op::Put(key) => {
            tx.put(&place(*key), stamp).expect("a write");
            Seen::Nothing
        }
        Op::Delete(key) => {
            tx.delete(&place(*key)).expect("a write");
            Seen::Nothing
        }
        Op::List => Seen::Names(tx.list(&low(), None, 100).expect("readable").keys),
        Op::ListFolders => Seen::Names(tx.list(&Folder::root(SPACE), None, 100).expect("readable").keys),
        Op::Walk => {
            let mut names = tx.walk(&Folder::root(SPACE), None, 100).expect("readable").keys;
            names.sort_unstable();
            Seen::Names(names)
        }
        Op::Scan => Seen::Names(tx.scan(&Folder::root(SPACE), None, 100).expect("readable").keys),
        Op::Range(from, end, limit) => Seen::Keys(tx.opaque_range(SPACE, &[*from], &[*end], *limit).expect("readable")),
    }
}

fn run_on_model(model: &mut BTreeMap<u8, Vec<u8>>, op: &Op, stamp: &[u8]) -> Seen {
    let sorted = |mut names: Vec<String>| {
        names.sort_unstable();
        Seen::Names(names)
    };
    let named = model.keys().filter(|key| key.is_multiple_of(2));
    match op {
        Op::Get(key) => Seen::Value(model.get(key).cloned()),
        Op::Put(key) => {
            model.insert(*key, stamp.to_vec());
            Seen::Nothing
        }
        Op::Delete(key) => {
            model.remove(key);
            Seen::Nothing
        }
        Op::List => sorted(named.filter(|key| **key < KEYS / 2).map(u8::to_string).collect()),
        Op::ListFolders => {
            let mut folders: Vec<_> =
                named.map(|key| if *key < KEYS / 2 { "low/" } else { "high/" }.to_owned()).collect();
            folders.dedup();
            sorted(folders)
        }
        Op::Scan | Op::Walk => sorted(named.map(|key| name(*key)).collect()),
        Op::Range(from, end, limit) => {
            let keys = model.keys().filter(|key| !key.is_multiple_of(2) && *key >= from && *key < end);
            Seen::Keys(keys.take(*limit as usize).map(|key| vec![*key]).collect())
        }
    }
}

fn op() -> impl Strategy<Value = Op> {
    let range = (0..KEYS, 0..=KEYS, 0u32..4).prop_map(|(from, end, limit)| Op::Range(from, end, limit));
    prop_oneof![
        4 => (0..KEYS).prop_map(Op::Get),
        4 => (0..KEYS).prop_map(Op::Put),
        2 => (0..KEYS).prop_map(Op::Delete),
        1 => Just(Op::List),
        2 => Just(Op::ListFolders),
        1 => Just(Op::Scan),
        1 => Just(Op::Walk),
        2 => range,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn committed_transactions_are_as_if_run_in_the_order_of_their_commits(
        scripts in prop::collection::vec(prop::collection::vec(op(), 1..6), 2..10),
        turns in prop::collection::vec(any::<prop::sample::Index>(), 0..80),
    ) {
        let node = Node::new(1, 1);
        let mut model = BTreeMap::new();
        let mut running: Vec<Option<(Transaction, Vec<Seen>)>> = scripts.iter().map(|_| None).collect();
        let mut ended = vec![false; scripts.len()];
        let last_turns = (0..scripts.len()).flat_map(|n| vec![n; 7]);
        for turn in turns.iter().map(|turn| turn.index(scripts.len())).chain(last_turns) {
            if ended[turn] {
                continue;
            }
            let stamp = [u8::try_from(turn).expect("few scripts")];
            let (mut tx, mut seen) = running[turn].take().unwrap_or_else(|| (node.begin(), Vec::new()));
            if let Some(op) = scripts[turn].get(seen.len()) {
                seen.push(run(&mut tx, op, &stamp));
                running[turn] = Some((tx, seen));
                continue;
            }
            ended[turn] = true;
            if matches!(node.commit(tx), Verdict::Committed(_)) {
                let serial: Vec<Seen> = scripts[turn].iter().map(|op| run_on_model(&mut model, op, &stamp)).collect();
                prop_assert_eq!(&seen, &serial, "transaction {} of {:?}", turn, &scripts);
            }
        }
        let mut tx = node.begin();
        for key in 0..KEYS {
            prop_assert_eq!(value(tx.get(&place(key)).expect("readable")), model.get(&key).cloned());
        }
    }
}
