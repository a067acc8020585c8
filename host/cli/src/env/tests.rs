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
fn an_empty_variable_counts_as_unset() {
    let emptied = Environment::of(&[("BAO_TOKEN", ""), ("VAULT_TOKEN", "v")]);
    assert_eq!(emptied.setting("TOKEN"), Some("v"));
    assert_eq!(Environment::of(&[("BAO_TOKEN", "")]).setting("TOKEN"), None);
}

#[test]
fn a_setting_is_named_as_whoever_set_it_did() {
    let set = Environment::of(&[("VAULT_CLIENT_TIMEOUT", "abc")]);
    assert_eq!(set.variable("CLIENT_TIMEOUT"), "VAULT_CLIENT_TIMEOUT");
    let both = Environment::of(&[("VAULT_CLIENT_TIMEOUT", "abc"), ("BAO_CLIENT_TIMEOUT", "1")]);
    assert_eq!(both.variable("CLIENT_TIMEOUT"), "BAO_CLIENT_TIMEOUT");
    assert_eq!(Environment::of(&[]).variable("CLIENT_TIMEOUT"), "BULKHEAD_CLIENT_TIMEOUT");
}
