//! Configs, understood or refused.

use bulkhead_sdk::driver::Settings;

use super::{Value, config, json, refusal};
use crate::Postgresql;
use crate::address::Words;
use crate::config::Config;
use bulkhead_sdk::bench::DriverBench;

fn read(config: &Value) -> Config {
    let settings = Settings::read(config.to_string().as_bytes()).unwrap();
    bulkhead_sdk::bench::within(|cx| Config::read(cx, &settings)).unwrap()
}

#[test]
fn a_connection_string_is_read_in_either_form() {
    for (text, expected) in [
        (
            "postgres://u:p@h:1/d?sslmode=require",
            vec![("user", "u"), ("password", "p"), ("host", "h"), ("port", "1"), ("database", "d")],
        ),
        (
            "postgresql://u%40x:p%3A%2F@h/d%20b",
            vec![("user", "u@x"), ("password", "p:/"), ("host", "h"), ("database", "d b")],
        ),
        ("postgres://u@[::1]:7,b,c:9/d", vec![("host", "::1,b,c"), ("port", "7,,9")]),
        ("postgres:///d?host=%2Frun&user=u", vec![("host", "/run"), ("user", "u"), ("database", "d")]),
        ("postgres://u:a@b@h/d", vec![("password", "a@b"), ("host", "h")]),
        (
            r"host = h user='a b' password='it\'s \\' dbname=d",
            vec![("host", "h"), ("user", "a b"), ("password", r"it's \"), ("database", "d")],
        ),
        (r"user=a\ b host=h  ", vec![("user", "a b"), ("host", "h")]),
        ("user='' host=h", vec![("user", ""), ("host", "h")]),
    ] {
        let words = Words::read(text).unwrap();
        for (name, value) in expected {
            assert_eq!(words.get(name), Some(value), "{name} of {text}");
        }
    }
}

#[test]
fn name_and_password_are_put_in_whatever_signs_they_have() {
    for hostile in ["p@ss:w/o?r#d %41&+", "it's \\ \"x\"", "' host=evil '", "@evil/", "?sslmode=disable", "ü\n"] {
        for url in [
            "postgres://{{username}}:{{password}}@h:1/d?sslmode=verify-full",
            "host=h port=1 user={{username}} password={{password}} dbname=d sslmode=verify-full",
            "host=h port=1 user='{{username}}' password='{{password}}' dbname=d sslmode=verify-full",
        ] {
            let config = read(&json!({ "connection_url": url, "username": hostile, "password": hostile }));
            assert_eq!((config.login.user.as_str(), config.login.password.expose().as_str()), (hostile, hostile));
            assert_eq!((config.places.len(), config.places[0].address.as_str()), (1, "tcp://h:1"));
            assert_eq!((config.login.database.as_str(), config.encryption), ("d", crate::config::Encryption::Always));
        }
    }
}

#[test]
fn what_the_plugin_does_not_know_is_a_setting_of_the_session() {
    let config = read(&config("postgres://u@h/?search_path=a&application_name=b&connect_timeout=3&options=-c%20x%3D1"));
    let expected = [("search_path", "a"), ("application_name", "b"), ("options", "-c x=1"), ("timezone", "UTC")];
    assert_eq!(config.login.parameters, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!((config.login.database.as_str(), config.timeout_ms), ("u", 3000));
}

#[test]
fn a_wrong_config_is_refused_by_what_is_wrong() {
    let url = "postgres://{{username}}:{{password}}@h/d";
    for (name, value, told) in [
        ("connection_url", "", "connection_url cannot be empty"),
        (
            "connection_url",
            "nonsense",
            "cannot parse connection_url: failed to parse as keyword/value (invalid keyword/value)",
        ),
        ("connection_url", "postgres://u:%zz@h/d", "cannot parse connection_url: failed to parse as URL (invalid URL)"),
        ("connection_url", "postgres://u@h:port/d", "cannot parse connection_url: invalid port"),
        (
            "connection_url",
            "postgres://u@a,b/d?port=1,2,3",
            "cannot parse connection_url: there are not as many ports as hosts",
        ),
        ("connection_url", "postgres://h/d", "connection_url has no user"),
        ("connection_url", "postgres://u@h/d?sslmode=maybe", "cannot parse connection_url: sslmode is invalid"),
        (
            "connection_url",
            "postgres://u@h/d?sslrootcert=/etc/ca",
            "sslrootcert names a file, which a plugin cannot read: give its text as tls_ca",
        ),
        (
            "connection_url",
            "postgres://u@h/d?target_session_attrs=read-only",
            "target_session_attrs must be any, read-write or primary: accounts are written",
        ),
        ("username", "{{password}}", "username and/or password cannot contain the template variables"),
        ("password_authentication", "md4", "'md4' is not a valid password authentication type"),
        ("max_open_connections", "many", "'max_open_connections' cannot parse value as 'int'"),
        ("max_connection_lifetime", "long", "invalid max_connection_lifetime: it is no duration"),
        (
            "username_template",
            "{{foo}}",
            "unable to initialize username template: unable to parse template: function \"foo\" not defined",
        ),
        (
            "username_template",
            "{{.Foo}}",
            "invalid username template: unable to apply template: can't evaluate field Foo",
        ),
    ] {
        let mut wrong = config(url);
        wrong[name] = value.into();
        assert_eq!(refusal(DriverBench::<Postgresql>::new().verify(&wrong, false)), told);
    }
    let hosts = vec!["h"; 17].join(",");
    let many = refusal(DriverBench::<Postgresql>::new().verify(&config(&format!("postgres://u@{hosts}/d")), false));
    assert_eq!(many, "cannot parse connection_url: there are more than 16 hosts");
}
