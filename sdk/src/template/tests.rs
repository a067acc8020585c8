use proptest::prelude::*;

use super::*;
use crate::bench;

const DATA: [(&str, &str); 2] = [("DisplayName", "token-with-a-long-name"), ("RoleName", "Read_Only")];

/// On the bench, whose clock stands at 2026-01-01T00:00:00Z.
fn rendered(template: &str) -> Result<String> {
    bench::within(|cx| Template::parse(template)?.render(cx, &DATA))
}

fn text(template: &str) -> String {
    rendered(template).expect("it can be rendered")
}

fn refusal(template: &str) -> String {
    match rendered(template) {
        Err(Error::InvalidRequest(text)) => text,
        other => panic!("{template}: {other:?}"),
    }
}

#[test]
fn the_templates_of_the_documentation_are_understood() {
    for (template, expected) in [
        ("plain", "plain"),
        ("{{.RoleName}}", "Read_Only"),
        ("a-{{ .RoleName | uppercase }}-b", "a-READ_ONLY-b"),
        ("{{.RoleName | lowercase | truncate 4}}", "read"),
        ("{{ truncate 5 .DisplayName }}", "token"),
        ("{{.DisplayName | truncate_sha256 13}}", "token909f0b5f"),
        ("{{.DisplayName | truncate_sha256 99}}", "token-with-a-long-name"),
        (r#"{{ .DisplayName | replace "-" "_" }}"#, "token_with_a_long_name"),
        ("{{ .RoleName | sha256 | truncate 8 }}", "7b1060cf"),
        ("{{ .RoleName | base64 }}", "UmVhZF9Pbmx5"),
        ("{{ .RoleName | hex }}", "526561645f4f6e6c79"),
        ("{{unix_time}} {{unix_time_millis}}", "1767225600 1767225600000"),
        (r#"{{ timestamp "2006-01-02T15:04:05Z07:00" }}"#, "2026-01-01T00:00:00Z"),
        (r#"{{timestamp "Mon Jan _2 3:04PM 06 MST -0700 .000" }}"#, "Thu Jan  1 12:00AM 26 UTC +0000 .000"),
        (r#"{{ printf "%s-%s" (.RoleName | truncate 4) .DisplayName }}"#, "Read-token-with-a-long-name"),
        (r#"{{ printf "%-6s|%6s|%.2s|%05d|%v%%" "a" "b" "cde" 42 7 }}"#, "a     |     b|cd|00042|7%"),
        ("{{- /* nothing */ -}} x {{- .RoleName -}} y", "xRead_Onlyy"),
        ("{{ `a\\b` }}{{ \"c\\\"d\" }}", "a\\bc\"d"),
        (r#"{{ printf "%s" uuid | truncate 8 }}"#, &text("{{ uuid | truncate 8 }}")),
    ] {
        assert_eq!(text(template), expected, "{template}");
    }
}

#[test]
fn the_default_names_have_their_form() {
    let name = text(
        r#"{{ printf "v-%s-%s-%s-%s" (.DisplayName | truncate 8) (.RoleName | truncate 8) (random 20) (unix_time) | truncate 63 }}"#,
    );
    assert!(name.starts_with("v-token-wi-Read_Onl-") && name.ends_with("-1767225600"), "{name}");
    let random = &name["v-token-wi-Read_Onl-".len()..name.len() - "-1767225600".len()];
    assert!(random.len() == 20 && random.bytes().all(|b| b.is_ascii_alphanumeric()), "{name}");
    assert_ne!(text("{{random 20}}{{random 20}}")[..20], text("{{random 20}}{{random 20}}")[20..]);
}

#[test]
fn what_is_not_supported_is_named() {
    for (template, told) in [
        ("", "missing template"),
        ("{{foo}}", "unable to parse template: function \"foo\" not defined"),
        ("{{if .RoleName}}a{{end}}", "unable to parse template: {{if}} is not supported in templates of user names"),
        ("{{$x}}", "unable to parse template: variables are not supported in templates of user names"),
        ("{{.A.B}}", "unable to parse template: only single members, such as .RoleName, are supported"),
        ("{{.Other}}", "unable to apply template: can't evaluate field Other"),
        ("{{.RoleName", "unable to parse template: unclosed action"),
        ("{{ }}", "unable to parse template: missing value for command"),
        ("{{ \"a }}", "unable to parse template: unterminated quoted string"),
        ("{{ .RoleName | .RoleName }}", "unable to parse template: non executable command in pipeline stage 2"),
        (
            "{{ printf \"%x\" .RoleName }}",
            "unable to apply template: printf: %x is not supported in templates of user names",
        ),
        ("{{ .RoleName | truncate 0 }}", "unable to apply template: max length must be > 0 but was 0"),
        ("{{ .RoleName | truncate_sha256 8 }}", "unable to apply template: max length must be > 8 but was 8"),
        ("{{ truncate 5 }}", "unable to apply template: wrong number of args for truncate: want 2 or more, got 1"),
        ("{{ uuid 5 }}", "unable to apply template: wrong number of args for uuid: want 0, got 1"),
        ("{{ random 9999 }}", "unable to apply template: random: length must be from 0 to 512 but was 9999"),
        ("{{ ((((((((( 1 ))))))))) }}", "unable to parse template: parentheses are more than 8 deep"),
    ] {
        assert_eq!(refusal(template), told, "{template}");
    }
}

#[test]
fn nothing_grows_without_end() {
    let growing = format!("{{{{ .RoleName {} }}}}", r#"| replace "" "xxxxxxxxxxxxxxxx""#.repeat(8));
    assert!(refusal(&growing).contains("more than 16384 bytes"));
    assert!(refusal(&"{{ random 512 }}".repeat(60)).contains("more than 16384 bytes"));
    assert!(refusal("{{ printf \"%999999999999s\" \"a\" }}").contains("width"));
    assert!(refusal(&"x".repeat(4097)).contains("over 4096 bytes"));
}

#[test]
fn a_sign_is_not_cut_in_two() {
    assert_eq!(text("{{ \"äöü\" | truncate 3 }}"), "ä");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(template in "(\\PC|\\{\\{|\\}\\}|[ |()\".`$-]|printf|random|truncate|[0-9]){0,40}") {
        let _ = rendered(&template);
    }

    #[test]
    fn a_text_without_actions_is_itself(template in "[^{]{1,40}") {
        prop_assert_eq!(rendered(&template).expect("plain text"), template);
    }

    #[test]
    fn names_keep_to_their_length(length in 1i64..80) {
        let name = text(&format!("{{{{ .DisplayName | truncate {length} }}}}"));
        prop_assert!(name.len() <= usize::try_from(length).expect("positive"));
    }
}
