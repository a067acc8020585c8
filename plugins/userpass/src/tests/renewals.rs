//! Tokens that are renewed, and those that are not.

use super::*;

fn granted(bench: &mut Bench<Userpass>) -> AuthGrant {
    bench.write("login/ann", json!({ "password": "pw" })).auth().clone()
}

fn refused(bench: &mut Bench<Userpass>, grant: &AuthGrant) -> String {
    match bench.renew_token(grant, None) {
        Err(Error::InvalidRequest(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_token_is_renewed_with_the_lifetimes_its_user_has_now() {
    let mut bench = bench();
    let grant = granted(&mut bench);
    bench.write("users/ann", json!({ "token_ttl": 60, "token_max_ttl": 120, "token_period": 30 })).ok();
    let renewed = bench.renew_token(&grant, None).unwrap();
    assert_eq!((renewed.ttl, renewed.max_ttl, renewed.period), (Some(60), Some(120), Some(30)));
    assert_eq!(renewed.policies, grant.policies);
}

#[test]
fn a_token_is_not_renewed_once_its_users_policies_have_changed() {
    let mut bench = bench();
    let grant = granted(&mut bench);
    bench.write("users/ann", json!({ "token_policies": "B,a,default" })).ok();
    assert!(bench.renew_token(&grant, None).is_ok(), "order, case and the default policy are no change");
    bench.write("users/ann/policies", json!({ "token_policies": "a" })).ok();
    assert_eq!(refused(&mut bench, &grant), "policies have changed, not renewing");
}

#[test]
fn a_token_is_not_renewed_once_its_user_is_gone() {
    let mut bench = bench();
    let grant = granted(&mut bench);
    bench.delete("users/ann").ok();
    assert_eq!(refused(&mut bench, &grant), "the user does not exist any more");
}
