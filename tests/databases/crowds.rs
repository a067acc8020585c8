//! Many at once: calls of one database wait for each other, and whatever a config says of
//! connections, the database can be worked with.

use super::*;

/// Requests at once, more than a driver does at a time.
const CROWD: usize = 100;

fn names_of(postgres: &Postgres) -> usize {
    let answer = postgres.sql("postgres", "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'v-%'");
    answer.trim().parse().unwrap_or_else(|_| panic!("no number: {answer}"))
}

/// The engine, and a role `app` of a PostgreSQL with these settings besides.
fn postgresql(postgres: &Postgres, more: &Value) -> Node {
    let node = with_engine();
    configure(&node, postgres, more);
    let create = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'";
    node.put("database/roles/app", &json!({ "db_name": "db", "creation_statements": create, "default_ttl": "1h" }));
    node
}

fn configure(node: &Node, postgres: &Postgres, more: &Value) {
    let url = format!(
        "postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{}/postgres?sslmode=disable",
        postgres.port()
    );
    let mut config = json!({
        "plugin_name": "postgresql-database-plugin", "connection_url": url, "allowed_roles": "*",
        "username": ADMIN, "password": ADMIN_PASSWORD,
    });
    let (config_fields, more) = (config.as_object_mut().unwrap(), more.as_object().unwrap());
    config_fields.extend(more.clone());
    node.put("database/config/db", &config);
}

#[test]
fn any_number_of_connections_may_be_allowed_open_or_idle() {
    let postgres = Postgres::start();
    let node = postgresql(&postgres, &json!({}));
    for number in [1, 13, 15, 16, 17, 32, 100] {
        for key in ["max_open_connections", "max_idle_connections"] {
            let idle = if key == "max_idle_connections" { number } else { 0 };
            let open = if key == "max_open_connections" { number } else { 0 };
            configure(&node, &postgres, &json!({ "max_open_connections": open, "max_idle_connections": idle }));
            for _ in 0..3 {
                let (lease, ..) = user(&node, "app");
                let renewed = node.put("sys/leases/renew", &json!({ "lease_id": lease, "increment": 600 }));
                assert_eq!(renewed.status, 200, "{key} {number}: {}", renewed.text());
                revoke(&node, &lease);
            }
        }
    }
    assert_eq!(names_of(&postgres), 0);
}

#[test]
fn a_crowd_waits_for_its_turn_and_all_of_it_is_revoked() {
    let postgres = Postgres::start();
    let node = postgresql(&postgres, &json!({}));
    let crowd = |asks: &(dyn Fn() -> u16 + Sync)| -> BTreeMap<u16, usize> {
        let statuses = thread::scope(|scope| {
            let asking: Vec<_> = (0..CROWD).map(|_| scope.spawn(asks)).collect();
            asking.into_iter().map(|asking| asking.join().expect("it answers")).collect::<Vec<_>>()
        });
        let mut counts = BTreeMap::new();
        statuses.into_iter().for_each(|status| *counts.entry(status).or_default() += 1);
        counts
    };
    assert_eq!(crowd(&|| node.get("database/creds/app").status), [(200, CROWD)].into());
    assert_eq!(names_of(&postgres), CROWD);
    let revoked = node.call("PUT", "sys/leases/revoke-prefix/database/creds/app", Some(&json!({ "sync": true })));
    assert_eq!(revoked.status, 204, "{}", revoked.text());
    assert_eq!(names_of(&postgres), 0);
}
