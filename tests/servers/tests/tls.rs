//! Servers that speak TLS are the ones whose certificates they show, and each answers its own client.
#![cfg(feature = "tls")]

use std::process::Command;

use bulkhead_test_servers::{ADMIN, ADMIN_PASSWORD, Authority, MariaDb, Postgres, Redis};

fn runs(mut command: Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

#[test]
fn clients_that_check_certificates_are_served() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (certificate, key) = authority.sign(&["localhost", "127.0.0.1"]);
    let folder = tempfile::tempdir().expect("a folder can be made");
    let [ours, other] = ["ours.pem", "other.pem"].map(|name| folder.path().join(name));
    std::fs::write(&ours, authority.pem()).expect("it can be written to");
    std::fs::write(&other, stranger.pem()).expect("it can be written to");

    let postgres = Postgres::start_with_tls(&certificate, &key);
    let mariadb = MariaDb::start_with_tls(&certificate, &key);
    let redis = Redis::start_with_tls(&certificate, &key);
    for (roots, is_served) in [(&ours, true), (&other, false)] {
        let mut psql = Command::new("psql");
        psql.args(["-X", "-c", "SELECT 1", "-d"]).arg(format!(
            "host=localhost hostaddr=127.0.0.1 port={} dbname=postgres user={ADMIN} sslmode=verify-full sslrootcert={}",
            postgres.port(),
            roots.display()
        ));
        psql.env("PGPASSWORD", ADMIN_PASSWORD);
        assert_eq!(runs(psql), is_served, "PostgreSQL, {}", roots.display());

        let mut mysql = Command::new("mariadb");
        mysql.args([
            "--no-defaults",
            "--protocol=tcp",
            "--host=127.0.0.1",
            "--ssl-verify-server-cert",
            "-e",
            "SELECT 1",
        ]);
        mysql.arg(format!("--port={}", mariadb.port())).arg(format!("--user={ADMIN}"));
        mysql.arg(format!("--ssl-ca={}", roots.display())).env("MYSQL_PWD", ADMIN_PASSWORD);
        assert_eq!(runs(mysql), is_served, "MariaDB, {}", roots.display());

        let mut cli = Command::new("redis-cli");
        cli.args(["-h", "localhost", "-p", &redis.port().to_string(), "--tls", "--cacert"]).arg(roots);
        cli.args(["--user", ADMIN, "--no-auth-warning", "PING"]).env("REDISCLI_AUTH", ADMIN_PASSWORD);
        let answer = cli.output().expect("the client runs");
        assert_eq!(String::from_utf8_lossy(&answer.stdout).trim() == "PONG", is_served, "Redis, {}", roots.display());
    }
}
