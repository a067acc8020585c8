use std::path::{Path, PathBuf};

use super::Environment;

#[test]
fn our_own_prefix_wins_over_bao_and_bao_over_vault() {
    let all = Environment::of(&[("VAULT_ADDR", "v"), ("BAO_ADDR", "b"), ("BULKHEAD_ADDR", "o")]);
    assert_eq!(all.setting("ADDR"), Some("o"));
    let two = Environment::of(&[("VAULT_ADDR", "v"), ("BAO_ADDR", "b")]);
    assert_eq!(two.setting("ADDR"), Some("b"));
    let one = Environment::of(&[("VAULT_ADDR", "v")]);
    assert_eq!(one.setting("ADDR"), Some("v"));
}

#[test]
fn an_empty_variable_switches_the_setting_off() {
    let emptied = Environment::of(&[("BAO_TOKEN", ""), ("VAULT_TOKEN", "v")]);
    assert_eq!(emptied.setting("TOKEN"), None);
    assert_eq!(emptied.variable("TOKEN"), "BAO_TOKEN");
    assert_eq!(Environment::of(&[("BAO_TOKEN", "")]).setting("TOKEN"), None);
    // What comes behind in the order says nothing about what is before it.
    let behind = Environment::of(&[("BULKHEAD_TOKEN", "o"), ("BAO_TOKEN", "")]);
    assert_eq!((behind.setting("TOKEN"), behind.peers_setting("TOKEN")), (Some("o"), None));
}

#[test]
fn the_peers_settings_are_not_under_our_own_prefix() {
    let ours = Environment::of(&[("BULKHEAD_CONFIG_PATH", "o")]);
    assert_eq!((ours.setting("CONFIG_PATH"), ours.peers_setting("CONFIG_PATH")), (Some("o"), None));
    let all = Environment::of(&[("BULKHEAD_CONFIG_PATH", "o"), ("BAO_CONFIG_PATH", "b"), ("VAULT_CONFIG_PATH", "v")]);
    assert_eq!(all.peers_setting("CONFIG_PATH"), Some("b"));
}

#[test]
fn a_path_from_home_is_one_below_it() {
    let env = Environment::of(&[("HOME", "/home/a")]);
    assert_eq!(env.home(), Some(Path::new("/home/a")));
    assert_eq!(["~/x", "/x", "a~/x"].map(|path| env.expanded(path)), ["/home/a/x", "/x", "a~/x"].map(PathBuf::from));
    assert_eq!(Environment::of(&[]).expanded("~/x"), PathBuf::from("~/x"));
}

#[test]
fn a_setting_is_named_as_whoever_set_it_did() {
    let set = Environment::of(&[("VAULT_CLIENT_TIMEOUT", "abc")]);
    assert_eq!(set.variable("CLIENT_TIMEOUT"), "VAULT_CLIENT_TIMEOUT");
    let both = Environment::of(&[("VAULT_CLIENT_TIMEOUT", "abc"), ("BAO_CLIENT_TIMEOUT", "1")]);
    assert_eq!(both.variable("CLIENT_TIMEOUT"), "BAO_CLIENT_TIMEOUT");
    assert_eq!(Environment::of(&[]).variable("CLIENT_TIMEOUT"), "BULKHEAD_CLIENT_TIMEOUT");
}
