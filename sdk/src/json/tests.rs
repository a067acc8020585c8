use super::*;

fn walk(text: &str) -> Vec<(String, String)> {
    members(text.as_bytes()).unwrap().map(|m| m.unwrap()).map(|(n, v)| (n.into_owned(), v.to_owned())).collect()
}

#[test]
fn members_keep_their_values_letter_by_letter() {
    let found = walk(r#" { "a" : 1.10 , "b":{"x":[1, "}"]},"c":"\"","d":null,"é\n":true } "#);
    let wanted = [("a", "1.10"), ("b", r#"{"x":[1, "}"]}"#), ("c", r#""\"""#), ("d", "null"), ("é\n", "true")];
    assert_eq!(found, wanted.map(|(n, v)| (n.to_owned(), v.to_owned())));
}

#[test]
fn an_empty_text_and_an_empty_object_have_no_members() {
    assert!(walk("").is_empty());
    assert!(walk("{ }").is_empty());
}

#[test]
fn what_is_not_an_object_is_refused() {
    assert!(members(b"[1]").is_err());
    assert!(members(b"{\"a\"}").unwrap().next().unwrap().is_err());
    assert!(members(b"{\"a\":\"x").unwrap().next().unwrap().is_err());
    assert!(members(b"{\"a\":[1").unwrap().next().unwrap().is_err());
}

/// All texts of up to so many of these pieces.
fn texts(pieces: &[&str], most: u32) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut from = 0;
    for _ in 0..most {
        let until = all.len();
        for at in from..until {
            all.extend(pieces.iter().map(|piece| [all[at].as_str(), piece].concat()).collect::<Vec<_>>());
        }
        from = until;
    }
    all
}

#[test]
fn a_text_is_an_object_as_far_as_serde_takes_it_for_one() {
    let (mut taken, mut refused) = (0, 0);
    // What is within a value is not looked into, so there is one brace.
    for text in
        texts(&["{", "}", ",", ":", "\"a\"", "\"b\"", "1", " "], 6).iter().filter(|text| !text.trim().is_empty())
    {
        if text.matches('{').count() > 1 {
            continue;
        }
        let walked = members(text.as_bytes()).and_then(|members| members.collect::<Result<Vec<_>>>());
        let known: Option<serde_json::Map<String, serde_json::Value>> = serde_json::from_str(text).ok();
        assert_eq!(walked.is_ok(), known.is_some(), "{text}");
        *(if known.is_some() { &mut taken } else { &mut refused }) += 1;
    }
    assert!(taken > 20 && refused > 1_000, "{taken} {refused}");
}

#[test]
fn a_text_is_a_list_of_texts_as_far_as_serde_takes_it_for_one() {
    let (mut taken, mut refused) = (0, 0);
    for text in texts(&["[", "]", ",", "\"a\"", "\"\\n\"", "x", "\n"], 6) {
        let unquoted = |item: Result<&str>| item.ok().and_then(unquote).map(Cow::into_owned);
        let walked = items(&text).and_then(|items| items.map(unquoted).collect::<Option<Vec<String>>>());
        assert_eq!(walked, serde_json::from_str(&text).ok(), "{text}");
        *(if walked.is_some() { &mut taken } else { &mut refused }) += 1;
    }
    assert!(taken > 20 && refused > 1_000, "{taken} {refused}");
    assert!(items("[\"a\nb\"]").is_some_and(|mut items| items.all(|item| item.is_err())), "a line's end within a text");
}

#[test]
fn a_written_object_is_valid_json() {
    let text = Object::new()
        .text("a\"", "x\ny")
        .number("n", 0)
        .number("m", u64::MAX)
        .boolean("t", true)
        .json("j", "[1]")
        .end();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["a\""], "x\ny");
    assert_eq!(value["m"], u64::MAX);
    assert_eq!(value["j"][0], 1);
    assert_eq!(Object::new().end(), "{}");
}

#[test]
fn a_list_of_strings_is_escaped() {
    assert_eq!(strings(["a", "b\"c"]), r#"["a","b\"c"]"#);
    assert_eq!(strings([]), "[]");
}

#[test]
fn items_keep_their_text_letter_by_letter() {
    let walk = |text| items(text).map(|items| items.map(|item| item.unwrap().to_owned()).collect::<Vec<_>>());
    assert_eq!(walk(r#" [ 1.10 , "a,]", {"b":[2]} , null ] "#).unwrap(), ["1.10", r#""a,]""#, r#"{"b":[2]}"#, "null"]);
    assert_eq!(walk("[]").unwrap(), [""; 0]);
    assert_eq!(walk("{}"), None);
    assert!(items("[\"x").unwrap().next().unwrap().is_err());
}

/// What `serde_json` reads and writes, letter by letter.
#[test]
fn strings_are_read_and_written_as_serde_does() {
    let plain: String = (0..0x180).filter_map(char::from_u32).chain(['\u{2028}', '\u{fffd}', '\u{1f511}']).collect();
    assert_eq!(quote(&plain), serde_json::to_string(&plain).unwrap());
    assert_eq!(unquote(&quote(&plain)).unwrap(), plain);
    let escaped = r#""\"\\\/\b\f\n\r\t\u0000\u00e9\u20AC\ud83d\udd11x""#;
    assert_eq!(unquote(escaped).unwrap(), serde_json::from_str::<String>(escaped).unwrap());
    for broken in [
        r#""\x""#,
        r#""\u12""#,
        r#""\u12g4""#,
        r#""\ud83d""#,
        r#""\ud83dx""#,
        r#""\ud83d\u0041""#,
        r#""\udd11""#,
        r#""\"#,
        "1",
        "\"é\\u00é0\"",
    ] {
        assert_eq!(unquote(broken), None, "{broken}");
    }
}
