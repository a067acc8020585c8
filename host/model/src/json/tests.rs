use proptest::prelude::*;

use super::*;

/// As the API's, but for values.
const BOUNDS: Bounds = Bounds { depth_max: 100, strings_max: 1000, values_max: 1100 };

fn verdict(text: &str) -> String {
    check_object(text.as_bytes(), BOUNDS).map_or_else(|e| e.to_string(), |()| "fine".to_owned())
}

#[test]
fn faults_are_told_in_gos_words() {
    for (text, message) in [
        ("{}", "fine"),
        (" {\"a\": [1, -0.5e+3, true, null, {\"b\": \"\\u00e9\\ud83d\\ude00\\n\"}]}\n", "fine"),
        ("", "unexpected EOF"),
        ("{", "unexpected EOF"),
        (r#"{"a":"#, "unexpected EOF"),
        (r#"{"a":"x"#, "unexpected EOF"),
        ("{bad", "invalid character 'b' looking for beginning of value"),
        ("{1:2}", "object member name must be a string"),
        ("{,}", "invalid character ',' looking for beginning of value"),
        (r#"{"a" 1}"#, "invalid character '1' after object key"),
        (r#"{"a":1,}"#, "invalid character ',' looking for beginning of value"),
        (r#"{"a":[1,]}"#, "invalid character ',' looking for beginning of value"),
        (r#"{"a":[1 2]}"#, "invalid character '2' after array element"),
        (r#"{"a":01}"#, "invalid character '1' after object key:value pair"),
        (r#"{"a":1.}"#, "invalid character '}' in numeric literal"),
        (r#"{"a":-}"#, "invalid character '}' in numeric literal"),
        (r#"{"a":NaN}"#, "invalid character 'N' looking for beginning of value"),
        (r#"{"a":Infinity}"#, "invalid character 'I' looking for beginning of value"),
        (r#"{"a":tru}"#, "invalid character '}' in literal true (expecting 'e')"),
        (r#"{"a":}"#, "missing value after object key"),
        (r#"{"a":1} trailing"#, "invalid character 'a' in literal true (expecting 'u')"),
        (r#"{"a":"\q"}"#, r"invalid escape sequence `\q` in string"),
        (r#"{"a":"\u00g0"}"#, r"invalid escape sequence `\u` in string"),
        ("{\"a\":\"\u{1}\"}", r"invalid character '\x01' in string"),
        (r#"{"a":"\ud800"}"#, "invalid surrogate pair in string"),
        (r#"{"a":"\udc00"}"#, "invalid surrogate pair in string"),
        (r#"{"a":"\ud800\u0041"}"#, "invalid surrogate pair in string"),
        (r#"{"a":1e999}"#, "json: cannot unmarshal number into Go value of type float64"),
        ("[1]", "json: cannot unmarshal array into Go value of type map[string]interface {}"),
        ("\"x\"", "json: cannot unmarshal string into Go value of type map[string]interface {}"),
        ("5", "json: cannot unmarshal number into Go value of type map[string]interface {}"),
        ("true", "json: cannot unmarshal bool into Go value of type map[string]interface {}"),
        ("{} {}", "invalid character '{' after top-level value"),
        ("{}}", "invalid character '}' looking for beginning of value"),
        ("é", "invalid character 'é' looking for beginning of value"),
    ] {
        assert_eq!(verdict(text), message, "for {text:?}");
    }
}

#[test]
fn bytes_that_are_not_utf8_are_refused() {
    assert_eq!(check_object(b"{\"a\":\"\xff\"}", BOUNDS), Err(JsonError::NotUtf8));
}

#[test]
fn a_name_may_stand_once_in_an_object_in_whatever_spelling() {
    assert_eq!(verdict(r#"{"a":1,"a":2}"#), "duplicate object member name");
    assert_eq!(verdict(r#"{"a":1,"\u0061":2}"#), "duplicate object member name");
    assert_eq!(verdict(r#"{"😀":1,"b":{"c":1},"\ud83d\ude00":2}"#), "duplicate object member name");
    assert_eq!(verdict(r#"{"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}]}"#), "fine");
}

#[test]
fn no_name_is_an_instruction_to_the_parser() {
    for name in [
        "$serde_json::private::RawValue",
        "$serde_json::private::Number",
        r"\u0024serde_json::private::Number",
        r"$serde_json::\u0070rivate::anything",
    ] {
        assert_eq!(verdict(&format!(r#"{{"{name}":"[0,0]"}}"#)), "object member name is reserved", "{name}");
        assert_eq!(
            verdict(&format!(r#"{{"a":[{{"b":1,"{name}":"7"}}]}}"#)),
            "object member name is reserved",
            "{name}"
        );
    }
    for name in
        ["$serde_json", "$serde_json::private:", "x$serde_json::private::Number", "$Serde_json::private::Number"]
    {
        assert_eq!(verdict(&format!(r#"{{"{name}":"7"}}"#)), "fine", "{name}");
    }
}

#[test]
fn a_name_stands_once_among_many_too() {
    let many = |count: usize, more: &str| {
        let members: Vec<_> = (0..count).map(|n| format!("\"n{n}\":{{\"n0\":1}}")).collect();
        let bounds = Bounds { depth_max: 10, strings_max: 1_000_000, values_max: 1_000_000 };
        check_object(format!("{{{}{more}}}", members.join(",")).as_bytes(), bounds)
    };
    for count in [31, 32, 33, 34, 100, 200_000] {
        assert_eq!(many(count, ""), Ok(()), "{count}");
        assert_eq!(many(count, r#","\u006e0":1"#), Err(JsonError::Duplicate), "{count}");
        assert_eq!(many(count, &format!(r#","n{}":1"#, count - 1)), Err(JsonError::Duplicate), "{count}");
        assert_eq!(many(count, r#","x":[{"n0":1},{"n0":1}],"y":1"#), Ok(()), "{count}");
    }
}

/// CVE-2025-6203: nesting without end.
// R-73: depth has a bound.
#[test]
fn depth_counts_objects_and_arrays() {
    let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
    assert_eq!(check_object(nested(100).as_bytes(), BOUNDS), Ok(()));
    assert_eq!(check_object(nested(101).as_bytes(), BOUNDS), Err(JsonError::Depth));
    assert_eq!(check_object(nested(1_000_000).as_bytes(), BOUNDS), Err(JsonError::Depth));
}

/// CVE-2025-59043: a body became many times its size in memory.
#[test]
fn strings_are_counted_with_names() {
    let body = |values: usize| format!("{{\"a\":[{}]}}", vec!["\"x\""; values].join(","));
    assert_eq!(check_object(body(999).as_bytes(), BOUNDS), Ok(()));
    assert_eq!(check_object(body(1000).as_bytes(), BOUNDS), Err(JsonError::Strings));
    assert!(JsonError::Strings.is_complexity());
}

/// A body of numbers became many times its size in memory.
#[test]
fn values_of_every_kind_are_counted() {
    for (value, held) in [("1", 1), ("true", 1), ("null", 1), ("{}", 1), ("[]", 1), ("[0,[]]", 3), (r#"{"":-1e1}"#, 2)]
    {
        let bounded = |values_max: usize| {
            let body = format!("{{\"a\":[{}]}}", vec![value; 20].join(","));
            check_object(body.as_bytes(), Bounds { values_max, ..BOUNDS })
        };
        assert_eq!(bounded(1 + 20 * held), Ok(()), "{value}");
        assert_eq!(bounded(20 * held), Err(JsonError::Values), "{value}");
    }
    assert_eq!(check_object(b"{}", Bounds { values_max: 0, ..BOUNDS }), Ok(()));
    assert!(JsonError::Values.is_complexity());
}

proptest! {
    #[test]
    fn what_the_scanner_lets_through_parses(text in "[{}\\[\\]\",:a-cu\\\\0-9.eE+\\- tfnrlsé]{0,24}") {
        let object = format!("{{{text}}}");
        for candidate in [&text, &object] {
            if check_object(candidate.as_bytes(), BOUNDS).is_ok() {
                prop_assert!(serde_json::from_str::<serde_json::Value>(candidate).is_ok(), "{candidate:?}");
            }
        }
    }

    #[test]
    fn what_a_serializer_writes_is_let_through(members in proptest::collection::btree_map("\\PC{0,8}", "\\PC{0,8}", 0..20)) {
        let text = serde_json::to_string(&members).expect("is JSON");
        prop_assert_eq!(check_object(text.as_bytes(), BOUNDS), Ok(()));
    }
}
