use serde_json::{Value, json};

use super::address::{Address, Endpoint, clean, target};
use super::error::{ApiError, ClientError};
use super::settings::Settings;
use super::{Call, Secret, dry};
use crate::env::Environment;
use crate::flags::{HTTP, parse};

fn address(text: &str) -> Address {
    Address::parse(text).expect("the address is right")
}

fn settings(words: &[&str], env: &[(&str, &str)]) -> Result<Settings, ClientError> {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let env = Environment::of(env);
    Settings::read(&parse(HTTP, &words, &env).expect("the flags are right"), &env)
}

#[test]
fn an_address_names_scheme_host_and_port() {
    assert_eq!(address("http://127.0.0.1:8200").endpoint, Endpoint::Tcp("127.0.0.1".to_owned(), 8200));
    assert_eq!(address("https://vault.example").endpoint, Endpoint::Tcp("vault.example".to_owned(), 443));
    assert_eq!(address("http://[::1]:8200/").endpoint, Endpoint::Tcp("::1".to_owned(), 8200));
    assert_eq!(address("unix:///run/b.sock").endpoint, Endpoint::Unix("/run/b.sock".to_owned()));
    for wrong in ["127.0.0.1:8200", "ftp://a", "http://a:b", "http://", "unix://"] {
        assert!(Address::parse(wrong).is_err(), "{wrong} was taken");
    }
}

#[test]
fn a_target_is_cleaned_and_encoded_and_its_query_sorted() {
    let base = address("http://h:1/base/");
    let query = [("list".to_owned(), "true".to_owned()), ("after".to_owned(), "a b&".to_owned())];
    assert_eq!(target(&base, "secret//data/a b?c/", &query), "/base/v1/secret/data/a%20b%3Fc?after=a+b%26&list=true");
    assert_eq!(clean("/a/../../b/./c/"), "/b/c");
}

#[test]
fn a_redirect_never_gives_up_tls() {
    let base = address("https://a:1");
    assert!(matches!(base.redirect("http://b:1/v1/x"), Err(ClientError::Downgrade { .. })));
    let (next, target) = base.redirect("https://b:2/v1/x?y=1").expect("https stays https");
    assert_eq!((next.url(&target), target.as_str()), ("https://b:2/v1/x?y=1".to_owned(), "/v1/x?y=1"));
}

#[test]
fn a_flag_wins_over_the_environment_and_the_environment_over_the_default() {
    let env = [("VAULT_ADDR", "http://env:1")];
    assert_eq!(settings(&["-address=http://flag:1"], &env).expect("settings").address.authority, "flag:1");
    assert_eq!(settings(&[], &env).expect("settings").address.authority, "env:1");
    assert_eq!(settings(&[], &[]).expect("settings").address.authority, "127.0.0.1:8200");
}

#[test]
fn headers_for_internal_use_are_refused() {
    assert!(settings(&["-header=X-Vault-Token=a"], &[]).is_err());
    assert!(settings(&["-header=X-Mine=a"], &[]).is_ok());
}

#[test]
fn a_timeout_and_a_retry_count_that_are_no_numbers_are_refused() {
    assert!(settings(&[], &[("BAO_CLIENT_TIMEOUT", "soon")]).is_err());
    assert!(settings(&[], &[("BAO_MAX_RETRIES", "few")]).is_err());
    assert_eq!(settings(&[], &[("BAO_CLIENT_TIMEOUT", "90")]).expect("settings").timeout.as_secs(), 90);
}

#[test]
fn a_refusal_reads_as_the_peers_and_names_method_url_and_status() {
    let error = ApiError::new("GET", "http://h/v1/a", 403, br#"{"errors":["permission denied"]}"#.to_vec(), None);
    assert_eq!(
        error.to_string(),
        "Error making API request.\n\nURL: GET http://h/v1/a\nCode: 403. Errors:\n\n* permission denied"
    );
    let raw = ApiError::new("GET", "http://h/v1/a", 502, b"bad gateway".to_vec(), Some("ns1/".to_owned()));
    assert_eq!(
        raw.to_string(),
        "Error making API request.\n\nNamespace: ns1/\nURL: GET http://h/v1/a\nCode: 502. Raw Message:\n\nbad gateway"
    );
}

#[test]
fn a_sealed_server_is_recognised_and_the_way_out_named() {
    let error = ClientError::Api(Box::new(ApiError::new(
        "GET",
        "http://h/v1/a",
        503,
        br#"{"errors":["Vault is sealed"]}"#.to_vec(),
        None,
    )));
    assert!(error.is_sealed());
    let hint = error.hint().expect("there is a way out");
    assert!(hint.contains("operator unseal") && hint.contains("operator init"), "it may be new: {hint}");
}

#[test]
fn what_a_server_warns_of_beside_a_refusal_is_known() {
    let body = br#"{"request_id":"r","data":null,"warnings":["not so"]}"#.to_vec();
    let error = ClientError::Api(Box::new(ApiError::new("DELETE", "http://h/v1/a", 404, body, None)));
    assert_eq!(error.warnings(), ["not so"]);
    let error = ClientError::Api(Box::new(ApiError::new("GET", "http://h/v1/a", 404, b"no JSON".to_vec(), None)));
    assert!(error.warnings().is_empty());
}

#[test]
fn an_answer_without_envelope_is_data_and_errors_alone_are_nothing() {
    let secret = Secret::parse(br#"{"sealed":false,"n":1}"#).expect("JSON").expect("data");
    assert_eq!(secret.get("n"), Some(&json!(1)));
    assert!(Secret::parse(br#"{"errors":[]}"#).expect("JSON").is_none());
    assert!(Secret::parse(b"").expect("nothing").is_none());
    assert!(Secret::parse(br#"{"errors":["a"],"x":1}"#).is_err());
}

#[test]
fn a_secret_is_written_in_the_peers_order_with_sorted_data() {
    let body = br#"{"data":{"b":1,"a":2},"renewable":false,"request_id":"r","lease_id":"","lease_duration":0,"warnings":null,"auth":null,"wrap_info":null}"#;
    let secret = Secret::parse(body).expect("JSON").expect("a secret");
    let expected =
        r#"{"request_id":"r","lease_id":"","lease_duration":0,"renewable":false,"data":{"a":2,"b":1},"warnings":null}"#;
    assert_eq!(crate::output::json::compact(&secret.to_value()), expected);
}

#[test]
fn a_field_means_what_the_kind_of_answer_says() {
    let auth = Secret::parse(br#"{"auth":{"client_token":"t","policies":["p"]}}"#).expect("JSON").expect("a secret");
    assert_eq!(auth.field("token"), Some(json!("t")));
    assert_eq!(auth.field("identity_policies"), Some(json!([])));
    let wrapped = Secret::parse(br#"{"wrap_info":{"token":"w","ttl":60}}"#).expect("JSON").expect("a secret");
    assert_eq!(wrapped.field("wrapping_token_ttl"), Some(json!(60)));
    let plain =
        Secret::parse(br#"{"lease_id":"l","data":{"data":{"x":1},"null":null}}"#).expect("JSON").expect("a secret");
    assert_eq!(plain.field("data"), Some(json!({"x": 1})));
    assert_eq!((plain.field("null"), plain.field("nope")), (None::<Value>, None));
}

#[test]
fn a_policy_names_the_capabilities_of_the_method_and_sudo_where_needed() {
    let list = [("list".to_owned(), "true".to_owned())];
    assert_eq!(dry::policy(&Call::new("GET", "a/b").query(&list)), "path \"a/b\" {\n  capabilities = [\"list\"]\n}");
    assert_eq!(
        dry::policy(&Call::new("PUT", "sys/seal")),
        "path \"sys/seal\" {\n  capabilities = [\"create\", \"update\", \"sudo\"]\n}"
    );
}

#[test]
fn what_is_to_be_wrapped_is_never_asked_for_unwrapped() {
    let wrap_ttl = |words: &[&str], env: &str| settings(words, &[("VAULT_WRAP_TTL", env)]).expect("settings").wrap_ttl;
    for (words, env, sent) in [
        (&[][..], "5m", Some("5m0s")),
        (&[], "5x", Some("5x")),
        (&[], "0", None),
        (&["-wrap-ttl=60"], "5x", Some("1m0s")),
        (&["-wrap-ttl=0"], "5x", None),
    ] {
        assert_eq!(wrap_ttl(words, env).as_deref(), sent, "{words:?} {env}");
    }
}

#[test]
fn a_setting_that_cannot_be_used_is_refused() {
    for (name, text, is_right) in [
        ("VAULT_RATE_LIMIT", "10", true),
        ("VAULT_RATE_LIMIT", "10.5:20", true),
        ("VAULT_RATE_LIMIT", "x", false),
        ("BAO_RATE_LIMIT", "10:x", false),
        ("VAULT_SKIP_VERIFY", "x", false),
        ("VAULT_DISABLE_REDIRECTS", "x", false),
        ("VAULT_DISABLE_REDIRECTS", "true", true),
        ("VAULT_SRV_LOOKUP", "x", false),
        ("VAULT_SRV_LOOKUP", "true", true),
        ("VAULT_PROXY_ADDR", "127.0.0.1:1", false),
        ("VAULT_HTTP_PROXY", "http://127.0.0.1:1", true),
    ] {
        assert_eq!(settings(&[], &[(name, text)]).is_ok(), is_right, "{name}={text}");
    }
    let by_name = settings(&["-address=https://vault.example"], &[("BAO_SRV_LOOKUP", "1")]);
    assert!(by_name.is_err_and(|error| error.to_string().contains("write the port")));
}

#[test]
fn the_policy_of_a_request_is_for_the_path_that_is_asked_for() {
    for (path, text) in [
        ("sys/mounts/kv/", "path \"sys/mounts/kv\" {"),
        ("sys/audit/file/", "path \"sys/audit/file\" {"),
        ("secret//data/a", "path \"secret/data/a\" {"),
    ] {
        assert!(dry::policy(&Call::new("POST", path)).starts_with(text), "{path}");
    }
    assert!(dry::policy(&Call::new("POST", "sys/audit/file/")).contains("\"sudo\""));
}
