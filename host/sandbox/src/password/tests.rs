//! Vectors: jBCrypt's own tests, and those of the reference implementation of Argon2.

use super::*;

const SALT: [u8; SALT_BYTES] = [7; SALT_BYTES];

fn matches(hash: &str, password: &str) -> Result<bool, PasswordError> {
    StoredHash::parse(hash)?.matches(password.as_bytes())
}

#[test]
fn hashes_of_others_are_recognised() {
    for (hash, password) in [
        ("$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.", ""),
        ("$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe", "a"),
        ("$2b$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe", "a"),
        ("$2y$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe", "a"),
        ("$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", "password"),
        ("$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc", "password"),
    ] {
        assert_eq!(matches(hash, password), Ok(true), "{hash}");
        assert_eq!(matches(hash, "another"), Ok(false), "{hash}");
    }
}

#[test]
fn a_new_hash_has_the_usual_form_and_is_recognised() {
    for (scheme, form) in [
        ("bcrypt", "$2b$10$"),
        ("bcrypt:4", "$2b$04$"),
        ("argon2id:m=64,t=1,p=2", "$argon2id$v=19$m=64,t=1,p=2$BwcHBwcHBwcHBwcHBwcHBw$"),
    ] {
        let hash = Scheme::parse(scheme).unwrap().hash(b"pass", SALT).unwrap();
        assert!(hash.starts_with(form), "{hash}");
        assert_eq!(matches(&hash, "pass"), Ok(true), "{hash}");
        assert_eq!(matches(&hash, "pass "), Ok(false), "{hash}");
    }
}

#[test]
fn argon2id_without_costs_has_the_recommended_ones() {
    assert_eq!(Scheme::parse("argon2id"), Scheme::parse("argon2id:m=65536,t=3,p=1"));
}

#[test]
fn a_scheme_out_of_bounds_is_refused_with_what_it_may_be() {
    for cost in ["3", "15", "31", "", "04", "+5", "5x", "99999999999"] {
        assert_eq!(Scheme::parse(&format!("bcrypt:{cost}")), Err(PasswordError::BcryptCost), "{cost}");
    }
    for costs in [
        "m=262145,t=3,p=1",
        "m=65536,t=11,p=1",
        "m=65536,t=3,p=5",
        "m=7,t=1,p=1",
        "m=31,t=1,p=4",
        "m=65536,t=0,p=1",
        "m=65536,t=3,p=0",
        "m=65536,t=3",
        "t=3,m=65536,p=1",
        "m=65536,t=3,p=1,data=AAAA",
        "m=065536,t=3,p=1",
        "",
    ] {
        assert_eq!(Scheme::parse(&format!("argon2id:{costs}")), Err(PasswordError::Argon2Costs), "{costs}");
    }
    let unknown = Scheme::parse("scrypt:n=1").unwrap_err();
    assert_eq!(unknown.to_string(), "password scheme \"scrypt\" is not available");
}

#[test]
fn a_stored_hash_out_of_bounds_is_refused_before_any_work() {
    let tail = "c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
    for costs in ["m=4194304,t=1,p=1", "m=65536,t=4294967295,p=1", "m=65536,t=1,p=255"] {
        let parsed = StoredHash::parse(&format!("$argon2id$v=19${costs}${tail}"));
        assert_eq!(parsed.err(), Some(PasswordError::Argon2Costs), "{costs}");
    }
    let slow = "$2a$31$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe";
    assert_eq!(StoredHash::parse(slow).err(), Some(PasswordError::BcryptCost));
}

#[test]
fn what_is_no_hash_is_refused() {
    let tail = "c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
    for text in [
        "",
        "plain",
        "$1$salt$md5",
        "$2x$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe",
        "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfx",
        "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfx\u{e9}",
        "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfx=",
        &format!("$argon2i$v=19$m=256,t=2,p=1${tail}"),
        &format!("$argon2id$v=16$m=256,t=2,p=1${tail}"),
        &format!("$argon2id$m=256,t=2,p=1${tail}"),
        &format!("$argon2id$v=19$m=256,t=2,p=1${tail}$"),
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ",
        "$argon2id$v=19$m=256,t=2,p=1$c2FsdA$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$AAAA",
    ] {
        assert_eq!(StoredHash::parse(text).err(), Some(PasswordError::NotAHash), "{text}");
    }
}

#[test]
fn bcrypt_takes_seventy_two_bytes_and_no_more() {
    let scheme = Scheme::parse("bcrypt:4").unwrap();
    let longest = "p".repeat(72);
    let hash = scheme.hash(longest.as_bytes(), SALT).unwrap();
    assert_eq!(matches(&hash, &longest), Ok(true));
    let longer = "p".repeat(73);
    assert_eq!(matches(&hash, &longer), Ok(false), "the rest must count");
    let refused = scheme.hash(longer.as_bytes(), SALT).unwrap_err();
    assert_eq!(refused.to_string(), "bcrypt: password length exceeds 72 bytes");
}
