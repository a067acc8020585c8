//! The seal on the bench. What the other side answers was read off OpenBao 2.7.

use std::cell::RefCell;
use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bulkhead_sdk::bench::{SealBench, Sent, http_answer};
use bulkhead_sdk::http::{HttpError, HttpResponse};
use bulkhead_sdk::net::{Tls, Verification};
use bulkhead_sdk::{Error, Wrapped};
use serde_json::{Value, json};

use crate::Transit;

mod refusals;
mod renewal;

/// What was asked of the other side.
type Asked = Rc<RefCell<Vec<Sent>>>;

fn config() -> Value {
    json!({ "address": "https://vault.example:8200", "token": "s.token", "key_name": "unseal", "mount_path": "transit/" })
}

/// A transit engine that encrypts by turning the text around, at version 3.
fn engine(sent: &Sent) -> HttpResponse {
    let turned = |text: &str| text.chars().rev().collect::<String>();
    let body = if sent.body.is_empty() { Value::Null } else { sent.json() };
    let data = match sent.path().rsplit('/').nth(1) {
        Some("encrypt") => {
            let ciphertext = format!("vault:v3:{}", turned(body["plaintext"].as_str().unwrap()));
            json!({ "ciphertext": ciphertext, "key_version": 3 })
        }
        Some("decrypt") => {
            let ciphertext = body["ciphertext"].as_str().unwrap();
            json!({ "plaintext": turned(ciphertext.rsplit(':').next().unwrap()) })
        }
        _ => json!({ "ttl": 0, "creation_ttl": 0, "renewable": false }),
    };
    http_answer(200, &json!({ "data": data }))
}

fn bench(
    config: Value,
    web: impl Fn(&Sent) -> Result<HttpResponse, HttpError> + 'static,
) -> (SealBench<Transit>, Asked) {
    let asked = Asked::default();
    let noted = Rc::clone(&asked);
    let bench = SealBench::new(config, move |sent| {
        noted.borrow_mut().push(sent.clone());
        web(sent)
    });
    (bench, asked)
}

fn sound(config: Value) -> (SealBench<Transit>, Asked) {
    bench(config, |sent| Ok(engine(sent)))
}

#[test]
fn what_was_wrapped_is_unwrapped_under_its_label_alone() {
    let (mut bench, asked) = sound(config());
    let wrapped = bench.wrap(b"the seal key", b"seal").unwrap();
    assert_eq!(wrapped.key_id, "v3");
    assert!(wrapped.ciphertext.starts_with(b"vault:v3:"));
    assert_eq!(bench.unwrap(&wrapped, b"seal").unwrap(), b"the seal key");
    assert!(matches!(bench.unwrap(&wrapped, b"recovery"), Err(Error::InvalidRequest(_))));
    let asked = asked.borrow();
    assert_eq!(asked[0].url, "https://vault.example:8200/v1/transit/encrypt/unseal");
    assert_eq!(asked[1].url, "https://vault.example:8200/v1/transit/decrypt/unseal");
    assert_eq!((asked[0].method.as_str(), asked[0].header("x-vault-token")), ("POST", Some("s.token")));
    assert_eq!(asked[0].header("x-vault-namespace"), None);
    let plaintext = asked[0].json()["plaintext"].as_str().map(|text| STANDARD.decode(text).unwrap());
    assert_eq!(plaintext.as_deref(), Some(&b"\x01\0\x04sealthe seal key"[..]));
}

#[test]
fn mount_namespace_and_tls_are_those_of_the_config() {
    let mut config = config();
    config["address"] = json!("https://10.0.0.7:8200/");
    config["mount_path"] = json!("/infra/keys/");
    config["namespace"] = json!("ops/");
    config["tls_ca_cert"] = json!("-----BEGIN CERTIFICATE-----");
    config["tls_server_name"] = json!("vault.example");
    config["tls_skip_verify"] = json!(true);
    let (mut bench, asked) = sound(config);
    bench.wrap(b"x", b"seal").unwrap();
    let asked = asked.borrow();
    assert_eq!(asked[0].url, "https://10.0.0.7:8200/v1/infra/keys/encrypt/unseal");
    assert_eq!(asked[0].header("X-Vault-Namespace"), Some("ops/"));
    let tls = Tls {
        server_name: Some("vault.example".to_owned()),
        roots_pem: Some("-----BEGIN CERTIFICATE-----".to_owned()),
        verification: Verification::Insecure,
        client: None,
    };
    assert_eq!(asked[0].tls, Some(tls));
}

#[test]
fn the_check_tells_the_version_that_encrypts_now() {
    let (mut bench, asked) = sound(config());
    let status = bench.check().unwrap();
    assert_eq!((status.key_id.as_str(), status.healthy, status.message.as_str()), ("v3", true, ""));
    let paths: Vec<String> = asked.borrow().iter().map(|sent| sent.path().to_owned()).collect();
    assert_eq!(paths, ["/v1/transit/encrypt/unseal", "/v1/transit/decrypt/unseal", "/v1/auth/token/lookup-self"]);
}

#[test]
fn a_check_fails_where_decrypting_does() {
    let (mut other, _) = bench(config(), |sent| match sent.path().contains("/decrypt/") {
        true => Ok(http_answer(403, &json!({ "errors": ["permission denied"] }))),
        false => Ok(engine(sent)),
    });
    assert!(matches!(other.check(), Err(Error::PermissionDenied(_))));
}

#[test]
fn what_was_wrapped_by_something_else_is_not_even_shown() {
    let (mut bench, asked) = sound(config());
    let foreign = Wrapped { key_id: "v1".to_owned(), ciphertext: vec![0xff], extra: Vec::new() };
    assert!(matches!(bench.unwrap(&foreign, b"seal"), Err(Error::InvalidRequest(_))));
    assert!(asked.borrow().is_empty());
}
