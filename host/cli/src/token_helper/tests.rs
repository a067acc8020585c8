use std::os::unix::fs::PermissionsExt;

use super::*;

/// A folder with this helper and a config that names it.
fn home(script: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("the test may write files");
    let path = dir.path().join("helper.sh");
    fs::write(&path, format!("#!/bin/sh\ncd {}\n{script}\n", dir.path().display())).expect("writes");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("is ours");
    fs::write(dir.path().join("config.hcl"), format!("token_helper = \"{}\"\n", path.display())).expect("writes");
    dir
}

fn env(dir: &tempfile::TempDir, more: &[(&str, &str)]) -> Environment {
    let home = dir.path().to_str().expect("temporary paths are UTF-8");
    Environment::of(&[&[("HOME", home)][..], more].concat())
}

fn helper(dir: &tempfile::TempDir) -> Helper {
    Helper::of(&env(dir, &[("BAO_CONFIG_PATH", "~/config.hcl")])).expect("a config").expect("a helper")
}

/// What is said of this config.
fn refusal(text: &str) -> String {
    let dir = tempfile::tempdir().expect("the test may write files");
    fs::write(dir.path().join("c.hcl"), text).expect("writes");
    let error = Helper::of(&env(&dir, &[("VAULT_CONFIG_PATH", "~/c.hcl")])).expect_err(text).to_string();
    error.replace(&format!("{}/", dir.path().display()), "")
}

#[test]
fn a_helper_keeps_the_token_and_gives_it_back() {
    let dir = home("echo $1 >> calls; case $1 in store) cat > kept ;; get) cat kept; echo ;; esac");
    helper(&dir).store("s.abc").expect("it keeps it");
    let token = helper(&dir).load().expect("it gives it").expect("there is one");
    assert_eq!(token.expose(), "s.abc");
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).expect("it was written");
    assert_eq!((read("calls").as_str(), read("kept").as_str()), ("store\nget\n", "s.abc"));
    assert!(!dir.path().join(".vault-token").exists(), "there is no second copy");
}

#[test]
fn a_helper_may_have_nothing_and_need_not_read() {
    let dir = home("exit 0");
    assert!(helper(&dir).load().expect("it ends well").is_none());
    helper(&dir).store(&"x".repeat(1024 * 1024)).expect("it ends well");
}

#[test]
fn what_a_failing_helper_says_is_told_unless_the_token_is_in_it() {
    let dir = home("case $1 in get) echo 'no keyring' >&2 ;; store) cat >&2 ;; esac; exit 3");
    let said = helper(&dir).load().err().expect("it fails").to_string();
    assert_eq!(said, "\"no keyring\": exit status 3");
    let said = helper(&dir).store("s.abc").expect_err("it fails").to_string();
    assert_eq!(said, "exit status 3 (what the helper says holds the token, and is not shown)");
    let dir = home("yes | head -c 100000 >&2; exit 4");
    let said = helper(&dir).load().err().expect("it fails").to_string();
    assert!(said.len() < 10_000 && said.ends_with("exit status 4"), "{} bytes", said.len());
}

#[test]
fn an_answer_without_end_is_not_held() {
    let dir = home("exec cat /dev/zero");
    assert!(helper(&dir).load().is_err());
}

#[test]
fn a_config_is_looked_for_at_the_peers_places() {
    let dir = home("exit 0");
    let is_found = |more: &[(&str, &str)]| Helper::of(&env(&dir, more)).expect("no bad config").is_some();
    assert!(!is_found(&[]));
    assert!(!is_found(&[("BULKHEAD_CONFIG_PATH", "~/config.hcl")]), "that is a server's");
    assert!(!is_found(&[("BAO_CONFIG_PATH", "~/none.hcl")]));
    fs::create_dir(dir.path().join(".bao")).expect("writes");
    assert!(!is_found(&[]), "a folder is somebody else's");
    fs::copy(dir.path().join("config.hcl"), dir.path().join(".vault")).expect("writes");
    assert!(is_found(&[]));
    assert!(is_found(&[("BAO_CONFIG_PATH", ""), ("VAULT_CONFIG_PATH", "~/none.hcl")]), "none is named");
    fs::remove_dir(dir.path().join(".bao")).expect("writes");
    fs::write(dir.path().join(".bao"), "token_helper = \"\"").expect("writes");
    assert!(!is_found(&[]), "the first of both counts");
}

#[test]
fn a_config_that_cannot_be_used_is_an_error_with_its_line() {
    for (text, begin) in [
        ("token_helper = \"/bin/true\"\nfoo = 1", "c.hcl:2: unknown key foo. This file is the command line's own"),
        ("listener \"tcp\" {}", "c.hcl:1: unknown key listener. "),
        ("\ntoken_helper = [\"/bin/true\"]", "c.hcl:2: token_helper must be a string, and is a list. "),
        ("token_helper = \"helper.sh\"", "c.hcl:1: token_helper is \"helper.sh\": write the whole path, from / on. "),
        ("token_helper = \"/nonexistent/x\"", "token_helper: /nonexistent/x: no such file or directory"),
        ("$ANSIBLE_VAULT;1.1", "c.hcl:1: "),
    ] {
        let said = refusal(text);
        assert!(said.starts_with(begin), "{text:?}: {said}");
    }
}

#[test]
fn a_script_without_its_first_line_is_told_what_is_missing() {
    let dir = home("");
    fs::write(dir.path().join("helper.sh"), "echo s.abc\n").expect("writes");
    let said = helper(&dir).load().err().expect("it is no program").to_string();
    assert!(said.ends_with("helper.sh: it is no program: a script begins with #!/bin/sh"), "{said}");
}
