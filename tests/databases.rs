//! The database engine with real databases, and with a driver that somebody else wrote. What lives
//! here: what a user sees. What must not: how a driver speaks (that is the drivers' own tests).

mod crowds;
mod hanging;
mod late;
mod sessions;
mod turns;
mod undone;

use std::collections::{BTreeMap, BTreeSet};
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
fn users_of_postgresql_log_in_by_certificates_that_are_issued_to_them() {
    let (node, servers, clients) = (with_engine(), Authority::new(), Authority::of_each_kind());
    let (certificate, key) = servers.sign(&["localhost"]);
    let roots: String = clients.iter().map(Authority::pem).collect();
    let postgres = Postgres::start_with_client_certificates(&certificate, &key, &roots);
    let url = "postgresql://{{username}}:{{password}}@127.0.0.1";
    let config = json!({
        "plugin_name": "postgresql-database-plugin", "allowed_roles": "*", "tls_ca": servers.pem(),
        "connection_url": format!("{url}:{}/postgres?sslmode=verify-ca", postgres.port()),
        "username": ADMIN, "password": ADMIN_PASSWORD,
    });
    node.put("database/config/db", &config);
    let _ = postgres.sql("postgres", "CREATE ROLE bystander LOGIN");
    let kinds = [("ec", "384"), ("ed25519", "0"), ("rsa", "2048"), ("ec", "521"), ("ec", "256")];
    for (client, (key_type, key_bits)) in clients.iter().zip(kinds) {
        let role = json!({
            "db_name": "db", "creation_statements": "CREATE ROLE \"{{name}}\" LOGIN", "default_ttl": "1h",
            "credential_type": "client_certificate",
            "credential_config": {
                "common_name_template": "v {{.RoleName}}, {{random 8}}", "ca_cert": client.pem(),
                "ca_private_key": client.key_pem(), "key_type": key_type, "key_bits": key_bits, "signature_bits": 384,
            },
        });
        node.put("database/roles/app", &role);
        let shown = node.get("database/roles/app").text();
        assert!(shown.contains("BEGIN CERTIFICATE") && !shown.contains("PRIVATE"), "{shown}");
        let made = node.get("database/creds/app");
        assert_eq!(made.status, 200, "{key_type} {key_bits}: {}", made.text());
        assert_eq!((text(&made, "data.private_key_type").as_str(), made.at("data.password")), (key_type, Value::Null));
        let name = text(&made, "data.username");
        assert!(name.starts_with("v app, "), "{name}");
        let (pem, key) = (text(&made, "data.client_certificate"), text(&made, "data.private_key"));
        let as_user = |user: &str| postgres.try_with_certificate(user, (&pem, &key), "SELECT 1");
        as_user(&name).unwrap_or_else(|told| panic!("{key_type} {key_bits}: {told}"));
        let told = as_user("bystander").unwrap_err();
        assert!(told.contains("certificate authentication failed"), "{told}");
        // To the same name, by an authority that nobody has the server believe.
        let (strange, strange_key) = servers.sign(&[&name]);
        let unbelieved = || postgres.log().matches("could not accept SSL connection").count();
        let before = unbelieved();
        let told = postgres.try_with_certificate(&name, (&strange, &strange_key), "SELECT 1").unwrap_err();
        assert!(!told.contains("certificate authentication failed"), "it is not the name that is wrong: {told}");
        node.until("the server says that it does not believe the authority", |_| unbelieved() > before);
        revoke(&node, &text(&made, "lease_id"));
        as_user(&name).unwrap_err();
    }
}

#[test]
fn the_roots_password_changes_by_itself() {
    let (node, postgres) = (with_engine(), Postgres::start());
    let _ = postgres.sql("postgres", "CREATE ROLE keeper LOGIN SUPERUSER PASSWORD 'first'");
    let mut config = connection(&postgres);
    (config["username"], config["password"], config["rotation_period"]) =
        (json!("keeper"), json!("first"), json!("5s"));
    node.put("database/config/db", &config);
    let create = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'";
    node.put("database/roles/app", &json!({ "db_name": "db", "creation_statements": create, "default_ttl": "1h" }));
    let hash = || postgres.sql("postgres", "SELECT rolpassword FROM pg_authid WHERE rolname = 'keeper'");
    let known = |at: &str| node.get("database/config/db").at(at).as_str().map(str::to_owned);
    assert!(postgres.can("postgres", "keeper", "first", "SELECT 1"));
    let mut before = hash();
    // Once, and again: it goes on by itself, and with the password that it has made.
    let mut told = None;
    for _ in 0..2 {
        node.until("the root's password has changed", |_| hash() != before);
        node.until("it is told when", |_| known("data.last_vault_rotation") != told);
        (before, told) = (hash(), known("data.last_vault_rotation"));
        assert!(!postgres.can("postgres", "keeper", "first", "SELECT 1"));
        let (lease, name, password) = user(&node, "app");
        assert!(postgres.can("postgres", &name, &password, "SELECT 1"));
        revoke(&node, &lease);
    }
    node.put("database/config/db", &json!({ "disable_automated_rotation": true }));
    let rests = hash();
    assert_eq!(known("data.next_vault_rotation"), None);
    thread::sleep(Duration::from_secs(7));
    assert_eq!(hash(), rests, "it changes though it is to rest");
    let (_, name, password) = user(&node, "app");
    assert!(postgres.can("postgres", &name, &password, "SELECT 1"));
}

/// The intents that are told: their mounts and kinds.
fn intents(node: &Node) -> Vec<(String, String)> {
    let told = node.get("sys/plugins/intents");
    let list = told.at("data.intents");
    let text = |intent: &Value, name: &str| intent[name].as_str().unwrap_or_default().to_owned();
    list.as_array()
        .map(|all| all.iter().map(|one| (text(one, "mount"), text(one, "kind"))).collect())
        .unwrap_or_default()
}

#[test]
fn what_did_not_commit_is_told_until_it_is_undone() {
    let (node, mut postgres) = (with_engine(), Postgres::start());
    node.put("database/config/db", &connection(&postgres));
    // Made for good before the database is killed: there is a user that nobody was told of.
    let create = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'; COMMIT; SELECT pg_sleep(20)";
    // The role's statements do not remove it: the driver's own way has to.
    let role = json!({ "db_name": "db", "creation_statements": create, "revocation_statements": "DROP ROLE nobody" });
    node.put("database/roles/app", &role);
    let begun = Instant::now();
    cut_off(&node, &mut postgres, "app");
    postgres.restart();
    let left = || postgres.sql("postgres", "select count(*) from pg_roles where rolname like 'v-%'");
    assert_eq!((left().as_str(), intents(&node)), ("1", vec![("database/".to_owned(), "user".to_owned())]));
    let told = node.get("sys/plugins/intents").at("data.intents")[0].clone();
    let about = told["about"].as_str().unwrap_or_default();
    assert!(about.starts_with("user \"v-") && about.ends_with("of role \"app\" at connection \"db\""), "{told}");
    assert_eq!(told["plugin"], json!("database"), "{told}");
    assert!(!node.output().contains(about.split('"').nth(1).unwrap()), "a name of a user is in the log");
    while !intents(&node).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(240), "it is not undone");
        thread::sleep(Duration::from_millis(500));
    }
    assert_eq!(left(), "0", "it is told no more, and is there still");
    // A call that did commit has nothing to be undone.
    let create = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'";
    node.put("database/roles/app", &json!({ "creation_statements": create, "revocation_statements": "" }));
    let (_, name, password) = user(&node, "app");
    assert_eq!(intents(&node), []);
    assert!(postgres.can("postgres", &name, &password, "select 1"));
}

/// Asks for a user of a role whose statements end in a sleep of 20 seconds, and kills the database meanwhile.
fn cut_off(node: &Node, postgres: &mut Postgres, role: &str) {
    let asleep = "select count(*) from pg_stat_activity where query like '%pg_sleep(20)%' and pid <> pg_backend_pid()";
    let refused = thread::scope(|scope| {
        let asking = scope.spawn(|| node.get(&format!("database/creds/{role}")));
        node.until("the statements are at work", |_| postgres.sql("postgres", asleep) == "1");
        postgres.kill();
        asking.join().expect("it is answered")
    });
    assert_eq!(refused.status, 503, "{}", refused.text());
}

/// A connection to a server without TLS, for all roles.
fn connection(postgres: &Postgres) -> Value {
    let url = "postgresql://{{username}}:{{password}}@127.0.0.1";
    json!({
        "plugin_name": "postgresql-database-plugin", "allowed_roles": "*", "username": ADMIN, "password": ADMIN_PASSWORD,
        "connection_url": format!("{url}:{}/postgres?sslmode=disable", postgres.port()),
    })
}

#[test]
fn why_a_user_cannot_be_removed_is_told_to_operators_and_as_a_class_to_the_log() {
    let (node, mut postgres) = (with_engine(), Postgres::start());
    node.put("database/config/db", &connection(&postgres));
    let create = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'";
    node.put("database/roles/app", &json!({ "db_name": "db", "creation_statements": create }));
    let (lease, name, _) = user(&node, "app");
    postgres.kill();
    node.put("sys/leases/revoke", &json!({ "lease_id": lease, "sync": false }));
    let deadline = Instant::now() + Duration::from_secs(30);
    let told = loop {
        let told = node.call("PUT", "sys/leases/lookup", Some(&json!({ "lease_id": lease })));
        if told.at("data.last_error").is_string() || Instant::now() > deadline {
            break told;
        }
        thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(told.at("data.failed_revocations"), json!(1), "{}", told.text());
    assert!(text(&told, "data.last_error").starts_with("revoking a lease failed: "), "{}", told.text());
    let log = node.output();
    assert!(log.contains("revoking a lease failed") && log.contains("class="), "{log}");
    assert!(log.contains("attempts=1") && !log.contains(&name) && !log.contains(&lease), "{log}");
    postgres.restart();
    let ended = node.call("PUT", "sys/leases/revoke", Some(&json!({ "lease_id": lease, "sync": true })));
    assert_eq!(ended.status, 204, "{}", ended.text());
    assert_eq!(postgres.sql("postgres", "select count(*) from pg_roles where rolname like 'v-%'"), "0");
}

/// Nothing of a password is where an operator or a neighbour would see it. The database writes down all that it is
/// told, so that it is known which passwords there were.
#[test]
fn no_password_is_told_where_it_is_not_asked_for() {
    let (node, postgres) = (with_engine(), Postgres::start());
    let _ = postgres.sql("postgres", "ALTER SYSTEM SET log_statement = 'all'");
    let _ = postgres.sql("postgres", "SELECT pg_reload_conf(); CREATE ROLE worker LOGIN PASSWORD 'from before'");
    let audit = node.path("audit.log");
    node.put("sys/audit/file", &json!({ "type": "file", "options": { "file_path": audit } }));
    node.put("database/config/db", &connection(&postgres));
    let create = |more: &str| format!("CREATE ROLE \"{{{{name}}}}\" LOGIN PASSWORD '{{{{password}}}}' {more}");
    node.put("database/roles/good", &json!({ "db_name": "db", "creation_statements": create("") }));
    let bad = create("NONSENSE '{{password}}'");
    node.put("database/roles/bad", &json!({ "db_name": "db", "creation_statements": bad }));
    let worker = json!({ "db_name": "db", "username": "worker", "rotation_period": "1h" });
    node.put("database/static-roles/worker", &worker);

    let (lease, _, asked_for) = user(&node, "good");
    let refused = node.get("database/creds/bad");
    assert_eq!(refused.status, 502, "{}", refused.text());
    node.put("database/rotate-role/worker", &json!({}));
    let known = text(&node.get("database/static-creds/worker"), "data.password");
    node.put("database/rotate-root/db", &json!({}));
    revoke(&node, &lease);
    assert!(!postgres.can("postgres", ADMIN, ADMIN_PASSWORD, "select 1"), "the root's password was not changed");

    let written = regex::Regex::new("PASSWORD '([A-Za-z0-9-]{20})'").expect("it is a pattern");
    let log = postgres.log();
    let passwords: BTreeSet<&str> =
        written.captures_iter(&log).filter_map(|found| Some(found.get(1)?.as_str())).collect();
    // Of good and bad, twice of the worker, and the root's.
    assert_eq!(passwords.len(), 5, "{log}");
    assert!(passwords.contains(asked_for.as_str()) && passwords.contains(known.as_str()), "{log}");
    let mut seen = vec![refused.text(), node.output(), std::fs::read_to_string(&audit).expect("there is an audit log")];
    seen.extend(["config/db", "roles/good", "roles/bad", "static-roles/worker"].map(|path| {
        let shown = node.get(&format!("database/{path}"));
        assert_eq!(shown.status, 200, "{path}");
        shown.text()
    }));
    seen.push(node.get("sys/plugins/intents").text());
    assert!(seen[2].contains("database/"), "the audit log is in use");
    for text in &seen {
        assert!(passwords.iter().chain([&"from before"]).all(|password| !text.contains(password)), "{text}");
        // As it is, and as JSON has it.
        let quoted = json!(ADMIN_PASSWORD).to_string();
        assert!(!text.contains(ADMIN_PASSWORD) && !text.contains(quoted.trim_matches('"')), "{text}");
    }
}
