//! Passwords: setting them, their hashes, their lengths.

use super::*;

const LOW: &str = "$2b$04$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZabcde";
const HIGH: &str = "$2b$13$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZabcde";

#[test]
fn a_new_user_needs_one_form_of_password_and_only_one() {
    let mut bench = bench();
    let both = json!({ "password": "a", "password_hash": "b" });
    let one = invalid("only one of password or password_hash may be provided");
    let either = invalid("must provide either password or password_hash");
    assert_eq!(refusal(&mut bench, "users/bob", json!({})), either);
    assert_eq!(refusal(&mut bench, "users/bob", both.clone()), one);
    assert_eq!(refusal(&mut bench, "users/ann", both.clone()), one);
    assert_eq!(refusal(&mut bench, "users/ann/password", json!({})), either);
    assert_eq!(refusal(&mut bench, "users/ann/password", both), one);
    let unknown = invalid("username does not exist");
    assert_eq!(refusal(&mut bench, "users/bob/password", json!({ "password": "x" })), unknown);
}

#[test]
fn a_hash_from_outside_must_be_bcrypts_and_of_a_fair_cost() {
    let mut bench = bench();
    let mut sent = |hash: &str| refusal(&mut bench, "users/ann/password", json!({ "password_hash": hash }));
    for wrong in ["b", &LOW[..59], "$2b$4$x", "$1$04$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZabcde"] {
        assert_eq!(sent(wrong), invalid("password_hash is not a valid bcrypt hash"), "{wrong}");
    }
    assert_eq!(sent(&LOW.replace("04", "03")), invalid("password_hash is not a valid bcrypt hash"));
    assert_eq!(sent(&LOW.replace('a', "ä")), invalid("password_hash is not a valid bcrypt hash"));
    assert_eq!(sent(LOW), invalid("bcrypt cost of 4 is too low, want 5 at minimum"));
    assert_eq!(sent(HIGH), invalid("bcrypt cost of 13 exceeds maximum cost of 12"));
    for version in ["$2a$05", "$2b$12", "$2y$10"] {
        assert_eq!(sent(&LOW.replace("$2b$04", version)), (204, String::new()), "{version}");
    }
}

#[test]
fn a_password_too_long_for_bcrypt_is_refused_rather_than_cut() {
    let mut bench = bench();
    let text = invalid("bcrypt: password length exceeds 72 bytes");
    assert_eq!(refusal(&mut bench, "users/ann/password", json!({ "password": "x".repeat(73) })), text);
    bench.write("users/ann/password", json!({ "password": "x".repeat(72) })).ok();
    assert_eq!(bench.write("login/ann", json!({ "password": "x".repeat(72) })).status(), 200);
    assert_eq!(bench.write("login/ann", json!({ "password": "x".repeat(73) })).status(), 400);
}

#[test]
fn passwords_are_stored_as_hashes_only() {
    let mut bench = bench();
    bench.write("users/ann/password", json!({ "password": "correct horse" })).ok();
    let stored = String::from_utf8_lossy(bench.stored("user/ann").unwrap()).into_owned();
    assert!(!stored.contains("horse"), "{stored}");
    assert!(!bench.read("users/ann").text().contains("password"));
}
