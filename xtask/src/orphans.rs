//! `orphans`: users of a database are asked for, and their leases renewed and ended, while whoever makes them is
//! killed, clocks are wrong, and the database is killed and cut off. When all is well again, each user has a lease and
//! each lease a user, who may log in for as long as the lease lasts: the end of a lease is the end of one user, its own.
//! When the leases are over, nobody is left.

mod asking;
mod count;
mod fire;
mod gate;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bulkhead_test_servers::{ADMIN, ADMIN_PASSWORD, Postgres};
use serde_json::json;
use tempfile::TempDir;

use self::asking::Asking;
use self::fire::Inflicted;
use self::gate::Gate;
use crate::chaos::chance::Chance;
use crate::cluster::shim::Knob;
use crate::cluster::{Cluster, Program, Setup};
use crate::shell::{Done, Failed, Tried, say};
use crate::workspace::{self, Profile};

/// Clients that ask for users.
const WORKERS: usize = 4;

/// How long users live, in seconds. The clock is turned on by less than that until they are counted.
const TTL_SECS: i64 = 3600;

/// Users are made by one of these roles. Renewing those of the second takes its time, in which more can go wrong.
const ROLES: [&str; 2] = ["app", "slow"];

/// From so many requests on it cannot be by chance that no lease was renewed, or none ended.
const ENOUGH: u64 = 50;

/// What `cargo xtask orphans` can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many users are asked for; leases are renewed and ended beside that
    #[arg(long, default_value_t = 1000)]
    requests: u64,
    /// How many nodes: one, or those of a cluster
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=7))]
    nodes: u8,
    /// Repeats the order of faults
    #[arg(long)]
    seed: Option<u64>,
    /// The program; without it, the release binary
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// There is an orphan, or a lease without a user; or the nodes did not recover.
pub(crate) fn run(options: &Options) -> Done {
    let binary = options.binary.clone().unwrap_or_else(|| Profile::Release.binary("bulkhead"));
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = options.seed.unwrap_or(clock.as_secs() % 1_000_000);
    Scene::burnt(binary, options.requests, usize::from(options.nodes), seed)?.hunt()
}

/// The short form: nodes and databases to which everything was done, one and three. What they left
/// behind may not be undone for two minutes, in which others can use the machine.
///
/// # Errors
/// The nodes did not recover.
pub(crate) fn short(binary: PathBuf) -> Done<Burnt> {
    let seed = 1;
    Ok(Burnt([Scene::burnt(binary.clone(), 150, 1, seed)?, Scene::burnt(binary, 300, 3, seed)?]))
}

/// What is left of the short form.
pub(crate) struct Burnt([Scene; 2]);

impl Burnt {
    /// Looks for orphans.
    ///
    /// # Errors
    /// As [`run`].
    pub(crate) fn hunt(mut self) -> Done {
        self.0.iter_mut().try_for_each(Scene::hunt)
    }
}

/// All that takes part.
struct Scene {
    cluster: Cluster,
    postgres: Postgres,
    gate: Arc<Gate>,
    asking: Arc<Asking>,
    /// How far all clocks are on, in seconds.
    on_secs: i64,
    seed: u64,
    inflicted: Inflicted,
    /// The nodes' folders.
    _scratch: TempDir,
}

impl Scene {
    /// Nodes and a database to which everything was done.
    fn burnt(binary: PathBuf, requests: u64, nodes: usize, seed: u64) -> Done<Self> {
        say(format_args!("{requests} users asked of {nodes} nodes, seed {seed}"));
        let parent = workspace::root().join("target/chaos");
        std::fs::create_dir_all(&parent).tried(format_args!("creating {}", parent.display()))?;
        let scratch = tempfile::tempdir_in(&parent).tried(format_args!("creating a folder in {}", parent.display()))?;
        let postgres = Postgres::start();
        let gate = Gate::before(postgres.port())?;
        let program = Program { binary, bug: None };
        let setup = Setup { program, folder: scratch.path(), nodes, breakable: true, audit: false };
        let cluster = Cluster::start(setup)?;
        if let Some(why) = cluster.shim.missing() {
            return Err(Failed::new(format!("clocks cannot be turned on here: {why}")));
        }
        let (asking, inflicted) = (Arc::new(Asking::new(requests)), Inflicted::default());
        let mut scene = Self { cluster, postgres, gate, asking, on_secs: 0, seed, inflicted, _scratch: scratch };
        scene.enable()?;
        scene.inflicted = scene.ask_under_fire()?;
        say(scene.asking.progress());
        let [renewed, ended] = [&scene.asking.renewed, &scene.asking.ended].map(|count| count.load(Ordering::SeqCst));
        if requests >= ENOUGH && (renewed == 0 || ended == 0) {
            return Err(Failed::new(format!("{renewed} leases were renewed and {ended} ended: that shows nothing")));
        }
        Ok(scene)
    }

    /// Looks for orphans.
    fn hunt(&mut self) -> Done {
        self.settle()?;
        let users = self.compare()?;
        let pairs = self.pair()?;
        self.expire()?;
        let Asking { failed, renewed, ended, .. } = &*self.asking;
        let [failed, renewed, ended] = [failed, renewed, ended].map(|count| count.load(Ordering::SeqCst));
        let Inflicted { leaders_killed, databases_killed, cuts, clocks_ahead, overlaps } = &self.inflicted;
        println!(
            "\n  {failed} requests without an answer or refused, {renewed} leases renewed and {ended} ended meanwhile\n  \
             {users} users with a lease each for as long as that lasts, {pairs} of them one by one\n  \
             {leaders_killed} leaders and {databases_killed} databases killed, {cuts} cuts, {clocks_ahead} clocks ahead; \
             {overlaps} times several at once\n  \
             no orphan, no lease without a user; nobody left in the end\n"
        );
        Ok(())
    }

    fn enable(&mut self) -> Done {
        let leader = self.cluster.until_led()?;
        let url =
            format!("postgresql://{{{{username}}}}:{{{{password}}}}@{}/postgres?sslmode=disable", self.gate.address());
        let config = json!({
            "plugin_name": "postgresql-database-plugin", "connection_url": url, "allowed_roles": "*",
            "username": ADMIN, "password": ADMIN_PASSWORD,
        });
        let create = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'";
        let renew = "ALTER ROLE \"{{name}}\" VALID UNTIL '{{expiration}}'";
        self.cluster.ask(leader, "POST", "sys/mounts/database", &json!({ "type": "database" }))?;
        self.cluster.ask(leader, "POST", "database/config/pg", &config)?;
        for (name, renewal) in ROLES.iter().zip([vec![renew], vec!["SELECT pg_sleep(0.2)", renew]]) {
            let role = json!({
                "db_name": "pg", "creation_statements": create, "renew_statements": renewal, "default_ttl": TTL_SECS,
                "max_ttl": "24h",
            });
            self.cluster.ask(leader, "POST", &format!("database/roles/{name}"), &role)?;
        }
        Ok(())
    }

    fn ask_under_fire(&mut self) -> Done<Inflicted> {
        let addresses: Vec<SocketAddr> = self.cluster.nodes.iter().map(|node| node.api).collect();
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let (asking, addresses, token) = (self.asking.clone(), addresses.clone(), self.cluster.token.clone());
                let mut chance = Chance::of(self.seed.wrapping_add(1 + worker as u64));
                thread::spawn(move || asking.work(worker, &addresses, &token, &mut chance))
            })
            .collect();
        let inflicted = self.inflict(&mut Chance::of(self.seed));
        // Whoever still waits is answered once all is well again.
        self.gate.set(true);
        let mended = self.cluster.mend();
        for worker in workers {
            worker.join().map_err(|_| Failed::new("a client panicked"))?;
        }
        mended.and(inflicted)
    }

    fn turn_on(&mut self, by_secs: i64) -> Done {
        self.on_secs += by_secs;
        (0..self.cluster.nodes.len()).try_for_each(|at| self.cluster.turn(at, Knob::ClockSecs, self.on_secs))
    }

    fn expire(&mut self) -> Done {
        say("all leases end");
        // Those that were renewed by a clock that was ahead last longest.
        self.turn_on(3 * TTL_SECS)?;
        for _ in 0..120 {
            thread::sleep(Duration::from_secs(1));
            if self.users().is_empty() && self.listed()?.is_empty() {
                return Ok(());
            }
            // What failed waits longer and longer.
            self.turn_on(60)?;
        }
        self.cluster.keep();
        Err(Failed::new(format!("{} users are left", self.users().len())))
    }
}
