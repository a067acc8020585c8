//! The token's life, as the check keeps it.

use super::*;

/// What a check says, and whether it renewed, with a token of which this is told.
fn checked(config: Value, token: Value, renewed_secs: u64) -> (String, bool) {
    let (mut bench, asked) = bench(config, move |sent| {
        Ok(match sent.path() {
            "/v1/auth/token/lookup-self" => http_answer(200, &json!({ "data": token })),
            "/v1/auth/token/renew-self" => http_answer(200, &json!({ "auth": { "lease_duration": renewed_secs } })),
            _ => engine(sent),
        })
    });
    let message = bench.check().unwrap().message;
    let renewed = asked.borrow().iter().any(|sent| sent.path().ends_with("/renew-self"));
    (message, renewed)
}

fn token(ttl: u64, creation_ttl: u64, renewable: bool) -> Value {
    json!({ "ttl": ttl, "creation_ttl": creation_ttl, "renewable": renewable })
}

#[test]
fn a_token_is_renewed_once_half_of_its_time_is_gone() {
    assert_eq!(checked(config(), token(3600, 3600, true), 3600), (String::new(), false));
    assert_eq!(checked(config(), token(1801, 3600, true), 3600), (String::new(), false));
    assert_eq!(checked(config(), token(1800, 3600, true), 3600), (String::new(), true));
}

#[test]
fn a_periodic_token_is_renewed_by_its_period() {
    let mut periodic = token(1000, 86_400, true);
    periodic["period"] = json!(1800);
    assert_eq!(checked(config(), periodic.clone(), 1800), (String::new(), false));
    periodic["ttl"] = json!(900);
    assert_eq!(checked(config(), periodic, 1800), (String::new(), true));
}

#[test]
fn a_token_without_an_end_is_left_alone() {
    assert_eq!(checked(config(), token(0, 0, false), 0), (String::new(), false));
}

#[test]
fn an_end_that_nothing_puts_off_is_told() {
    let text = |secs| format!("the transit seal's token ends in {secs} s and is not renewed any further");
    assert_eq!(checked(config(), token(100, 3600, false), 0), (text(100), false));
    assert_eq!(checked(config(), token(100, 3600, true), 90), (text(90), true));
}

#[test]
fn renewal_can_be_left_to_others() {
    let mut config = config();
    config["disable_renewal"] = json!(true);
    let (mut bench, asked) = sound(config);
    assert_eq!(bench.check().unwrap().message, "");
    assert_eq!(asked.borrow().len(), 2);
}

#[test]
fn a_token_that_may_not_look_at_itself_still_seals() {
    let (mut bench, _) = bench(config(), |sent| match sent.path().starts_with("/v1/auth/") {
        true => Ok(http_answer(403, &json!({ "errors": ["permission denied"] }))),
        false => Ok(engine(sent)),
    });
    let status = bench.check().unwrap();
    assert!(status.healthy);
    assert!(status.message.starts_with("the transit seal's token was not renewed: "), "{}", status.message);
}
