//! A database that hangs: who needs it waits, and nobody else, be it of the same mount.

use std::net::TcpListener;

use bulkhead_test_servers::Wire;

use super::late::{mariadb, role};
use super::*;

/// Leases of the database that hangs which are due together.
const DUE: usize = 60;
/// How long leases last of the database that hangs.
const LASTS: Duration = Duration::from_secs(40);
/// Databases that hang, and requests at once that need each.
const HANGING: usize = 3;
const AT_ONCE: usize = 24;

const CREATE: &str = "CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'";
const CREATE_ROLE: &str = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'";

fn postgresql(port: u16) -> Value {
    json!({
        "plugin_name": "postgresql-database-plugin", "allowed_roles": "*", "username": ADMIN,
        "password": ADMIN_PASSWORD, "verify_connection": false,
        "connection_url":
            format!("postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{port}/postgres?sslmode=disable"),
    })
}

/// Has users of this role last so long.
fn last(node: &Node, name: &str, ttl_secs: u64, statements: &str) {
    let role = json!({ "db_name": name, "creation_statements": statements, "default_ttl": ttl_secs });
    node.put(&format!("database/roles/{name}"), &role);
}

#[test]
fn leases_of_one_database_end_while_those_of_another_hang() {
    let (node, hanging, answering) = (with_engine(), Postgres::start(), MariaDb::start());
    let wire = Wire::to(hanging.port());
    role(&node, "hanging", &postgresql(wire.port()), CREATE_ROLE);
    role(&node, "answering", &mariadb(answering.port()), CREATE);
    last(&node, "hanging", LASTS.as_secs(), CREATE_ROLE);
    last(&node, "answering", 3, CREATE);
    let begun = Instant::now();
    for _ in 0..DUE {
        user(&node, "hanging");
    }
    wire.fall_silent();
    assert!(begun.elapsed() < LASTS, "some were due before all were made");
    // Its first ones hang, and the others wait for these.
    thread::sleep(LASTS.saturating_sub(begun.elapsed()) + Duration::from_secs(3));
    for _ in 0..6 {
        user(&node, "answering");
    }
    let there = || answering.sql("SELECT user FROM mysql.user WHERE user LIKE 'v-%'").lines().count();
    assert!(there() > 0, "they are made");
    let begun = Instant::now();
    while there() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "they wait for those that hang");
        thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn requests_of_one_database_are_served_while_those_of_others_hang() {
    let (node, answering) = (with_engine(), MariaDb::start());
    role(&node, "answering", &mariadb(answering.port()), CREATE);
    // The kernel takes connections on, and nobody reads what they bring.
    let silent: Vec<_> = (0..HANGING).map(|_| TcpListener::bind(("127.0.0.1", 0)).expect("there are ports")).collect();
    for (at, listener) in silent.iter().enumerate() {
        let port = listener.local_addr().expect("it is bound").port();
        role(&node, &format!("silent-{at}"), &postgresql(port), CREATE_ROLE);
    }
    thread::scope(|scope| {
        for at in 0..HANGING {
            for _ in 0..AT_ONCE {
                let node = &node;
                scope.spawn(move || assert!(node.get(&format!("database/creds/silent-{at}")).status > 500));
            }
        }
        thread::sleep(Duration::from_secs(1));
        for _ in 0..3 {
            let begun = Instant::now();
            user(&node, "answering");
            assert!(begun.elapsed() < Duration::from_secs(5), "it waits for those that hang: {:?}", begun.elapsed());
        }
    });
}
