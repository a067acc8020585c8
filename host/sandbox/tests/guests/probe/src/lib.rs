//! A guest whose behaviour is chosen by the request's path: the hostile ones, a few
//! honest ones to measure, and two that hunt for what another instance left behind.

mod bump;
mod hunt;

use bulkhead::plugin::types::{
    Error, Existence, FieldKind, Lease, LeaseGrant, Operation, OperationDoc, Renewal, Request, Response, Route, Seconds,
};
use bulkhead::plugin::{cache, digest, storage, system, types};
use exports::bulkhead::plugin::engine::Outcome;
use exports::bulkhead::plugin::lifecycle::{JobOutcome, Reason, UpgradeStep};
use exports::bulkhead::plugin::{engine, lifecycle, metadata};

wit_bindgen::generate!({ path: "../../../../../wit/v1", world: "secrets-engine" });
export!(Probe);

struct Probe;

/// The tests change "no" into "on" in the compiled module: then `describe` calls an
/// import, which no description may.
static NOSY: [u8; 9] = *b"nosy=no;\0";

impl metadata::Guest for Probe {
    fn describe() -> types::Descriptor {
        // Volatile, or the compiler would know the answer.
        if unsafe { (&raw const NOSY).read_volatile() }[5] == b'o' {
            system::now();
        }
        types::Descriptor {
            name: "probe".into(),
            version: "0.1.0".into(),
            summary: String::new(),
            help: String::new(),
            data_version: 1,
            oldest_readable_data: 1,
            routes: vec![route()],
            seal_wrapped: vec![],
            local: vec![],
            lease_kinds: vec!["creds".into()],
            jobs: vec![],
            extra: vec![],
        }
    }
}

fn route() -> Route {
    let name = types::Field {
        name: "ttl".into(),
        kind: FieldKind::Duration,
        description: String::new(),
        required: false,
        default: Some(b"3600".to_vec()),
        allowed: vec![],
        sensitive: false,
        deprecated: false,
        extra: vec![],
    };
    let read = OperationDoc {
        operation: Operation::Read,
        id: "read".into(),
        summary: String::new(),
        description: String::new(),
        responses: vec![],
        active_only: false,
        deprecated: false,
        unpublished: false,
    };
    Route {
        pattern: "{path...}".into(),
        synopsis: String::new(),
        description: String::new(),
        fields: vec![name],
        operations: vec![read],
        existence: Existence::Key("role/{path}".into()),
        unauthenticated: false,
        sudo: false,
        accepts_unknown_fields: true,
        raw_body: false,
        request_headers: vec![],
        extra: vec![("when-option".into(), b"[\"version\",\"2\"]".to_vec())],
    }
}

impl engine::Guest for Probe {
    fn exists(request: Request) -> Result<bool, Error> {
        Ok(storage_get(&request.path)?.is_some())
    }

    fn handle(request: Request) -> Result<Outcome, Error> {
        let response = match request.path.as_str() {
            "echo" => json(echo(&request)),
            "read3" => json(read3()?),
            "empty" => Response { data: None, ..blank() },
            "put" => put("key", &request.data)?,
            "cache" => json(cached()),
            "digest" => json(digests()),
            "mount" => json(mount()),
            "pbkdf2" => json(pbkdf2()),
            "passwords" => json(passwords()),
            "slow-password" => json(slow_password()),
            "refuse" => return Err(Error::PreconditionFailed("no".into())),
            "lease" => return Ok(leased()),
            "wait" => wait()?,
            "log" => log(),
            "leave" => json(hunt::leave()),
            "hunt" => json(hunt::hunt()),
            "leave-and-hunt" => {
                hunt::leave();
                json(hunt::hunt())
            }
            hostile => misbehave(hostile)?,
        };
        Ok(Outcome { response, lease: None })
    }

    fn renew(lease: Lease, increment: Option<Seconds>) -> Result<Renewal, Error> {
        Ok(Renewal {
            ttl: increment,
            max_ttl: None,
            internal: Some(lease.internal),
            data: None,
            warnings: vec![lease.id],
        })
    }

    fn revoke(_: Lease) -> Result<(), Error> {
        panic!("revoke traps")
    }
}

impl lifecycle::Guest for Probe {
    fn initialize(_: Reason) -> Result<(), Error> {
        Ok(())
    }

    fn upgrade(from: u32, _: Option<String>) -> Result<UpgradeStep, Error> {
        Ok(UpgradeStep::More(format!("from {from}")))
    }

    fn run_job(_: String, _: String, payload: Vec<u8>) -> Result<JobOutcome, Error> {
        Ok(JobOutcome::Again((7, payload)))
    }

    fn rollback(kind: String, _: Vec<u8>) -> Result<(), Error> {
        Err(Error::Internal(kind))
    }
}

fn blank() -> Response {
    Response {
        data: None,
        warnings: vec![],
        errors: vec![],
        status: None,
        headers: vec![],
        raw: None,
        force_wrap: None,
        extra: vec![],
    }
}

fn json(text: impl Into<Vec<u8>>) -> Response {
    Response { data: Some(text.into()), ..blank() }
}

fn echo(request: &Request) -> String {
    let caller = &request.caller;
    let texts = [
        &request.id,
        &request.captures[0].1,
        &request.supplied[0],
        &request.headers[0].1,
        &caller.display_name,
        caller.entity_id.as_ref().unwrap(),
        &caller.metadata[0].1,
    ];
    let texts: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
    let data = String::from_utf8(request.data.clone()).unwrap();
    let numbers = [u64::from(request.route), u64::from(caller.remote_port), request.wrap_ttl.unwrap()];
    format!("{{\"texts\":[{}],\"numbers\":{numbers:?},\"data\":{data}}}", texts.join(","))
}

fn storage_get(key: &str) -> Result<Option<Vec<u8>>, Error> {
    storage::get(key).map_err(|error| Error::Internal(format!("{error:?}")))
}

/// What a kv read costs: three reads, a little parsing and building.
fn read3() -> Result<Vec<u8>, Error> {
    let mut out = b"{\"data\":".to_vec();
    let config = storage_get("config")?.unwrap_or_default();
    let metadata = storage_get("metadata/app")?.unwrap_or_default();
    let value = storage_get("versions/app/1")?.ok_or(Error::NotFound)?;
    out.extend_from_slice(&value);
    out.extend_from_slice(b",\"metadata\":");
    out.extend_from_slice(&metadata);
    out.extend_from_slice(format!(",\"config_bytes\":{}}}", config.len()).as_bytes());
    Ok(out)
}

fn put(key: &str, value: &[u8]) -> Result<Response, Error> {
    storage::put(key, value).map_err(|error| Error::Internal(format!("{error:?}")))?;
    Ok(blank())
}

fn cached() -> String {
    let hit = cache::get("warm").is_some();
    cache::put("warm", b"1", 60, &["config".to_owned()]);
    format!("{{\"hit\":{hit}}}")
}

fn digests() -> String {
    let hex = |bytes: Vec<u8>| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let hash = hex(digest::hash("sha2-256", b"abc").unwrap());
    let mac = hex(digest::hmac("sha2-256", b"Jefe", b"what do ya want for nothing?").unwrap());
    let okm = hex(digest::hkdf("sha2-256", &[0x0b; 22], &[], &[], 42).unwrap());
    let derived = hex(digest::pbkdf2("sha2-256", b"password", b"salt", 2, 32).unwrap());
    let refused = digest::hash("rot13", b"").unwrap_err();
    let uuid = digest::uuid();
    let equal = digest::equal(b"a", b"a") && !digest::equal(b"a", b"b");
    format!(
        "{{\"hash\":\"{hash}\",\"mac\":\"{mac}\",\"okm\":\"{okm}\",\"derived\":\"{derived}\",\"refused\":{refused:?},\
         \"uuid\":\"{uuid}\",\"equal\":{equal},\"random\":{}}}",
        digest::random(33).len()
    )
}

fn pbkdf2() -> String {
    let bytes = digest::pbkdf2("sha2-256", b"password", b"salt", 100_000, 16).unwrap();
    format!("{{\"bytes\":{}}}", bytes.len())
}

fn passwords() -> String {
    let seen: Vec<String> =
        ["bcrypt:4", "argon2id:m=64,t=1,p=1", "bcrypt:40"].iter().map(|scheme| password(scheme)).collect();
    let refused = digest::password_verify("$1$salt$hash", b"right").unwrap_err();
    format!("{{\"seen\":[{}],\"refused\":{refused:?}}}", seen.join(","))
}

fn password(scheme: &str) -> String {
    let hash = match digest::password_hash(scheme, b"right") {
        Ok(hash) => hash,
        Err(refused) => return format!("{refused:?}"),
    };
    let right = digest::password_verify(&hash, b"right").unwrap();
    let wrong = digest::password_verify(&hash, b"wrong").unwrap();
    format!("[{hash:?},{right},{wrong}]")
}

fn slow_password() -> String {
    let hash = digest::password_hash("bcrypt:12", b"p").unwrap();
    format!("{{\"bytes\":{}}}", hash.len())
}

fn mount() -> String {
    let mount = system::mount_info();
    let limits = system::limits_info();
    format!(
        "{{\"path\":{:?},\"options\":{},\"now\":{},\"cluster\":{:?},\"remaining\":{},\"value\":{}}}",
        mount.path,
        mount.options.len(),
        system::now(),
        system::cluster_id(),
        limits.remaining_ms > 0,
        limits.max_value_bytes
    )
}

fn leased() -> Outcome {
    let lease = LeaseGrant {
        kind: "creds".into(),
        ttl: Some(60),
        max_ttl: None,
        renewable: true,
        internal: b"{\"user\":\"u\"}".to_vec(),
    };
    Outcome { response: json("{}"), lease: Some(lease) }
}

fn wait() -> Result<Response, Error> {
    storage::acquire("never", u32::MAX).map_err(|error| Error::Internal(format!("{error:?}")))?;
    Ok(blank())
}

fn log() -> Response {
    let fields = [("user\n".to_owned(), "\u{1b}[31mred\r\n\u{202e}evil".to_owned())];
    system::log(system::Level::Warn, "first\nsecond \u{7}", &fields);
    blank()
}

fn misbehave(how: &str) -> Result<Response, Error> {
    match how {
        "loop" => loop {
            core::hint::black_box(0);
        },
        "recurse" => return Ok(json(format!("{{\"depth\":{}}}", recurse(0, core::hint::black_box(u64::MAX))))),
        "recurse-in-memory" => return Ok(json(format!("{{\"depth\":{}}}", recurse_in_memory(0)))),
        "grow" => return Ok(json(grow())),
        "trap" => core::arch::wasm32::unreachable(),
        "panic" => panic!("a secret in a panic"),
        "storm" => (0..10_000_000).for_each(|_| _ = system::now()),
        "read-storm" => (0..10_000_000).for_each(|_| drop(storage::get("config"))),
        "write-storm" => (0..10_000_000).for_each(|at: u32| drop(storage::put(&at.to_string(), b"x"))),
        "random-storm" => (0..10_000_000).for_each(|_| drop(digest::random(65_536))),
        "derive-storm" => (0..100).for_each(|_| drop(digest::pbkdf2("sha2-256", b"p", b"s", 500_000, 32))),
        "password-storm" => (0..100).for_each(|_| drop(digest::password_hash("bcrypt:4", b"p"))),
        "lock-storm" => (0..1_000).for_each(|at: u32| core::mem::forget(storage::acquire(&format!("ok{at}"), 0))),
        "log-flood" => (0..1_000).for_each(|_| system::log(system::Level::Info, &"x".repeat(2_000), &[])),
        "log-line" => system::log(system::Level::Info, &"y".repeat(1_000_000), &[]),
        "big-argument" => drop(digest::hash("sha2-256", &vec![0; 50 << 20])),
        _ => return answer_badly(how),
    }
    Ok(blank())
}

fn answer_badly(how: &str) -> Result<Response, Error> {
    let header = |name: &str, value: &str| Response { headers: vec![(name.into(), value.into())], ..blank() };
    Ok(match how {
        "big" => Response { data: Some(vec![b' '; 38 << 20]), ..blank() },
        "huge" => Response { data: Some(vec![b' '; 48 << 20]), ..blank() },
        "many-headers" => Response { headers: vec![("x-a".into(), "b".into()); 100_000], ..blank() },
        "many-warnings" => Response { warnings: vec!["w".into(); 1_000], ..blank() },
        "crlf" => header("x-a", "b\r\nset-cookie: c=d"),
        "header-name" => header("x a", "b"),
        "cookie" => header("Set-Cookie", "a=b"),
        "good-header" => header("Replay-Nonce", "abc"),
        "content-type" => Response {
            raw: Some(types::RawBody { content_type: "text/plain\r\nx: y".into(), content: vec![] }),
            ..blank()
        },
        "envelope" => json("{},\"auth\":{\"client_token\":\"x\"}"),
        "array" => json("[]"),
        "deep" => json(format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200))),
        "status" => Response { status: Some(101), ..blank() },
        "gone" => Response { status: Some(404), ..json("{}") },
        _ => return Err(Error::NotFound),
    })
}

/// Uses the call stack alone: what is left to do after the call keeps it from becoming
/// a loop.
fn recurse(depth: u64, end: u64) -> u64 {
    if depth == end { 0 } else { recurse(depth + 1, end).rotate_left(3) ^ depth }
}

/// Uses the stack in linear memory, which ends sooner.
fn recurse_in_memory(depth: u64) -> u64 {
    let place = core::hint::black_box([depth; 32]);
    if depth == u64::MAX { 0 } else { recurse_in_memory(place[7] + 1) ^ core::hint::black_box(&place)[9] }
}

/// Takes pages, and touches them, until there are no more.
fn grow() -> String {
    let page = 65_536;
    while core::arch::wasm32::memory_grow(0, 16) != usize::MAX {
        let end = core::arch::wasm32::memory_size(0) * page;
        for at in 1..=16 {
            // Sound: the page was just added to this instance's own memory.
            unsafe { ((end - at * page) as *mut u8).write_volatile(1) };
        }
    }
    format!("{{\"pages\":{}}}", core::arch::wasm32::memory_size(0))
}
