//! `orphans`: users of a database are asked for while whoever makes them is killed, clocks are wrong, and
//! the database is killed and cut off. When all is well again, each user has a lease and each lease a
//! user: the end of a lease is the end of one user, its own. When the leases are over, nobody is left.

mod fire;
mod gate;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bulkhead_test_servers::{ADMIN, ADMIN_PASSWORD, Postgres};
use serde_json::{Value, json};
use tempfile::TempDir;

use self::fire::Inflicted;
use self::gate::Gate;
use crate::chaos::chance::Chance;
use crate::cluster::shim::Knob;
use crate::cluster::{Cluster, Program, Setup};
use crate::http::{Connection, request};
use crate::shell::{Done, Failed, Tried, say};
use crate::workspace::{self, Profile};

/// Clients that ask for users.
const WORKERS: usize = 4;

/// How long a client waits before it asks again. Why: as much is to go wrong meanwhile.
const PACE: Duration = Duration::from_millis(100);

/// How long one answer may take: longer than a node takes to give up.
const ANSWER_MAX: Duration = Duration::from_secs(90);

/// How long users live, in seconds. The clock is turned on by less than that until they are counted.
const TTL_SECS: i64 = 3600;

/// Leases that are ended one by one at most, to see whose user goes; the others end by themselves.
const PAIRS_MAX: usize = 100;

/// How long it may take until what did not commit is undone. Why: two minutes after the last node came to lead, by
/// a clock that is not turned on, and then as often as it takes.
const UNDONE_WITHIN: Duration = Duration::from_secs(240);

/// What `cargo xtask orphans` can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many users are asked for
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

/// What the clients did and saw.
struct Asking {
    left: AtomicU64,
    failed: AtomicU64,
    /// Users that somebody was told of, with the ids of their leases.
    made: Mutex<Vec<(String, String)>>,
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
        let asking = Asking { left: AtomicU64::new(requests), failed: AtomicU64::new(0), made: Mutex::default() };
        let (asking, inflicted) = (Arc::new(asking), Inflicted::default());
        let mut scene = Self { cluster, postgres, gate, asking, on_secs: 0, seed, inflicted, _scratch: scratch };
        scene.enable()?;
        scene.inflicted = scene.ask_under_fire()?;
        Ok(scene)
    }

    /// Looks for orphans.
    fn hunt(&mut self) -> Done {
        self.settle()?;
        let users = self.compare()?;
        let pairs = self.pair()?;
        self.expire()?;
        let failed = self.asking.failed.load(Ordering::SeqCst);
        let Inflicted { leaders_killed, databases_killed, cuts, clocks_ahead, overlaps } = &self.inflicted;
        println!(
            "\n  {failed} requests without an answer or refused, {users} users with a lease each, {pairs} of them one by one\n  \
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
        let role = json!({ "db_name": "pg", "creation_statements": create, "default_ttl": TTL_SECS, "max_ttl": "24h" });
        self.cluster.ask(leader, "POST", "sys/mounts/database", &json!({ "type": "database" }))?;
        self.cluster.ask(leader, "POST", "database/config/pg", &config)?;
        self.cluster.ask(leader, "POST", "database/roles/app", &role)?;
        Ok(())
    }

    fn ask_under_fire(&mut self) -> Done<Inflicted> {
        let addresses: Vec<SocketAddr> = self.cluster.nodes.iter().map(|node| node.api).collect();
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let (asking, addresses, token) = (self.asking.clone(), addresses.clone(), self.cluster.token.clone());
                thread::spawn(move || asking.work(worker, &addresses, &token))
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

    /// Waits until what did not commit is undone, as often as that takes.
    fn settle(&mut self) -> Done {
        say("what did not commit is undone");
        let mut told = Value::Null;
        let deadline = Instant::now() + UNDONE_WITHIN;
        while Instant::now() < deadline {
            let leader = self.cluster.until_led()?;
            // One that does not answer in time is asked again.
            told = self.cluster.ask(leader, "GET", "sys/plugins/intents", &Value::Null).unwrap_or_default();
            if told.pointer("/data/count").and_then(Value::as_u64) == Some(0) {
                return Ok(());
            }
            // Whoever failed at it waits for less long then. It is no reason to begin sooner.
            self.turn_on(10)?;
            thread::sleep(Duration::from_secs(2));
        }
        self.cluster.keep();
        let left = told.pointer("/data/intents").cloned().unwrap_or_default();
        Err(Failed::new(format!("intents were not undone: {left}")))
    }

    fn users(&self) -> BTreeSet<String> {
        let all = self.postgres.sql("postgres", "select rolname from pg_roles where rolname like 'v-%'");
        all.lines().map(str::to_owned).collect()
    }

    fn leases(&mut self) -> Done<BTreeSet<String>> {
        let leader = self.cluster.until_led()?;
        let prefix = "database/creds/app/";
        let told = self.cluster.ask(leader, "LIST", &format!("sys/leases/lookup/{prefix}"), &Value::Null);
        let told = match told {
            // Where nothing is listed a list answers so.
            Err(failed) if failed.to_string().contains("status 404") => return Ok(BTreeSet::new()),
            told => told?,
        };
        let keys = told.pointer("/data/keys").and_then(Value::as_array).cloned().unwrap_or_default();
        Ok(keys.iter().filter_map(Value::as_str).map(|key| format!("{prefix}{key}")).collect())
    }

    /// Each user has a lease and each lease a user, and all that somebody was told of are there.
    fn compare(&mut self) -> Done<usize> {
        let (users, leases) = (self.users(), self.leases()?);
        let made = self.asking.made.lock().map_err(|_| Failed::new("a client panicked"))?.clone();
        let lost: Vec<_> =
            made.iter().filter(|(user, lease)| !users.contains(user) || !leases.contains(lease)).collect();
        say(format_args!("{} users, {} leases, {} of them told to somebody", users.len(), leases.len(), made.len()));
        if users.len() != leases.len() || !lost.is_empty() || made.is_empty() {
            self.cluster.keep();
            return Err(Failed::new(format!(
                "{} users and {} leases; told to somebody and not there: {lost:?}",
                users.len(),
                leases.len()
            )));
        }
        Ok(users.len())
    }

    /// Ends leases one by one. With each goes one user: that which its client was told of, or one that
    /// nobody was told of.
    fn pair(&mut self) -> Done<usize> {
        say("leases end one by one");
        let made = self.asking.made.lock().map_err(|_| Failed::new("a client panicked"))?.clone();
        let told: BTreeMap<String, String> = made.into_iter().map(|(user, lease)| (lease, user)).collect();
        let (mut leases, mut users) = (Vec::from_iter(self.leases()?), self.users());
        // First those that nobody was told of: it is they that could be wrong unnoticed.
        leases.sort_by_key(|lease| told.contains_key(lease));
        leases.truncate(PAIRS_MAX);
        for lease in &leases {
            let leader = self.cluster.until_led()?;
            let body = json!({ "lease_id": lease, "sync": true });
            self.cluster.ask(leader, "PUT", "sys/leases/revoke", &body)?;
            let left = self.users();
            let gone: Vec<String> = users.difference(&left).cloned().collect();
            let is_own = match told.get(lease) {
                Some(user) => gone == [user.clone()],
                None => gone.len() == 1 && !told.values().any(|user| *user == gone[0]),
            };
            if !is_own || left.len() + 1 != users.len() {
                self.cluster.keep();
                return Err(Failed::new(format!(
                    "the end of lease {lease}, told of as {:?}, was that of {gone:?}",
                    told.get(lease)
                )));
            }
            users = left;
        }
        Ok(leases.len())
    }

    fn expire(&mut self) -> Done {
        say("all leases end");
        self.turn_on(2 * TTL_SECS)?;
        for _ in 0..120 {
            thread::sleep(Duration::from_secs(1));
            if self.users().is_empty() && self.leases()?.is_empty() {
                return Ok(());
            }
            // What failed waits longer and longer.
            self.turn_on(60)?;
        }
        self.cluster.keep();
        Err(Failed::new(format!("{} users are left", self.users().len())))
    }
}

impl Asking {
    fn work(&self, worker: usize, addresses: &[SocketAddr], token: &str) {
        let one = request("GET", "database/creds/app", token, "");
        let mut turn = worker;
        while self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            turn += 1;
            if self.ask(addresses[turn % addresses.len()], &one).is_none() {
                self.failed.fetch_add(1, Ordering::SeqCst);
            }
            thread::sleep(PACE);
        }
    }

    fn ask(&self, address: SocketAddr, one: &[u8]) -> Option<()> {
        let mut connection = Connection::open(address, ANSWER_MAX).ok()?;
        let answer = connection.exchange(one).ok().filter(|answer| answer.status == 200)?;
        let told: Value = serde_json::from_slice(answer.body).ok()?;
        let text = |pointer: &str| told.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let made = (text("/data/username")?, text("/lease_id")?);
        self.made.lock().ok()?.push(made);
        Some(())
    }
}
