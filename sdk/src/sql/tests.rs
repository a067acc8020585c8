use proptest::prelude::*;

use super::*;

const PG: Dialect = Dialect::Postgres;
const MY: Dialect = Dialect::MySql;

fn filled(statement: &str, value: &str, dialect: Dialect) -> String {
    fill(statement, &[("name", value)], dialect).expect("the value fits")
}

#[test]
fn a_semicolon_divides_only_outside_of_quotes_bodies_and_comments() {
    for (text, parts) in [
        ("a; b ;; c;", vec!["a", "b", "c"]),
        ("select ';'; select \";\"", vec!["select ';'", "select \";\""]),
        ("select 'it''s;'; x", vec!["select 'it''s;'", "x"]),
        (r"select E'a\';b'; x", vec![r"select E'a\';b'", "x"]),
        (r"select 'a\'; x", vec![r"select 'a\'", "x"]),
        ("do $$ a; b $$; c", vec!["do $$ a; b $$", "c"]),
        ("do $x$ a; $$ ; $$ b $x$; c", vec!["do $x$ a; $$ ; $$ b $x$", "c"]),
        ("do $x$ it's; $x$; c", vec!["do $x$ it's; $x$", "c"]),
        ("select $1; x", vec!["select $1", "x"]),
        ("select a$b$; x$b$", vec!["select a$b$", "x$b$"]),
        ("a -- b; c\n; d", vec!["a -- b; c", "d"]),
        ("a /* ; /* ; */ ; */; d", vec!["a /* ; /* ; */ ; */", "d"]),
        ("  \n ", vec![]),
    ] {
        assert_eq!(statements(text, PG), parts, "{text}");
    }
    for (text, parts) in [
        (r"select 'a\';b'; x", vec![r"select 'a\';b'", "x"]),
        (r#"select "a\";b"; x"#, vec![r#"select "a\";b""#, "x"]),
        ("select `a;b`; x", vec!["select `a;b`", "x"]),
        ("a # b; c\n; d", vec!["a # b; c", "d"]),
        ("a --b; d", vec!["a --b", "d"]),
        ("a -- b; d", vec!["a -- b; d"]),
        ("select $$; x$$", vec!["select $$", "x$$"]),
        ("/*! a */ ; b", vec!["/*! a */", "b"]),
    ] {
        assert_eq!(statements(text, MY), parts, "{text}");
    }
}

#[test]
fn statements_come_as_json_and_base64_too() {
    assert_eq!(statements(r#"["a; b", " c "]"#, PG), ["a; b", "c"]);
    assert_eq!(statements("c2VsZWN0IDE7IHNlbGVjdCAy", PG), ["select 1", "select 2"]);
    assert_eq!(statements("WyJhOyBiIl0=", PG), ["a; b"]);
}

#[test]
fn a_body_that_is_not_quoted_is_not_divided() {
    let body = "CREATE PROCEDURE p() BEGIN ATOMIC select 1; select 2; END; GRANT x";
    assert_eq!(statements(body, PG), [body]);
    assert_eq!(statements("select 'END'; x; APPEND", PG).len(), 3);
}

#[test]
fn a_value_stays_what_it_is_in_its_quotes() {
    for (statement, value, dialect, expected) in [
        ("x '{{name}}'", "it's", PG, "x 'it''s'"),
        ("x \"{{name}}\"", "a\"b'c", PG, "x \"a\"\"b'c\""),
        ("x '{{name}}'", r"a\", PG, r"x 'a\'"),
        ("x E'{{name}}'", r"a\'", PG, r"x E'a\\'''"),
        ("x {{name}}", "plain_1", PG, "x plain_1"),
        ("x '{{name}}'", r"a\'", MY, r"x 'a\\'''"),
        ("x `{{name}}`", r"a`\", MY, r"x `a``\`"),
        ("x $$ '{{name}}' $$", "it's", PG, "x $$ 'it''s' $$"),
        ("x -- {{name}}\n'{{name}}'", "a", PG, "x -- {{name}}\n'a'"),
        ("x '{{other}} {{ name }}' {{name}}", "a", PG, "x '{{other}} {{ name }}' a"),
        ("x '{{name}}'", "{{name}}", PG, "x '{{name}}'"),
    ] {
        assert_eq!(filled(statement, value, dialect), expected, "{statement}");
    }
}

#[test]
fn a_value_that_cannot_stand_somewhere_is_refused_without_being_told() {
    for (statement, value) in [
        ("x {{name}}", "a b"),
        ("x {{name}}", "a;drop"),
        ("x {{name}}", "a--b"),
        ("x {{name}}", ""),
        ("x $$ '{{name}}' $$", "a$$b"),
        ("x $t$ '{{name}}' $t$", "a$t$b"),
        ("x '{{name}}'", "a\0b"),
    ] {
        let Err(Error::InvalidRequest(text)) = fill(statement, &[("name", value)], PG) else {
            panic!("{statement} took {value:?}")
        };
        assert!(text.contains("{{name}}") && (value.is_empty() || !text.contains(value)), "{text}");
    }
}

// R-60: a name stays within its quotes.
#[test]
fn names_and_texts_are_quoted() {
    assert_eq!((identifier("a\"b", PG), identifier("a`b", MY)), ("\"a\"\"b\"".into(), "`a``b`".into()));
    assert_eq!((literal(r"a'\", PG), literal(r"a'\", MY)), (r"'a''\'".into(), r"'a''\\'".into()));
}

#[test]
fn all_statements_of_a_call_are_filled() {
    let values = Values::new("u").password(Some("p")).expiration(Some(timestamp(1_767_323_045_678)));
    let written = ["a '{{name}}'; b '{{password}}'".to_owned(), "c '{{expiration}}' {{username}}".to_owned()];
    assert_eq!(values.fill(&written, PG).unwrap(), ["a 'u'", "b 'p'", "c '2026-01-02 03:04:05+0000' u"]);
    assert!(is_blank(&[" ".to_owned(), String::new()]) && is_blank(&[]) && !is_blank(&written));
}

proptest! {
    #[test]
    fn no_value_leaves_its_quotes(value in "[^\\x00]{0,24}", before in "[a-z ;]{0,6}") {
        for (dialect, open, close) in [
            (PG, "'", "'"), (PG, "E'", "'"), (PG, "\"", "\""), (MY, "'", "'"), (MY, "\"", "\""), (MY, "`", "`"),
        ] {
            let text = filled(&format!("{before}{open}{{{{name}}}}{close}; tail"), &value, dialect);
            // Whatever the value is, the statement has the same parts as with a harmless one.
            let harmless = filled(&format!("{before}{open}{{{{name}}}}{close}; tail"), "x", dialect);
            prop_assert_eq!(divided(&text, dialect).len(), divided(&harmless, dialect).len());
            prop_assert!(text.ends_with("; tail"));
            prop_assert_eq!(divided(&text, dialect).last().copied(), Some("tail"));
        }
    }

    #[test]
    fn any_text_can_be_walked_over(text in "(\\PC|[';\"`$\\\\\n/*{}#-]){0,64}", value in "\\PC{0,8}") {
        for dialect in [PG, MY] {
            for part in divided(&text, dialect) {
                prop_assert!(text.contains(part));
            }
            if let Ok(out) = fill(&text, &[("name", &value)], dialect) {
                prop_assert!(text.contains("{{name}}") || out == text);
            }
        }
    }
}
