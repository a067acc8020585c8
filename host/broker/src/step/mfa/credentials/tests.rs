use bulkhead_model::hidden::Hidden;
use serde_json::{Value, json};

use super::{Credentials, NAMED_MAX, TEXTS_MAX, passcode};

fn headers(values: &[&str]) -> Option<Credentials> {
    let mut headers = vec![("x-other".to_owned(), "a:b:c".to_owned())];
    headers.extend(values.iter().map(|value| ("x-vault-mfa".to_owned(), (*value).to_owned())));
    Credentials::of_headers(&headers).ok()
}

fn payload(value: &Value) -> Option<Credentials> {
    Credentials::of_payload(value.as_object()).ok()
}

fn texts(found: &Credentials, id: &str, name: &str) -> Option<Vec<String>> {
    found.of(id, name).map(|texts| texts.iter().map(|text| text.expose().clone()).collect())
}

#[test]
fn headers_name_a_method_and_perhaps_a_passcode() {
    let found = headers(&["a:1", " b:passcode=2:3 ", "", "a:4", "c"]).expect("they are well formed");
    assert_eq!(texts(&found, "a", ""), Some(vec!["1".to_owned(), "4".to_owned()]));
    assert_eq!(texts(&found, "b", ""), Some(vec!["passcode=2:3".to_owned()]));
    assert_eq!(texts(&found, "c", ""), Some(Vec::new()));
    assert_eq!(texts(&found, "d", ""), None);
    assert!(headers(&[" ", ""]).expect("nothing is said").is_empty());
    assert!(headers(&["a:"]).is_none() && headers(&[":1"]).is_none());
}

#[test]
fn a_method_is_found_by_its_id_before_its_name_and_without_a_name_by_none() {
    let found = payload(&json!({ "id": ["1"], "name": ["2"], "": ["3"] })).expect("it is well formed");
    assert_eq!(texts(&found, "id", "name"), Some(vec!["1".to_owned()]));
    assert_eq!(texts(&found, "other", "name"), Some(vec!["2".to_owned()]));
    assert_eq!(texts(&found, "other", ""), None);
}

#[test]
fn a_payload_is_lists_of_texts_within_bounds() {
    assert!(payload(&json!({ "a": null, "b": [] })).is_some());
    for bad in
        [json!({ "a": "1" }), json!({ "a": 1 }), json!({ "a": [1] }), json!({ "a": [["1"]] }), json!({ "a": {} })]
    {
        assert!(payload(&bad).is_none(), "{bad}");
    }
    let many = |count: usize| Value::Object((0..count).map(|n| (n.to_string(), json!(["1"]))).collect());
    assert!(payload(&many(NAMED_MAX)).is_some() && payload(&many(NAMED_MAX + 1)).is_none());
    let long = |count: usize| json!({ "a": vec!["1"; count] });
    assert!(payload(&long(TEXTS_MAX)).is_some() && payload(&long(TEXTS_MAX + 1)).is_none());
    assert!(headers(&vec!["a:1"; TEXTS_MAX + 1]).is_none());
}

#[test]
fn one_text_is_the_passcode_and_no_error_quotes_it() {
    let of = |texts: &[&str]| {
        let texts: Vec<_> = texts.iter().map(|text| Hidden::new((*text).to_owned())).collect();
        passcode(&texts).map(|code| code.map(str::to_owned))
    };
    assert_eq!(of(&[]), Ok(None));
    assert_eq!(of(&["", "123"]), Ok(Some("123".to_owned())));
    assert_eq!(of(&["passcode=123"]), Ok(Some("123".to_owned())));
    assert_eq!(of(&["passcode=1=2"]), Ok(Some("1=2".to_owned())));
    for bad in [&["1", "2"][..], &["1", "passcode=1"], &["passcode="], &["code=secret"]] {
        assert!(!of(bad).expect_err("not a passcode").contains("secret"), "{bad:?}");
    }
}
