//! The contract with guests: what was released stays as it was.

use std::fs;
use std::process::Command;

use crate::holds;
use crate::text::{files_below, read, relative, root};

#[test]
fn released_wit_never_changes() {
    let wit = root().join("wit");
    let pinned = |version: &str| wit.join(format!("{version}.sha256")).is_file();
    let versions = fs::read_dir(&wit).expect("wit/ is there").flatten().filter(|entry| entry.path().is_dir());
    let versions: Vec<String> = versions.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    assert!(!versions.is_empty(), "wit/ holds no version");
    let loose = versions.iter().filter(|version| !pinned(version));
    let mut broken: Vec<String> = loose.map(|v| format!("wit/{v} is not pinned: cargo xtask freeze-wit {v}")).collect();
    for pinned in files_below(&wit).iter().filter(|path| path.extension().is_some_and(|end| end == "sha256")) {
        let name = pinned.file_stem().expect("a pinned file has a name").to_string_lossy().into_owned();
        let list = read(pinned);
        for file in files_below(&wit.join(&name)) {
            let file = relative(&file, &wit);
            if !list.lines().any(|line| line.ends_with(&format!("  {file}"))) {
                broken.push(format!("wit/{file} was added to the released {name}: it belongs in a new version"));
            }
        }
        let mut check = Command::new("sha256sum");
        check.args(["--check", "--strict", "--quiet"]).arg(pinned).current_dir(&wit);
        let checked = check.output().expect("sha256sum is part of every Linux");
        if !checked.status.success() {
            broken.push(format!("released WIT has changed: {}", String::from_utf8_lossy(&checked.stdout).trim_end()));
        }
    }
    holds(&broken);
}
