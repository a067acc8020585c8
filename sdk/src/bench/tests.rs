mod means;

use serde_json::json;

use crate::bench::Bench;
use crate::prelude::*;

/// Hands out numbered codes.
struct Codes;

/// A role.
#[derive(Serialize, Deserialize, Stored)]
#[stored("role/{name}")]
struct Role {
    prefix: Secret<String>,
    ttl: Seconds,
}

#[derive(Fields)]
struct PutRole {
    /// Printed before every code.
    #[field(required)]
    prefix: Secret<String>,
    /// How long a code lives.
    #[field(default = "1h")]
    ttl: Seconds,
    /// Tags.
    tags: Vec<String>,
}

/// Hands out numbered codes.
///
/// For tests.
#[plugin(name = "codes", data_version = 2, seal_wrapped = ["role/"])]
impl Codes {
    /// Create or change a role.
    #[write("roles/{name}", exists = Role, describe(name = "Name of the role."))]
    fn put_role(cx: &Cx, name: &str, body: PutRole) -> Result<()> {
        assert!(body.tags.iter().all(|tag| !tag.is_empty()));
        cx.put(name, &Role { prefix: body.prefix, ttl: body.ttl })
    }

    /// Read a role.
    #[read("roles/{name}")]
    fn get_role(cx: &Cx, name: &str) -> Result<Json<Role>> {
        cx.require(name).map(Json)
    }

    #[list("roles/")]
    fn roles(cx: &Cx, page: Page) -> Result<Keys> {
        cx.list::<Role>(&page)
    }

    #[delete("roles/{name}")]
    fn drop_role(cx: &Cx, name: &str) -> Result<()> {
        cx.delete::<Role>(name)
    }

    #[read("codes/{name}")]
    fn code(cx: &Cx, name: &str) -> Result<Reply> {
        let role: Role = cx.require(name)?;
        let code = format!("{}-{}", role.prefix.expose(), cx.random_hex(4));
        json!({ "code": code }).leased("code", role.ttl, json!({ "code": code }))
    }

    #[update("broken")]
    fn broken(cx: &Cx) -> Result<()> {
        cx.put_bytes("half", b"written")?;
        Err(Error::invalid("no"))
    }

    #[update("fails")]
    fn fails(cx: &Cx) -> Result<Reply> {
        cx.put_bytes("kept", b"written")?;
        Ok(Reply::failed(403, "no"))
    }

    #[update("later")]
    fn later(cx: &Cx) -> Result<()> {
        cx.schedule("tick", "", b"1", cx.now_ms() + 60_000)
    }

    #[job("tick")]
    fn tick(cx: &Cx, _key: &str, payload: &[u8]) -> Result<JobOutcome> {
        cx.put_bytes("ticked", payload)?;
        Ok(match payload {
            b"1" => JobOutcome::Again((cx.now_ms() + 1, b"2".to_vec())),
            _ => JobOutcome::Done,
        })
    }

    #[revoke("code")]
    fn revoke(cx: &Cx, lease: &Lease) -> Result<()> {
        cx.log_info("revoked", &[("lease", &lease.id)]);
        Ok(())
    }

    #[read("{rest...}", when("mode", "open"))]
    fn rest(_cx: &Cx, rest: &str) -> Result<Value> {
        Ok(json!({ "rest": rest }))
    }
}

fn bench() -> Bench<Codes> {
    Bench::new()
}

#[test]
fn what_is_written_can_be_read_and_listed_and_deleted() {
    let mut bench = bench();
    assert_eq!(bench.write("roles/a", json!({ "prefix": "x", "ttl": "90m", "tags": "p, q" })).status(), 204);
    assert_eq!(bench.read("roles/a").data(), json!({ "prefix": "x", "ttl": 5400 }));
    assert_eq!(bench.list("roles/").data(), json!({ "keys": ["a"] }));
    bench.delete("roles/a").ok();
    assert_eq!(bench.read("roles/a").status(), 404);
    assert_eq!(bench.list("roles/").status(), 404);
}

#[test]
fn missing_fields_take_their_default_and_required_ones_are_asked_for() {
    let mut bench = bench();
    bench.write("roles/a", json!({ "prefix": "x" })).ok();
    assert_eq!(bench.read("roles/a").data()["ttl"], 3600);
    assert_eq!(bench.write("roles/a", json!({})).status(), 400);
}

#[test]
fn unknown_and_captured_names_are_left_out_with_a_warning() {
    let mut bench = bench();
    let answer = bench.write("roles/a", json!({ "prefix": "x", "name": "b", "zoo": 1 }));
    assert!(answer.warnings().is_empty(), "nothing is said beside an empty answer");
    assert_eq!(bench.list("roles/").data(), json!({ "keys": ["a"] }));
    let answer = bench.read_with("roles/a", json!({ "name": "b", "zoo": "1" }));
    assert_eq!(answer.warnings()[0], "Endpoint ignored these unrecognized parameters: [zoo]");
    assert!(answer.warnings()[1].ends_with("[name]"));
}

#[test]
fn an_error_rolls_back_and_a_failed_reply_commits() {
    let mut bench = bench();
    assert_eq!(bench.write("broken", json!({})).error(), "no");
    assert!(bench.stored("half").is_none());
    assert_eq!(bench.write("fails", json!({})).status(), 403);
    assert!(bench.stored("kept").is_some());
}

#[test]
fn a_leased_answer_is_handed_back_to_its_revoke_handler() {
    let mut bench = bench();
    bench.write("roles/a", json!({ "prefix": "x" })).ok();
    let answer = bench.read("codes/a");
    assert_eq!(answer.lease().ttl, Some(3600));
    bench.revoke(answer.lease()).unwrap();
    assert_eq!(bench.log().last().unwrap().message, "revoked");
}

#[test]
fn jobs_run_when_their_time_has_come_and_may_ask_to_run_again() {
    let mut bench = bench();
    bench.write("later", json!({})).ok();
    assert_eq!(bench.advance(59).unwrap(), 0);
    assert_eq!(bench.advance(1).unwrap(), 1);
    assert_eq!(bench.advance(1).unwrap(), 1);
    assert_eq!(bench.stored("ticked"), Some(&b"2"[..]));
}

#[test]
fn a_conditional_route_exists_only_on_mounts_with_the_option() {
    assert_eq!(bench().read("any/where").status(), 404);
    let mut open = bench().option("mode", "open");
    assert_eq!(open.read("any/where").data(), json!({ "rest": "any/where" }));
    assert_eq!(open.read("roles/a").status(), 404);
}

#[test]
fn the_descriptor_tells_routes_fields_and_help() {
    let bench = bench();
    let descriptor = bench.descriptor();
    assert_eq!((descriptor.name.as_str(), descriptor.data_version), ("codes", 2));
    assert_eq!(descriptor.summary, "Hands out numbered codes.");
    let route = &descriptor.routes[0];
    assert_eq!(route.pattern, "roles/{name}");
    let names: Vec<_> = route.fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["name", "prefix", "ttl", "tags"]);
    assert!(route.fields[1].sensitive && route.fields[1].required);
    assert_eq!(route.operations.len(), 4);
    assert_eq!(descriptor.lease_kinds, ["code"]);
    let code = descriptor.routes.iter().find(|route| route.pattern == "codes/{name}").unwrap();
    assert!(code.extra.is_empty());
}

/// Counts its calls outside of storage, which no guest may.
struct Forgetful;

#[plugin(name = "forgetful")]
impl Forgetful {
    #[read("count")]
    fn count(_cx: &Cx) -> Result<Value> {
        static CALLS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        Ok(json!(CALLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed)))
    }
}

#[test]
#[should_panic(expected = "came to another answer")]
fn a_handler_that_depends_on_running_once_is_found_out() {
    let _ = Bench::<Forgetful>::new().read("count");
}
