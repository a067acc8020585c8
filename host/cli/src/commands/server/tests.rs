use super::{COMMAND, options};
use crate::env::Environment;
use crate::flags::parse;

fn read(line: &str, env: &[(&str, &str)]) -> Result<bulkhead_server::ServerOptions, crate::fault::Fault> {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let env = Environment::of(env);
    options(&parse(&COMMAND.all_flags(), &words, &env).expect("the flags are right"), &env)
}

#[test]
fn configs_are_kept_in_order() {
    let options = read("-config=a.hcl --config b -log-level=debug", &[]).expect("options");
    assert_eq!(options.configs, [std::path::PathBuf::from("a.hcl"), "b".into()]);
    assert_eq!((options.log_level.as_deref(), options.dev.is_none()), (Some("debug"), true));
}

#[test]
fn dev_options_come_from_flags_and_environment() {
    let dev = read("-dev -dev-no-store-token -dev-listen-address=127.0.0.1:0", &[("BAO_DEV_ROOT_TOKEN_ID", "root")])
        .expect("options")
        .dev
        .expect("dev");
    assert_eq!(
        (dev.root_token_id.as_deref(), dev.listen_address.as_deref(), dev.no_store_token),
        (Some("root"), Some("127.0.0.1:0"), true)
    );
}

#[test]
fn where_a_helper_keeps_tokens_the_root_token_is_put_into_no_file() {
    let home = tempfile::tempdir().expect("the test may write files");
    let env = [("HOME", home.path().to_str().expect("temporary paths are UTF-8"))];
    let is_stored = || !read("-dev", &env).expect("options").dev.expect("dev").no_store_token;
    assert!(is_stored());
    std::fs::write(home.path().join(".vault"), "token_helper = \"/bin/sh\"").expect("the test may write files");
    assert!(!is_stored());
}

#[test]
fn without_a_config_only_a_dev_server_starts() {
    assert!(read("", &[]).is_err());
    assert!(read("-dev", &[]).is_ok());
}
