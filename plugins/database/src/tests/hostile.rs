//! Names and values that are meant to go elsewhere.

use super::*;

#[test]
fn no_name_leads_out_of_its_folder() {
    let mut bench = bench();
    let long = "a".repeat(1025);
    for name in ["..", ".", "-a", "a-", "a b", "a/b", "a%2Fb", "ä", "a\n", &long] {
        for (path, body) in [
            (format!("config/{name}"), details()),
            (format!("roles/{name}"), json!({ "db_name": "pg" })),
            (format!("static-roles/{name}"), json!({ "db_name": "pg", "username": "root", "rotation_period": "1h" })),
            (format!("rotate-root/{name}"), json!({})),
        ] {
            let status = bench.write(&path, body).status();
            assert_eq!(status, if name.len() > 1024 { 400 } else { 404 }, "{path}");
        }
    }
    assert_eq!(bench.keys(), ["config/pg", "role/app"]);
    assert_eq!(password(&mut bench, "root"), "rootpw");
}

#[test]
fn names_count_with_their_case() {
    let mut bench = bench();
    assert_eq!(bench.read("roles/APP").status(), 404);
    assert_eq!(refusal(&bench.read("creds/App")), (400, "unknown role: App"));
}

#[test]
fn members_of_details_cannot_pass_for_the_engines_own() {
    let mut bench = bare();
    let text = format!(
        r#"{{"plugin_name":"{DRIVER}","connection_url":"{SERVER}","username":"root","password":"rootpw","a\"b":"\u0000","deep":{{"password":"x"}}}}"#
    );
    bench.write_text("config/pg", &text).ok();
    let shown = bench.read("config/pg").data();
    assert_eq!(shown["connection_details"]["a\"b"], "\u{0}");
    bench.write("roles/app", json!({ "db_name": "pg", "creation_statements": "x" })).ok();
    bench.write("config/pg", json!({ "allowed_roles": "*" })).ok();
    bench.read("creds/app").ok();
}

#[test]
fn a_caller_with_a_strange_name_gets_a_user_like_any_other() {
    let mut bench = bench();
    bench.caller().display_name = "a\"; DROP TABLE users; --".to_owned();
    let answer = bench.read("creds/app");
    let internal: Value = serde_json::from_slice(&answer.lease().internal).unwrap();
    assert_eq!(internal["username"], answer.data()["username"]);
    bench.revoke(answer.lease()).unwrap();
    assert_eq!(users(&mut bench), Vec::<String>::new());
}

#[test]
fn statements_are_passed_on_letter_by_letter() {
    let mut bench = bench();
    let statement = "CREATE \"{{name}}\" '\u{1F600}\\' -- \t\r\n{{password}}";
    bench.write("roles/app", json!({ "creation_statements": [statement], "revocation_statements": [statement] })).ok();
    let answer = bench.read("creds/app");
    bench.delete("roles/app").ok();
    bench.revoke(answer.lease()).unwrap();
    assert_eq!(bench.databases().take_statements(), [statement, statement]);
}

#[test]
fn no_answer_and_no_line_of_the_log_has_the_roots_password() {
    let mut bench = with_static_role();
    bench.databases().server(SERVER).is_down = true;
    let mut texts = Vec::new();
    for (path, body) in [("config/pg", json!({})), ("rotate-root/pg", json!({})), ("rotate-role/batch", json!({}))] {
        texts.push(bench.write(path, body).error().to_owned());
    }
    texts.push(bench.read("creds/app").error().to_owned());
    texts.extend(bench.log().iter().map(|line| format!("{line:?}")));
    assert!(texts.iter().all(|text| !text.is_empty() && !text.contains("rootpw")), "{texts:?}");
}
