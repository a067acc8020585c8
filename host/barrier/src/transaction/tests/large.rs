//! Folders and mounts that are larger than a change may be.

use super::*;

/// A node with these records, in as many changes as they need.
fn node_with(paths: impl IntoIterator<Item = String>) -> Node {
    let node = Node::new(1, 1);
    let paths: Vec<String> = paths.into_iter().collect();
    for part in paths.chunks(40_000) {
        let mut tx = node.begin();
        for path in part {
            tx.put(&leaf(path), b"").expect("a write");
        }
        assert!(matches!(node.commit(tx), Verdict::Committed(_)));
    }
    node
}

fn root() -> Folder {
    Folder::root(SPACE)
}

fn folder(path: &str) -> Folder {
    Folder::new(SPACE, path).expect("a folder")
}

/// The whole folder, in pages of a thousand.
fn listed(tx: &mut Transaction, folder: &Folder) -> Vec<String> {
    let mut names = Vec::new();
    loop {
        let page = tx.list(folder, names.last().map(String::as_str), 1_000).expect("readable");
        names.extend(page.keys);
        if page.next.is_none() {
            return names;
        }
    }
}

#[test]
fn a_folder_is_walked_over_once_for_all_its_pages() {
    let node = node_with((0..25_000).map(|n| format!("big/{n:05}")));
    let mut tx = node.begin();
    let names = listed(&mut tx, &folder("big/"));
    assert_eq!(names, (0..25_000).map(|n| format!("{n:05}")).collect::<Vec<_>>());
    assert!(tx.walked <= 25_001, "{} keys were walked over", tx.walked);
    tx.put(&leaf("big/new"), b"").expect("a write");
    let change = tx.into_change(&node.entropy).expect("a change within limits");
    assert!(change.ranges.len() < 20, "{} checks", change.ranges.len());
}

#[test]
fn folders_below_are_passed_over_and_not_walked_through() {
    let node = node_with((0..300_000).map(|n| format!("f{:03}/{n}", n % 1_000)));
    let mut tx = node.begin();
    let names = listed(&mut tx, &root());
    assert_eq!(names, (0..1_000).map(|n| format!("f{n:03}/")).collect::<Vec<_>>());
    assert!(tx.walked < 4_000, "{} keys were walked over", tx.walked);
    tx.put(&leaf("new"), b"").expect("a write");
    // The hundred-and-first record of a folder: the list of folders stays what it was.
    let inside = {
        let keys = node.ledger_keys();
        let own: Vec<_> = keys.into_iter().filter(|key| key.starts_with(&SPACE.0)).collect();
        own[150_100].clone()
    };
    node.tamper(&inside, None);
    assert!(matches!(node.commit(tx), Verdict::Committed(_)));
}

#[test]
fn own_writes_show_in_a_page_of_a_listing_begun_before_them() {
    let node = node_with((0..3_000).map(|n| format!("{n:04}")).chain(["9/a".to_owned(), "9/b".to_owned()]));
    let mut tx = node.begin();
    let first = tx.list(&root(), None, 1_000).expect("readable");
    let walked = tx.walked;
    tx.put(&leaf("1500+"), b"").expect("a write");
    tx.put(&leaf("1600/x"), b"").expect("a write");
    tx.delete(&leaf("1700")).expect("a write");
    tx.delete(&leaf("9/a")).expect("a write");
    let second = tx.list(&root(), first.next.as_deref(), 1_000).expect("readable");
    assert!(second.keys.contains(&"1500+".to_owned()) && second.keys.contains(&"1600/".to_owned()));
    assert!(!second.keys.contains(&"1700".to_owned()));
    let third = tx.list(&root(), Some("2998"), 1_000).expect("readable");
    assert_eq!(third.keys, ["2999", "9/"], "one of two records is left in the folder");
    tx.delete(&leaf("9/b")).expect("a write");
    tx.delete(&leaf("1600/x")).expect("a write");
    let fourth = tx.list(&root(), Some("2998"), 1_000).expect("readable");
    assert_eq!(fourth.keys, ["2999"]);
    tx.put(&leaf("9/c"), b"").expect("a write");
    let fifth = tx.list(&root(), Some("2998"), 1_000).expect("readable");
    assert_eq!(fifth.keys, ["2999", "9/"]);
    assert!(tx.walked - walked < 20, "{} keys were walked over again", tx.walked - walked);
}

#[test]
fn names_that_come_or_go_after_the_first_page_conflict() {
    type Theirs = fn(&mut Transaction);
    let table: [(&str, bool, Theirs); 5] = [
        ("a new name", true, |tx| tx.put(&leaf("big/new"), b"").expect("a write")),
        ("a new folder", true, |tx| tx.put(&leaf("big/new/x"), b"").expect("a write")),
        ("one name fewer", true, |tx| tx.delete(&leaf("big/0007")).expect("a write")),
        ("an old name", false, |tx| tx.put(&leaf("big/0008"), b"2").expect("a write")),
        ("elsewhere", false, |tx| tx.put(&leaf("small/new"), b"").expect("a write")),
    ];
    let node = node_with((0..5_000).map(|n| format!("big/{n:04}")));
    for (what, conflicts, theirs) in table {
        let mut tx = node.begin();
        assert_eq!(tx.list(&folder("big/"), None, 10).expect("readable").keys.len(), 10);
        assert_eq!(tx.list(&folder("big/"), Some("3000"), 10).expect("readable").keys.len(), 10);
        tx.put(&leaf("mine"), b"").expect("a write");
        let mut other = node.begin();
        theirs(&mut other);
        assert!(matches!(node.commit(other), Verdict::Committed(_)));
        assert_eq!(node.commit(tx) == Verdict::Conflict, conflicts, "{what}");
    }
}

#[test]
fn more_names_than_a_change_may_check_can_be_read_but_not_committed_upon() {
    let node = node_with((0..RECORDS_MAX + 1).map(|n| n.to_string()));
    let mut tx = node.begin();
    assert_eq!(listed(&mut tx, &root()).len(), RECORDS_MAX + 1);
    tx.put(&leaf("new"), b"").expect("a write");
    let refused = tx.into_change(&node.entropy).expect_err("the change checks too much");
    assert_eq!(refused.to_string(), format!("transaction touches more than {RECORDS_MAX} records"));
    let mut tx = node.begin();
    assert_eq!(tx.list_untracked(&root(), None, usize::MAX).expect("readable").keys.len(), RECORDS_MAX + 1);
    tx.put(&leaf("new"), b"").expect("a write");
    assert!(matches!(node.commit(tx), Verdict::Committed(_)), "nothing of the listing is checked");
}

#[test]
fn a_transaction_walks_over_only_so_many_names() {
    let node = node_with((0..10).map(|n| n.to_string()));
    let mut tx = node.begin();
    tx.walked = WALKED_MAX - 10;
    assert_eq!(tx.list(&root(), None, 100).expect("readable").keys.len(), 10);
    for refused in [tx.list_untracked(&root(), None, 100), tx.scan(&root(), None, 100), tx.walk(&root(), None, 100)] {
        let text = refused.expect_err("over the limit").to_string();
        assert_eq!(text, format!("transaction touches more than {LIST_NAMES_MAX} names"));
    }
    assert_eq!(tx.list(&root(), None, 100).expect("found before").keys.len(), 10);
}

#[test]
fn a_mount_of_any_size_is_moved_in_slices_that_cost_the_same() {
    const SLICE: usize = 500;
    let node = node_with((0..120_000).map(|n| format!("old/{}/{n}", n % 7)));
    let mut after: Option<String> = None;
    let mut slices = 0;
    loop {
        let mut tx = node.begin();
        let page = tx.walk(&folder("old/"), after.as_deref(), SLICE).expect("readable");
        if page.keys.is_empty() {
            break;
        }
        for path in &page.keys {
            let value = tx.get(&leaf(&format!("old/{path}"))).expect("readable").expect("it was found");
            tx.put(&leaf(&format!("new/{path}")), value.expose()).expect("a write");
            tx.delete(&leaf(&format!("old/{path}"))).expect("a write");
        }
        assert!(tx.walked <= SLICE + 1 && tx.touched <= 3 * SLICE, "{} and {}", tx.walked, tx.touched);
        assert!(matches!(node.commit(tx), Verdict::Committed(_)));
        after = page.keys.last().cloned();
        slices += 1;
    }
    assert_eq!(slices, 120_000 / SLICE);
    let mut tx = node.begin();
    assert!(tx.walk(&folder("old/"), None, 1).expect("readable").keys.is_empty());
    assert_eq!(tx.scan(&folder("new/"), None, usize::MAX).expect("readable").keys.len(), 120_000);
}

#[test]
fn a_walk_goes_on_behind_a_record_that_is_gone_and_past_much_that_was_deleted() {
    let node = node_with((0..2_000).map(|n| format!("{n:04}")));
    let mut tx = node.begin();
    let page = tx.walk(&root(), None, 1_900).expect("readable");
    for name in &page.keys {
        tx.delete(&leaf(name)).expect("a write");
    }
    let walked = tx.walked;
    let left = tx.walk(&root(), None, 1).expect("readable");
    assert_eq!(left, tx.walk(&root(), page.next.as_deref(), 1).expect("readable"));
    assert!(tx.walked - walked < 4_100, "{} keys were walked over", tx.walked - walked);
    let looks = tx.into_change(&node.entropy).expect("a change").ranges.len();
    assert!(looks < 30, "{looks} checks");
}
