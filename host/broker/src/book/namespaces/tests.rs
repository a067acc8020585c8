use super::*;

fn all(paths: &[&str]) -> Namespaces {
    let record = |path: &&str| {
        let realm = Realm::of([u8::try_from(path.len()).expect("short"); 15]);
        NamespaceRecord::new(format!("uuid-{path}"), format!("id{}", path.len()), (*path).to_owned(), realm)
    };
    Namespaces::of(paths.iter().map(record).collect())
}

fn located(all: &Namespaces, from: &str, path: &str) -> (String, String) {
    let (at, rest) = all.locate(all.at(from).expect("there is one"), path);
    (at.path().to_owned(), rest.to_owned())
}

#[test]
fn a_path_is_in_the_innermost_namespace_it_names() {
    let all = all(&["a/", "a/b/", "a/b/c/", "ab/"]);
    let told = |from: &str, path: &str| located(&all, from, path);
    let pair = |at: &str, rest: &str| (at.to_owned(), rest.to_owned());
    assert_eq!(told("", "a/b/kv/x"), pair("a/b/", "kv/x"));
    assert_eq!(told("a/", "b/kv/x"), pair("a/b/", "kv/x"));
    assert_eq!(told("a/b/", "kv/x"), pair("a/b/", "kv/x"));
    assert_eq!(told("", "ab/c/x"), pair("ab/", "c/x"));
    assert_eq!(told("a/", "a/b/x"), pair("a/", "a/b/x"), "a name is looked for below the one that was asked");
    assert_eq!(told("", "a"), pair("", "a"), "a name without a slash is no way into it");
    assert_eq!(told("", "a/"), pair("a/", ""));
}

#[test]
fn a_lease_is_found_by_its_own_namespaces_id_alone() {
    let all = all(&["a/", "a/b/"]);
    let kept = |of: &str, shown: &str| all.lease_id(all.at(of).expect("there is one"), shown);
    assert_eq!(kept("", "db/creds/x/R"), Some("db/creds/x/R".to_owned()));
    assert_eq!(kept("a/", "db/creds/x/R.id2"), Some("a/db/creds/x/R".to_owned()));
    assert_eq!(kept("a/", "db/creds/x/R"), None);
    assert_eq!(kept("a/", "db/creds/x/R.id4"), None);
    assert_eq!(kept("", "a/db/creds/x/R"), None, "the root does not reach below by another spelling");
    assert_eq!(kept("a/", "b/db/creds/x/R.id2"), None);
    let b = all.at("a/b/").expect("there is one");
    assert_eq!(b.shown_lease("a/b/db/creds/x/R"), "db/creds/x/R.id4");
}

#[test]
fn a_lock_holds_for_all_below() {
    let mut records: Vec<_> = ["a/", "a/b/", "c/"]
        .iter()
        .map(|path| NamespaceRecord::new((*path).to_owned(), (*path).to_owned(), (*path).to_owned(), Realm::ROOT))
        .collect();
    records[0].lock = Some([1; 32]);
    let all = Namespaces::of(records);
    let by = |path: &str| all.at(path).expect("there is one").locked_by.clone();
    assert_eq!((by("a/"), by("a/b/"), by("c/")), (Some("a/".to_owned()), Some("a/".to_owned()), None));
}
