//! Listing and scanning against a set of paths.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Put(String),
    Delete(String),
}

fn path() -> impl Strategy<Value = String> {
    // `-` sorts before the slash and `z` after it; 16 and 17 bytes straddle the padding.
    let segment = prop_oneof![8 => "[a-c\\-z]", 1 => "[a-b]{16,17}", 1 => Just("ü".to_owned())];
    prop::collection::vec(segment, 1..4).prop_map(|segments| segments.join("/"))
}

fn steps(count: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![3 => path().prop_map(Step::Put), 1 => path().prop_map(Step::Delete)];
    prop::collection::vec(step, 0..count)
}

fn apply(tx: &mut Transaction, model: &mut BTreeSet<String>, steps: &[Step]) {
    for step in steps {
        match step {
            Step::Put(path) => {
                tx.put(&leaf(path), b"").expect("a write");
                model.insert(path.clone());
            }
            Step::Delete(path) => {
                tx.delete(&leaf(path)).expect("a write");
                model.remove(path);
            }
        }
    }
}

/// Everything a paged call gives, page by page.
fn paged(limit: usize, mut call: impl FnMut(Option<&str>) -> bulkhead_model::seam::plugin::NamePage) -> Vec<String> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = call(after.as_deref());
        assert!(page.keys.len() <= limit);
        all.extend(page.keys);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

/// Whether what lies in a folder comes in one piece.
fn is_depth_first(paths: &[String]) -> bool {
    let folders = |path: &str| path.match_indices('/').map(|(at, _)| path[..at].to_owned()).collect::<Vec<_>>();
    let mut left = BTreeSet::new();
    let mut inside = Vec::new();
    paths.iter().all(|path| {
        let now = folders(path);
        left.extend(inside.iter().filter(|folder| !now.contains(folder)).cloned());
        inside = now;
        inside.iter().all(|folder| !left.contains(folder))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_listing_is_what_a_set_of_paths_would_give(
        committed in steps(60),
        own in prop::collection::vec(steps(20), 1..4),
        folders in prop::collection::vec(path(), 1..4),
        limit in 1usize..9,
    ) {
        let node = Node::new(1, 1);
        let mut model = BTreeSet::new();
        let mut tx = node.begin();
        apply(&mut tx, &mut model, &committed);
        node.commit(tx);
        let mut tx = node.begin();
        let folders: Vec<String> = folders.iter().map(|path| format!("{path}/")).chain([String::new()]).collect();
        // What was listed before a write must show the write afterwards.
        for (own, folder) in own.iter().flat_map(|own| folders.iter().map(move |folder| (own, folder))) {
            apply(&mut tx, &mut model, own);
            let below: Vec<&str> = model.iter().filter_map(|path| path.strip_prefix(folder)).collect();
            let direct: BTreeSet<String> = below
                .iter()
                .map(|path| path.split_inclusive('/').next().expect("no path is empty").to_owned())
                .collect();
            let place = Folder::new(SPACE, folder).expect("a folder");
            let listed = paged(limit, |after| tx.list(&place, after, limit).expect("readable"));
            prop_assert_eq!(listed, direct.into_iter().collect::<Vec<_>>());
            let scanned = paged(limit, |after| tx.scan(&place, after, limit).expect("readable"));
            prop_assert_eq!(&scanned, &below);
            let mut walked = paged(limit, |after| tx.walk(&place, after, limit).expect("readable"));
            prop_assert!(is_depth_first(&walked), "{:?}", walked);
            walked.sort_unstable();
            prop_assert_eq!(walked, below);
        }
    }
}

#[test]
fn a_large_folder_with_large_folders_in_it_is_listed_whole() {
    let node = Node::new(1, 1);
    let mut tx = node.begin();
    for n in 0..700 {
        tx.put(&leaf(&format!("big/leaf-{n:03}")), b"").expect("a write");
    }
    for n in 0..600 {
        tx.put(&leaf(&format!("big/folder-{}/{n}", n % 2)), b"").expect("a write");
    }
    node.commit(tx);
    let mut tx = node.begin();
    let page = tx.list(&Folder::new(SPACE, "big/").expect("a folder"), None, 10_000).expect("readable");
    assert_eq!(page.keys.len(), 702);
    assert_eq!(page.next, None);
    assert_eq!(page.keys[..3], ["folder-0/", "folder-1/", "leaf-000"]);
    let page = tx.scan(&Folder::root(SPACE), Some("big/folder-1/99"), 2).expect("readable");
    assert_eq!(
        (page.keys.as_slice(), page.next.as_deref()),
        (&["big/leaf-000".to_owned(), "big/leaf-001".to_owned()][..], Some("big/leaf-001"))
    );
}

#[test]
fn a_name_that_was_tampered_with_fails_the_listing() {
    let node = Node::new(1, 1);
    node.put("folder/name", b"");
    let mut key = node.ledger_keys().into_iter().find(|key| key.starts_with(&SPACE.0)).expect("it is there");
    let record = node.raw(&key);
    node.tamper(&key, None);
    key[25] ^= 1;
    node.tamper(&key, record);
    let refused = node.begin().list(&Folder::root(SPACE), None, 10).err();
    assert!(matches!(refused, Some(StoreError::Damaged { space: SPACE, .. })));
}
