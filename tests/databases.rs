//! The database engine with real databases, and with a driver that somebody else wrote. What lives
//! here: what a user sees. What must not: how a driver speaks (that is the drivers' own tests).

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulkhead_test_servers::{ADMIN, ADMIN_PASSWORD, Authority, MariaDb, Postgres, Redis};
use bulkhead_tests::http::Reply;
use bulkhead_tests::node::Node;
use bulkhead_tests::programs::{self, Program};
use serde_json::{Value, json};

/// A server with the engine.
fn with_engine() -> Node {
    let node = Node::dev(Program::Bulkhead);
    node.put("sys/mounts/database", &json!({ "type": "database" }));
    node
}

fn text(reply: &Reply, at: &str) -> String {
    reply.at(at).as_str().unwrap_or_else(|| panic!("no {at}: {}", reply.text())).to_owned()
}

/// A user of a role: its lease, name and password.
fn user(node: &Node, role: &str) -> (String, String, String) {
    let reply = node.get(&format!("database/creds/{role}"));
    assert_eq!(reply.status, 200, "{}", reply.text());
    (text(&reply, "lease_id"), text(&reply, "data.username"), text(&reply, "data.password"))
}

fn revoke(node: &Node, lease: &str) {
    node.put("sys/leases/revoke", &json!({ "lease_id": lease, "sync": true }));
}

#[test]
fn users_of_mariadb_are_made_changed_and_removed() {
    let (node, mariadb) = (with_engine(), MariaDb::start());
    let url = format!("{{{{username}}}}:{{{{password}}}}@tcp(127.0.0.1:{})/", mariadb.port());
    let config = json!({
        "plugin_name": "mysql-database-plugin", "connection_url": url, "allowed_roles": "*",
        "username": ADMIN, "password": ADMIN_PASSWORD,
    });
    node.put("database/config/db", &config);
    let create = "CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'; GRANT SELECT ON *.* TO '{{name}}'@'%';";
    node.put("database/roles/app", &json!({ "db_name": "db", "creation_statements": create, "default_ttl": "1h" }));
    let (lease, name, password) = user(&node, "app");
    assert!(mariadb.can(&name, &password, "SELECT count(*) FROM mysql.user"));
    revoke(&node, &lease);
    assert!(!mariadb.can(&name, &password, "SELECT 1"));
    let _ = mariadb.sql("CREATE USER 'svc'@'%' IDENTIFIED BY 'first'");
    node.put("database/static-roles/svc", &json!({ "db_name": "db", "username": "svc", "rotation_period": "1h" }));
    let now = text(&node.get("database/static-creds/svc"), "data.password");
    assert!(mariadb.can("svc", &now, "SELECT 1") && !mariadb.can("svc", "first", "SELECT 1"));
}

#[test]
fn users_of_redis_are_made_and_removed() {
    let (node, redis) = (with_engine(), Redis::start());
    let config = json!({
        "plugin_name": "redis-database-plugin", "host": "127.0.0.1", "port": redis.port(), "allowed_roles": "*",
        "username": ADMIN, "password": ADMIN_PASSWORD,
    });
    node.put("database/config/db", &config);
    let rules = r#"["~app:*", "+@read"]"#;
    node.put("database/roles/app", &json!({ "db_name": "db", "creation_statements": rules, "default_ttl": "1h" }));
    let (lease, name, password) = user(&node, "app");
    assert!(redis.can(&name, &password, &["GET", "app:1"]));
    assert!(!redis.can(&name, &password, &["SET", "app:1", "x"]));
    revoke(&node, &lease);
    assert!(!redis.can(&name, &password, &["GET", "app:1"]));
}

// R-62: nor a database.
#[test]
fn a_postgresql_must_show_a_certificate_of_the_authority_that_is_named() {
    let (node, authority) = (with_engine(), Authority::new());
    let (certificate, key) = authority.sign(&["localhost"]);
    let postgres = Postgres::start_with_tls(&certificate, &key);
    let config = |host: &str, mode: &str, ca: &str| {
        let url = format!(
            "postgresql://{{{{username}}}}:{{{{password}}}}@{host}:{}/postgres?sslmode={mode}",
            postgres.port()
        );
        let body = json!({
            "plugin_name": "postgresql-database-plugin", "connection_url": url, "tls_ca": ca,
            "username": ADMIN, "password": ADMIN_PASSWORD,
        });
        node.call("POST", "database/config/db", Some(&body)).status
    };
    let other = Authority::new();
    assert_eq!(config("localhost", "verify-full", authority.pem()), 204);
    assert_eq!(config("localhost", "verify-full", other.pem()), 400, "another authority's");
    // The certificate is for another name: that is looked at in full verification only.
    assert_eq!(config("127.0.0.1", "verify-full", authority.pem()), 400, "another name's");
    assert_eq!(config("127.0.0.1", "verify-ca", authority.pem()), 204);
    assert_eq!(config("127.0.0.1", "verify-ca", other.pem()), 400, "another authority's");
}

#[test]
fn a_database_that_does_not_answer_costs_its_own_requests_only() {
    let (node, postgres) = (with_engine(), Postgres::start());
    // Connections are taken and nobody ever says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for (name, port) in [("live", postgres.port()), ("dead", silent.local_addr().unwrap().port())] {
        let url = format!("postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{port}/postgres?sslmode=disable");
        let config = json!({
            "plugin_name": "postgresql-database-plugin", "connection_url": url, "allowed_roles": "*",
            "verify_connection": false, "username": ADMIN, "password": ADMIN_PASSWORD,
        });
        node.put(&format!("database/config/{name}"), &config);
        let create = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'";
        node.put(&format!("database/roles/{name}"), &json!({ "db_name": name, "creation_statements": create }));
    }
    // More than the database's share of the mount's connections.
    thread::scope(|scope| {
        let dead: Vec<_> = (0..24).map(|_| scope.spawn(|| node.get("database/creds/dead").status)).collect();
        thread::sleep(Duration::from_millis(500));
        for _ in 0..10 {
            let (lease, name, password) = user(&node, "live");
            assert!(postgres.can("postgres", &name, &password, "select 1"));
            revoke(&node, &lease);
        }
        assert!(dead.iter().any(|asking| !asking.is_finished()), "they all were answered before");
        for asking in dead {
            assert!(asking.join().unwrap() >= 500);
        }
    });
}

/// The accounts of a database that takes lines: `examples/hello-driver` says which.
type Accounts = Arc<Mutex<BTreeMap<String, String>>>;

fn toy() -> (u16, Accounts) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, accounts) = (listener.local_addr().unwrap().port(), Accounts::default());
    let shared = Arc::clone(&accounts);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            answer(client, &shared);
        }
    });
    (port, accounts)
}

fn answer(mut client: TcpStream, accounts: &Accounts) {
    let mut line = String::new();
    if BufReader::new(&client).read_line(&mut line).is_err() {
        return;
    }
    let mut accounts = accounts.lock().unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    let done = match words.as_slice() {
        ["HELLO"] => true,
        ["ADD", name, password] => accounts.insert((*name).to_owned(), (*password).to_owned()).is_none(),
        ["SET", name, password] => accounts.insert((*name).to_owned(), (*password).to_owned()).is_some(),
        ["DROP", name] => {
            // That there is none is no error.
            accounts.remove(*name);
            true
        }
        _ => false,
    };
    let _ = client.write_all(if done { b"OK\n" } else { b"NO\n" });
}

#[test]
fn a_driver_that_somebody_else_wrote_works_for_whom_it_is_granted() {
    let (node, (port, accounts)) = (with_engine(), toy());
    let component = std::fs::read(programs::guests().join("hello-driver.wasm")).unwrap();
    let body = json!({ "component": STANDARD.encode(component) });
    node.put("sys/plugins/catalog/database/hello-database-plugin", &body);
    let config = json!({
        "plugin_name": "hello-database-plugin", "address": format!("127.0.0.1:{port}"), "allowed_roles": "*",
    });
    let denied = node.call("POST", "database/config/toy", Some(&config));
    assert_eq!(denied.status, 403, "{}", denied.text());
    assert!(denied.text().contains("driver hello-database-plugin"), "{}", denied.text());
    let grants = json!({ "grants": ["driver hello-database-plugin"] });
    node.put("sys/plugins/grants/database", &grants);
    let denied = node.call("POST", "database/config/toy", Some(&config));
    assert!(denied.text().contains(&format!("net tcp://127.0.0.1:{port}")), "{}", denied.text());
    node.put("sys/plugins/grants/database", &json!({ "add": [format!("net tcp://127.0.0.1:{port}")] }));
    node.put("database/config/toy", &config);
    node.put("database/roles/app", &json!({ "db_name": "toy", "creation_statements": "-" }));
    let (lease, name, password) = user(&node, "app");
    assert_eq!(accounts.lock().unwrap().get(&name), Some(&password));
    revoke(&node, &lease);
    assert!(accounts.lock().unwrap().is_empty());
}

#[test]
fn what_did_not_commit_is_told_until_it_is_undone() {
    let (node, postgres) = (with_engine(), Postgres::start());
    let url = format!(
        "postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{}/postgres?sslmode=disable",
        postgres.port()
    );
    let config = json!({
        "plugin_name": "postgresql-database-plugin", "connection_url": url, "allowed_roles": "*",
        "username": ADMIN, "password": ADMIN_PASSWORD,
    });
    node.put("database/config/db", &config);
    // Made, and then asked for what cannot be: the database takes all of it back.
    let create = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'; GRANT nothing_there TO \"{{name}}\"";
    node.put("database/roles/app", &json!({ "db_name": "db", "creation_statements": create }));
    let begun = Instant::now();
    let refused = node.get("database/creds/app");
    assert_eq!(refused.status, 502, "{}", refused.text());
    let told = node.get("sys/plugins/intents");
    if begun.elapsed() < Duration::from_secs(60) {
        assert_eq!(told.at("data.count"), json!(1), "{}", told.text());
        assert_eq!(told.at("data.intents").get(0).map(|intent| intent["mount"].clone()), Some(json!("database/")));
    }
    assert_eq!(postgres.sql("postgres", "select count(*) from pg_roles where rolname like 'v-%'"), "0");
}

/// Nothing of a password is where an operator or a neighbour would see it.
#[test]
fn no_password_is_told_where_it_is_not_asked_for() {
    let (node, postgres) = (with_engine(), Postgres::start());
    let url = format!(
        "postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{}/postgres?sslmode=disable",
        postgres.port()
    );
    let config = json!({
        "plugin_name": "postgresql-database-plugin", "connection_url": url, "allowed_roles": "*",
        "username": ADMIN, "password": ADMIN_PASSWORD,
    });
    node.put("database/config/db", &config);
    let shown = node.get("database/config/db");
    assert_eq!(shown.at("data.connection_details.password"), Value::Null, "{}", shown.text());
    let create = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' NONSENSE '{{password}}'";
    node.put("database/roles/bad", &json!({ "db_name": "db", "creation_statements": create }));
    let refused = node.get("database/creds/bad").text();
    assert!(refused.contains("syntax error") || refused.contains("unrecognized"), "{refused}");
    node.put("database/rotate-root/db", &json!({}));
    let login = |password: &str| postgres.can("postgres", ADMIN, password, "select 1");
    assert!(!login(ADMIN_PASSWORD), "the root's password was not changed");
    assert!(!node.output().contains("PASSWORD"), "{}", node.output());
}
