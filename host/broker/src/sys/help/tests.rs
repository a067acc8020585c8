use bulkhead_model::request::Verb;
use serde_json::{Value, json};

use super::put_operation;

fn item(verbs: &[Verb]) -> Value {
    let mut item = json!({});
    for verb in verbs {
        let method = if *verb == Verb::Delete { "delete" } else { "get" };
        put_operation(&mut item, method, *verb, json!({ "summary": format!("{verb:?}"), "responses": { "200": {} } }));
    }
    item
}

#[test]
fn a_list_beside_a_read_is_one_of_its_parameters_whichever_is_declared_first() {
    let list = json!({
        "name": "list", "in": "query", "description": "Return a list if `true`", "schema": { "type": "string" },
    });
    for verbs in [[Verb::Read, Verb::List], [Verb::List, Verb::Read]] {
        let get = &item(&verbs)["get"];
        assert_eq!((&get["summary"], &get["parameters"]), (&json!("Read"), &json!([list])));
    }
    let both = item(&[Verb::List, Verb::Scan, Verb::Read]);
    assert_eq!(both["get"]["parameters"][1]["description"], "Return a recursive list if `true`");
}

#[test]
fn a_list_alone_has_to_be_asked_for() {
    let parameter = &item(&[Verb::List])["get"]["parameters"][0];
    assert_eq!((&parameter["required"], &parameter["schema"]["enum"]), (&json!(true), &json!(["true"])));
}

#[test]
fn who_deletes_is_answered_with_nothing() {
    assert_eq!(item(&[Verb::Delete])["delete"]["responses"], json!({ "204": { "description": "empty body" } }));
}
