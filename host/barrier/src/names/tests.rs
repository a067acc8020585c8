use bulkhead_model::fake::entropy::FakeEntropy;
use proptest::prelude::*;

use super::*;
use crate::keybytes::random_key;

fn names(seed: u64) -> Names {
    Names::new(random_key(&FakeEntropy::seeded(seed)))
}

fn ledger_key(names: &Names, space: SpaceId, path: &str) -> Vec<u8> {
    let key = Key::leaf(space, path).expect("a key");
    names.ledger_key(&key).expect("a key of few segments")
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec("[ab\\-]{1,3}|[a-z]{15,17}|[é]{1,20}", 1..5).prop_map(|segments| segments.join("/"))
}

proptest! {
    #[test]
    fn different_places_have_different_ledger_keys_and_none_is_the_start_of_another(
        a in path(), b in path(), spaces in (0u8..2, 0u8..2),
    ) {
        let names = names(1);
        let (left, right) = (SpaceId([spaces.0; 16]), SpaceId([spaces.1; 16]));
        let (left, right) = ((left, &a), (right, &b));
        let keys = (ledger_key(&names, left.0, left.1), ledger_key(&names, right.0, right.1));
        prop_assert_eq!(keys.0 == keys.1, left == right);
        prop_assert!(left == right || !keys.0.starts_with(&keys.1), "a leaf lies within another leaf");
    }

    #[test]
    fn a_remembered_folder_gives_the_same_key_as_one_worked_out_anew(path in path()) {
        let space = SpaceId([3; 16]);
        let warm = names(1);
        let first = ledger_key(&warm, space, &path);
        prop_assert_eq!(&ledger_key(&warm, space, &path), &first);
        prop_assert_eq!(&ledger_key(&names(1), space, &path), &first);
        prop_assert_ne!(&ledger_key(&names(2), space, &path), &first);
    }

    #[test]
    fn a_name_comes_back_from_its_ledger_key_and_from_no_altered_one(segment in "[^/\0]{1,40}", at in 17usize.., flip in 1u8..) {
        prop_assume!(segment != "." && segment != "..");
        let names = names(1);
        let root = Prefix::root(SpaceId([3; 16]));
        let mut key = ledger_key(&names, SpaceId([3; 16]), &segment);
        let component = root.component(&key).expect("a component");
        prop_assert!(!component.is_folder);
        prop_assert_eq!(names.open(&root, &component).expect("the name"), segment);
        let at = 17 + (at - 17) % (key.len() - 17);
        key[at] ^= flip;
        let opened = root.component(&key).and_then(|component| names.open(&root, &component));
        prop_assert!(opened.is_err(), "byte {} was altered", at);
    }
}

#[test]
fn equal_names_in_different_folders_and_spaces_look_different() {
    let names = names(1);
    let (space, other) = (SpaceId([3; 16]), SpaceId([4; 16]));
    let last_component = |space, path| {
        let key = ledger_key(&names, space, path);
        key[key.len() - 35..].to_vec()
    };
    let all =
        [(space, "x"), (space, "a/x"), (space, "b/x"), (space, "a/a/x"), (space, "x/x"), (other, "x"), (other, "a/x")];
    for (n, (left_space, left)) in all.into_iter().enumerate() {
        for (right_space, right) in all.into_iter().skip(n + 1) {
            assert_ne!(last_component(left_space, left), last_component(right_space, right), "{left} and {right}");
        }
    }
}

#[test]
fn a_ledger_key_tells_a_names_length_in_steps_of_sixteen_only() {
    let names = names(1);
    let length = |name_bytes| ledger_key(&names, SpaceId([3; 16]), &"x".repeat(name_bytes)).len();
    assert_eq!(length(1), length(16));
    assert_eq!(length(17), length(32));
    assert_eq!(length(17), length(16) + 16);
}

#[test]
fn a_component_moved_to_another_folder_does_not_open() {
    let names = names(1);
    let space = SpaceId([3; 16]);
    let folder = |path| names.folder(Realm::ROOT, &Folder::new(space, path).expect("a folder")).expect("a prefix");
    let (home, other) = (folder("home/"), folder("other/"));
    let key = ledger_key(&names, space, "home/name");
    let moved = [&other.bytes, &key[home.bytes.len()..]].concat();
    let component = other.component(&moved).expect("it still looks like a component");
    assert!(matches!(names.open(&other, &component), Err(StoreError::Damaged { .. })));
}

#[test]
fn a_folder_does_not_open_as_a_record_of_its_name() {
    let (names, space) = (names(1), SpaceId([3; 16]));
    let key = ledger_key(&names, space, "app/db");
    let root = Prefix::root(space);
    let folder = root.component(&key).expect("as it was written");
    assert_eq!(names.open(&root, &folder).expect("as it was written"), "app");
    let mut leaf = key[..root.bytes.len() + folder.bytes].to_vec();
    *leaf.last_mut().expect("as it was written") = LEAF;
    let leaf = root.component(&leaf).expect("as it was written");
    assert!(!leaf.is_folder);
    assert!(names.open(&root, &leaf).is_err());
}

#[test]
fn a_key_of_too_many_segments_is_refused_before_it_is_too_long_for_the_ledger() {
    let names = names(1);
    let deep = |segments| Key::leaf(SpaceId([3; 16]), &vec!["x"; segments].join("/")).expect("a key");
    let most = (LEDGER_KEY_BYTES_MAX - 17) / 35;
    let longest = names.ledger_key(&deep(most)).expect("within the limit");
    assert!(longest.len() <= LEDGER_KEY_BYTES_MAX);
    let refused = names.ledger_key(&deep(most + 1));
    assert!(matches!(refused, Err(StoreError::BadKey(KeyError::Length))));
}

#[test]
fn the_memory_for_folders_is_bounded() {
    let names = names(1);
    for n in 0..REMEMBERED_MAX + 10 {
        ledger_key(&names, SpaceId([u8::try_from(n % 7).expect("small"); 16]), &format!("{n}/x"));
    }
    let remembered = names.remembered.read();
    let held: usize = remembered.folders.values().map(HashMap::len).sum();
    assert_eq!(held, remembered.count);
    assert!(held <= REMEMBERED_MAX);
}
