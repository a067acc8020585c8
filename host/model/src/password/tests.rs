use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{PasswordPolicy, PasswordPolicyError as Error};
use crate::fake::entropy::FakeEntropy;

fn parsed(text: &str) -> PasswordPolicy {
    PasswordPolicy::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refusal(text: &str) -> String {
    PasswordPolicy::parse(text).expect_err(text).to_string()
}

fn count(password: &str, charset: &str) -> usize {
    password.chars().filter(|c| charset.contains(*c)).count()
}

#[test]
fn hcl_and_json_say_the_same() {
    let hcl = "length = 20\nrule \"charset\" { charset = \"abcde\" min-chars = 1 }\nrule \"charset\" {\n charset = \"XYZ\"\n}";
    for json in [
        r#"{"length":20,"rule":[{"charset":{"charset":"abcde","min-chars":1}},{"charset":{"charset":"XYZ"}}]}"#,
        r#"{"length":20,"rule":{"charset":[{"charset":"abcde","min-chars":1},{"charset":"XYZ"}]}}"#,
    ] {
        assert_eq!(parsed(hcl), parsed(json), "{json}");
    }
}

#[test]
fn what_no_password_could_fulfil_is_refused_in_the_words_clients_know() {
    let rule = "rule \"charset\" { charset = \"abc\" }";
    let listed = |fault: &str| format!("invalid password policy: 1 error occurred:\n\t* {fault}\n\n");
    for (text, expected) in [
        (format!("length = 3\n{rule}"), "passwords must be between 4 and 100 characters".to_owned()),
        (format!("length = 101\n{rule}"), "passwords must be between 4 and 100 characters".to_owned()),
        (rule.to_owned(), listed("length must be > 0")),
        (format!("length = -5\n{rule}"), listed("length must be > 0")),
        ("length = 20".to_owned(), listed("no charset specified")),
        ("length = 20\nrule \"charset\" { charset = \"\" }".to_owned(), listed("no charset specified")),
        (
            "length = 20\nrule \"charset\" { charset = \"a\" min-chars = 11 }\nrule \"charset\" { charset = \"b\" \
             min-chars = 10 }"
                .to_owned(),
            listed("specified rules require at least 21 characters but 20 is specified"),
        ),
        (
            "length = 20\nrule \"charset\" { charset = \"ab\\n\" }".to_owned(),
            listed("non-printable character in charset"),
        ),
        (
            "{}".to_owned(),
            "invalid password policy: 2 errors occurred:\n\t* length must be > 0\n\t* no charset specified\n\n"
                .to_owned(),
        ),
        (
            "length = 20\nrule \"zork\" { charset = \"abc\" }".to_owned(),
            "invalid password policy: unable to parse rules: unable to parse rule zork: unrecognized rule type zork"
                .to_owned(),
        ),
        (
            format!("length = \"20\"\n{rule}"),
            "invalid password policy: failed to decode configuration: decoding failed due to the following \
             error(s):\n\n'length' expected type 'int', got unconvertible type 'string'"
                .to_owned(),
        ),
    ] {
        assert_eq!(refusal(&text), expected, "{text}");
    }
    assert!(matches!(PasswordPolicy::parse("length = "), Err(Error::Syntax(_))));
}

#[test]
fn a_minimum_without_characters_is_refused() {
    let text = "length = 9\nrule \"charset\" { charset = \"\" min-chars = 1 }\nrule \"charset\" { charset = \"abc\" }";
    assert!(refusal(text).contains("a rule has a minimum but no charset"));
}

#[test]
fn characters_are_letters_signs_and_the_space_but_nothing_that_does_not_show() {
    for shown in ["é漢 ", "\\\"'", "🦀"] {
        parsed(&serde_json::json!({"length": 8, "rule": {"charset": {"charset": shown}}}).to_string());
    }
    for hidden in ["\t", "\u{a0}", "\u{200b}", "\u{7f}", "\u{feff}", "\u{e000}"] {
        let text = serde_json::json!({"length": 8, "rule": {"charset": {"charset": format!("a{hidden}")}}}).to_string();
        assert!(refusal(&text).contains("non-printable"), "{hidden:?}");
    }
}

#[test]
fn the_default_has_twenty_characters_with_one_of_each_kind() {
    let (policy, entropy) = (PasswordPolicy::default(), FakeEntropy::seeded(1));
    for _ in 0..500 {
        let password = policy.generate(&entropy);
        let password = password.expose();
        assert_eq!(password.chars().count(), 20, "{password}");
        for charset in ["abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789", "-"] {
            assert!(count(password, charset) >= 1, "{password} has none of {charset}");
        }
    }
}

#[test]
fn a_policy_that_chance_alone_would_never_meet_is_met_all_the_same() {
    let text = "length = 20\nrule \"charset\" { charset = \"#\" min-chars = 19 }\nrule \"charset\" { charset = \
                \"abcdefghijklmnopqrstuvwxyz\" min-chars = 1 }";
    let (policy, entropy) = (parsed(text), FakeEntropy::seeded(2));
    let places: Vec<usize> = (0..400)
        .map(|_| {
            let password = policy.generate(&entropy);
            password.expose().chars().position(|c| c != '#').expect("one letter is demanded")
        })
        .collect();
    for place in 0..20 {
        let seen = places.iter().filter(|p| **p == place).count();
        assert!((5..=45).contains(&seen), "the letter stood {seen} of 400 times at place {place}");
    }
}

#[test]
fn every_character_is_as_likely_as_every_other_even_if_it_is_written_twice() {
    // 100 characters: 256 is no multiple, so a generator without rejection prefers some.
    let charset: String = (0x100..0x164_u32).filter_map(char::from_u32).collect();
    let text = serde_json::json!({"length": 100, "rule": [
        {"charset": {"charset": charset}}, {"charset": {"charset": charset.chars().take(3).collect::<String>()}},
    ]});
    let (policy, entropy) = (parsed(&text.to_string()), FakeEntropy::seeded(3));
    let mut seen = BTreeMap::new();
    for _ in 0..2_000 {
        policy.generate(&entropy).expose().chars().for_each(|c| *seen.entry(c).or_insert(0_u32) += 1);
    }
    assert_eq!(seen.len(), 100);
    // 200,000 draws, 2,000 expected of each; five standard deviations are 223.
    for (c, times) in seen {
        assert!((1_777..=2_223).contains(&times), "{c} was drawn {times} times");
    }
}

#[test]
fn two_passwords_are_not_alike() {
    let (policy, entropy) = (PasswordPolicy::default(), FakeEntropy::seeded(4));
    assert!(policy.generate(&entropy).expose() != policy.generate(&entropy).expose());
}

proptest! {
    #[test]
    fn every_password_fulfils_its_policy(
        seed: u64,
        length in 4_usize..=100,
        rules in proptest::collection::vec(("[!-~]{1,40}", 0_usize..30), 1..5),
    ) {
        let json = serde_json::json!({
            "length": length,
            "rule": rules.iter().map(|(charset, min)| {
                serde_json::json!({"charset": {"charset": charset, "min-chars": min}})
            }).collect::<Vec<_>>(),
        });
        let demanded: usize = rules.iter().map(|(_, min)| min).sum();
        match PasswordPolicy::parse(&json.to_string()) {
            Err(error) => prop_assert!(demanded > length, "{error}"),
            Ok(policy) => {
                prop_assert!(demanded <= length);
                let password = policy.generate(&FakeEntropy::seeded(seed));
                let password = password.expose();
                prop_assert_eq!(password.chars().count(), length);
                for (charset, min) in &rules {
                    prop_assert!(count(password, charset) >= *min);
                }
                prop_assert!(password.chars().all(|c| rules.iter().any(|(charset, _)| charset.contains(c))));
            }
        }
    }

    #[test]
    fn no_text_brings_the_parser_down(text in "(length|rule|charset|min-chars|[ ={}\"\\[\\],0-9a-z\n.-]){0,60}") {
        let _ = PasswordPolicy::parse(&text);
    }
}
