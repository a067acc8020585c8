use std::collections::BTreeSet;

use bulkhead_model::grants::Grants;

use super::OUTFITS;

#[test]
fn grants_can_be_read_and_no_name_is_taken_twice() {
    let mut names = BTreeSet::new();
    for outfit in OUTFITS {
        let grants: Vec<&str> = outfit.grants.iter().chain(outfit.grants_in_root).copied().collect();
        let read = Grants::parse(&grants).unwrap_or_else(|why| panic!("{}: {why}", outfit.name));
        assert_eq!(read.texts(), grants, "{}", outfit.name);
        for name in outfit.aliases.iter().chain([&outfit.name]) {
            assert!(names.insert((format!("{:?}", outfit.kind), *name)), "{name} is taken twice");
        }
    }
}
