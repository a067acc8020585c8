use super::*;

fn settings(json: &str) -> Settings {
    Settings::read(json.as_bytes()).expect("an object")
}

#[test]
fn values_are_taken_as_command_lines_write_them() {
    let config = settings(r#"{"a":"5","b":5,"c":"true","d":true,"e":"1","f":null,"g":"1m","h":90,"i":"x","j":[1]}"#);
    assert_eq!((config.number("a").unwrap(), config.number("b").unwrap(), config.number("none").unwrap()), (5, 5, 0));
    assert!(config.flag("c").unwrap() && config.flag("d").unwrap() && config.flag("e").unwrap());
    assert!(!config.flag("f").unwrap() && !config.flag("none").unwrap());
    assert_eq!((config.seconds("g").unwrap(), config.seconds("h").unwrap()), (60, 90));
    assert_eq!((config.text("b").unwrap().as_str(), config.text("f").unwrap().as_str()), ("5", ""));
    for refused in [config.number("i").err(), config.flag("i").err(), config.seconds("i").err(), config.text("j").err()]
    {
        assert!(matches!(refused, Some(Error::InvalidRequest(_))), "{refused:?}");
    }
}

#[test]
fn a_value_that_does_not_fit_is_not_repeated() {
    let config = settings(r#"{"max_open_connections":"s3cret"}"#);
    let Err(Error::InvalidRequest(text)) = config.number("max_open_connections") else { panic!("it is no number") };
    assert_eq!(text, "'max_open_connections' cannot parse value as 'int'");
    assert!(!format!("{config:?}").contains("s3cret"));
}

#[test]
fn what_is_read_is_written_again_member_by_member() {
    let mut config = settings(r#"{"b":"x\n", "a" : [1, 2.50], "c": 12345678901234567890}"#);
    assert_eq!(config.json(), r#"{"b":"x\n","a":[1, 2.50],"c":12345678901234567890}"#);
    config.set_json("b", "1");
    assert_eq!(config.json(), r#"{"a":[1, 2.50],"c":12345678901234567890,"b":1}"#);
}

#[test]
fn a_password_is_taken_out_of_errors_in_every_form() {
    let mut hush = Hush::default();
    hush.add(r"it's\secret");
    hush.add("");
    let told = hush.text(r"near 'it''s\\secret' and it's\secret, it''s\secret");
    assert_eq!(told, "near '[password]' and [password], [password]");
    let Error::Upstream(text) = hush.error(Error::upstream(r"it's\secret")) else { panic!("another kind") };
    assert_eq!(text, HIDDEN);
}

#[test]
fn what_stands_in_place_of_a_secret_is_not_searched_for_one() {
    let told = |secrets: &[&str], text: &str| {
        let mut hush = Hush::default();
        secrets.iter().for_each(|secret| hush.add(secret));
        hush.text(text)
    };
    assert_eq!(told(&["a"], "a field"), "[password] field");
    assert_eq!(told(&["s", "pass"], "the pass is"), "the [password] i[password]");
    // Of two that stand in one another nothing is left, in whichever order they come.
    for secrets in [["abc", "bcde"], ["bcde", "abc"]] {
        assert_eq!(told(&secrets, "xabcdey"), "x[password]y");
    }
    assert_eq!(told(&["aa"], "aaa, a"), "[password], a");
    assert_eq!(told(&["ü"], "über ü"), "[password]ber [password]");
}

#[test]
fn a_subject_is_a_common_name_and_back() {
    for (name, subject) in [
        ("v-token-app", "CN=v-token-app"),
        ("a b", "CN=a b"),
        (" a ", "CN=\\ a\\ "),
        ("#a#", "CN=\\#a#"),
        ("a,b+c;d<e>f\"g\\h=i", "CN=a\\,b\\+c\\;d\\<e\\>f\\\"g\\\\h=i"),
        ("ünï\n", "CN=ünï\n"),
    ] {
        assert_eq!(crate::databases::subject(name), subject);
        assert_eq!(common_name(&Credential::Subject(subject.to_owned())).expect("it is one"), name);
    }
    for other in ["", "a", "O=a", "CN=a,O=b", "CN=a+UID=b", "CN=a\\", "cn=a;b"] {
        assert!(common_name(&Credential::Subject(other.to_owned())).is_err(), "{other}");
    }
    assert!(common_name(&Credential::Password("CN=a".to_owned())).is_err());
}
