use serde_json::{Value, json};

use super::{ClaimsError, expand};
use crate::template::{Subject, SubjectAlias, SubjectGroup};

fn pairs(name: &str, value: &str) -> Vec<(String, String)> {
    vec![(name.to_owned(), value.to_owned())]
}

fn ann() -> Subject {
    Subject {
        id: "e1".into(),
        name: r#"An"n"#.into(),
        metadata: pairs("a.b", r#"", "sub": "x"#),
        aliases: vec![SubjectAlias {
            id: "a1".into(),
            mount_accessor: "auth_1".into(),
            name: "ann".into(),
            metadata: pairs("city", "Oslo"),
            custom_metadata: pairs("tier", "1"),
        }],
        groups: vec![SubjectGroup { id: "g1".into(), name: "ops".into(), metadata: Vec::new() }],
    }
}

fn claim(directive: &str, subject: &Subject) -> Result<Value, ClaimsError> {
    let text = expand(&format!("{{\"c\": {{{{ {directive} }}}} }}"), subject, 100)?;
    let claims: Value = serde_json::from_str(&text).expect("it is JSON whatever the values");
    assert_eq!(claims.as_object().map(|claims| claims.len()), Some(1), "no value brings a claim of its own");
    Ok(claims["c"].clone())
}

#[test]
fn a_directive_stands_for_a_json_value() {
    for (directive, of_ann, of_nobody) in [
        ("identity.entity.id", json!("e1"), json!("")),
        ("identity.entity.name", json!(r#"An"n"#), json!("")),
        ("identity.entity.metadata", json!({ "a.b": r#"", "sub": "x"# }), json!({})),
        ("identity.entity.metadata.a.b", json!(r#"", "sub": "x"#), json!("")),
        ("identity.entity.groups.ids", json!(["g1"]), json!(null)),
        ("identity.entity.groups.names", json!(["ops"]), json!(null)),
        ("identity.entity.aliases.auth_1.id", json!("a1"), json!("")),
        ("identity.entity.aliases.auth_1.name", json!("ann"), json!("")),
        ("identity.entity.aliases.auth_1.metadata", json!({ "city": "Oslo" }), json!({})),
        ("identity.entity.aliases.auth_1.metadata.city", json!("Oslo"), json!("")),
        ("identity.entity.aliases.auth_1.custom_metadata.tier", json!("1"), json!("")),
        ("identity.entity.aliases.auth_2.name", json!(""), json!("")),
        ("time.now", json!(100), json!(100)),
        ("time.now.plus.1m", json!(160), json!(160)),
        ("time.now.minus.30", json!(70), json!(70)),
    ] {
        assert_eq!(claim(directive, &ann()), Ok(of_ann), "{directive}");
        assert_eq!(claim(directive, &Subject::default()), Ok(of_nobody), "{directive}");
    }
}

#[test]
fn what_no_subject_could_have_is_refused_whoever_asks() {
    let refused = [
        ("identity.entity", ClaimsError::Unresolved),
        ("identity.entity.age", ClaimsError::Unresolved),
        ("identity.entity.aliases.auth_1", ClaimsError::Alias),
        ("identity.entity.aliases.auth_1.age", ClaimsError::Unresolved),
        ("identity.groups.names.ops.id", ClaimsError::Groups),
        ("time.then", ClaimsError::Time("then".into())),
        ("time.now.plus", ClaimsError::NoOperand),
        ("time.now.times.2", ClaimsError::Operator("times".into())),
    ];
    for (directive, why) in refused {
        for subject in [ann(), Subject::default()] {
            assert_eq!(claim(directive, &subject), Err(why.clone()), "{directive}");
        }
    }
    assert!(matches!(claim("time.now.plus.soon", &ann()), Err(ClaimsError::Duration(_))));
    assert_eq!(expand("{{", &ann(), 0), Err(ClaimsError::Unbalanced));
    assert_eq!(expand("{}}", &ann(), 0), Err(ClaimsError::Unbalanced));
}

#[test]
fn a_template_comes_to_so_much_and_no_more() {
    let subject = Subject { name: "n".repeat(64 * 1024), ..Subject::default() };
    let times = |count: usize| format!("[{}1]", "{{identity.entity.name}},".repeat(count));
    assert!(expand(&times(3), &subject, 100).is_ok());
    assert_eq!(expand(&times(4), &subject, 100), Err(ClaimsError::TooLong));
}
