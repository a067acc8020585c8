//! What is wrong, and whether trying again may help.

use super::*;

/// What wrapping says where the other side answers like this.
fn refused(answer: impl Fn() -> Result<HttpResponse, HttpError> + 'static) -> Error {
    bench(config(), move |_| answer()).0.wrap(b"x", b"seal").expect_err("it is refused")
}

fn of_status(status: u16, errors: &'static [&str]) -> Error {
    refused(move || Ok(http_answer(status, &json!({ "errors": errors }))))
}

#[test]
fn a_token_that_is_refused_says_what_to_do() {
    let Error::PermissionDenied(text) = of_status(403, &["1 error occurred:\n\t* permission denied\n\n"]) else {
        panic!("it is refused for good")
    };
    assert!(text.starts_with("https://vault.example:8200 answers 403 to transit/encrypt/unseal (1 error"), "{text}");
    assert!(text.ends_with("give the seal a token that is valid"), "{text}");
}

#[test]
fn a_server_that_is_sealed_busy_or_away_may_be_there_again() {
    for status in [307, 429, 472, 473, 500, 502, 503] {
        assert!(matches!(of_status(status, &["Vault is sealed"]), Error::Unavailable(_)), "{status}");
    }
    for error in [
        HttpError::Refused("connection refused".to_owned()),
        HttpError::Resolve("no such name".to_owned()),
        HttpError::Tls("certificate has expired or is not yet valid".to_owned()),
        HttpError::Timeout,
        HttpError::Closed,
    ] {
        let Error::Unavailable(text) = refused(move || Err(error.clone())) else { panic!("it may be there again") };
        assert!(text.starts_with("asking https://vault.example:8200: "), "{text}");
    }
}

#[test]
fn a_request_that_is_wrong_stays_wrong() {
    for status in [400, 404, 405] {
        assert!(matches!(of_status(status, &["no handler for route"]), Error::InvalidRequest(_)), "{status}");
    }
    let denied = refused(|| Err(HttpError::Denied("https://vault.example:8200".to_owned())));
    assert!(matches!(denied, Error::PermissionDenied(_)));
}

#[test]
fn an_answer_that_is_none_is_the_other_sides_fault() {
    for body in [json!([]), json!({}), json!({ "data": { "ciphertext": 3 } }), json!({ "data": { "ciphertext": "v" } })]
    {
        let shown = body.to_string();
        assert!(matches!(refused(move || Ok(http_answer(200, &body))), Error::Upstream(_)), "{shown}");
    }
}

#[test]
fn a_config_that_lacks_something_asks_nobody() {
    for (name, value) in [
        ("address", json!("")),
        ("token", json!("")),
        ("key_name", json!("")),
        ("key_name", json!("a/b")),
        ("key_name", json!("a?b")),
        ("key_name", json!("..")),
        ("mount_path", json!("a/../b")),
        ("mount_path", json!("a//b")),
        ("token", json!(7)),
    ] {
        let mut config = config();
        config[name] = value.clone();
        let (mut bench, asked) = sound(config);
        assert!(matches!(bench.wrap(b"x", b"seal"), Err(Error::InvalidRequest(_))), "{name} {value}");
        assert!(asked.borrow().is_empty());
    }
}

#[test]
fn no_error_repeats_the_config() {
    let mut config = config();
    config["token"] = json!(["s.token"]);
    let Err(Error::InvalidRequest(text)) = sound(config).0.wrap(b"x", b"seal") else { panic!("it is refused") };
    assert!(!text.contains("s.token"), "{text}");
}
