//! What a handler may do beside storage, and how a test sees it.

use serde_json::json;

use crate::bench::Bench;
use crate::prelude::*;
use crate::{Entity, Group, TokenType};

/// Makes accounts in some outside system.
struct Accounts;

#[derive(Serialize, Deserialize)]
struct Made {
    name: String,
}

#[derive(Fields)]
struct Login {
    #[field(required)]
    password: Secret<String>,
}

#[plugin(name = "accounts")]
impl Accounts {
    #[update("make/{name}")]
    fn make(cx: &Cx, name: &str) -> Result<()> {
        cx.intend("account", &Made { name: name.to_owned() })?;
        if name == "broken" {
            return Err(Error::upstream("it broke half way"));
        }
        cx.put_bytes(&format!("account/{name}"), b"made")
    }

    #[update("settle")]
    fn settle(cx: &Cx) -> Result<()> {
        let first = cx.intend("account", &Made { name: "first".to_owned() })?;
        cx.resolve(first);
        Err(Error::invalid("what is settled is settled with the commit only"))
    }

    #[rollback("account")]
    fn unmake(cx: &Cx, data: &[u8]) -> Result<()> {
        let made: Made = crate::decode_json(data)?;
        cx.log_info("unmade", &[("name", &made.name)]);
        match cx.get_bytes("outage")? {
            Some(_) => Err(Error::upstream("down")),
            None => cx.put_bytes(&format!("unmade/{}", made.name), b"1"),
        }
    }

    #[update("sweep")]
    fn sweep(cx: &Cx) -> Result<()> {
        let _lock = cx.acquire("sweep", 100)?;
        cx.schedule("sweep", "a", b"{}", cx.now_ms() + 1)?;
        cx.schedule("sweep", "b", b"{}", cx.now_ms() + 1)?;
        cx.cancel("sweep", "b");
        Ok(())
    }

    #[initialize]
    fn initialize(cx: &Cx, reason: Reason) -> Result<()> {
        cx.put_bytes("reason", format!("{reason:?}").as_bytes())
    }

    #[upgrade]
    fn upgrade(cx: &Cx, from: u32, cursor: Option<String>) -> Result<UpgradeStep> {
        cx.put_bytes("from", &[from as u8])?;
        Ok(if cursor.is_none() { UpgradeStep::More("half".to_owned()) } else { UpgradeStep::Done })
    }

    #[read("secrets")]
    fn secrets(cx: &Cx) -> Result<Value> {
        let token = cx.wrap(&json!({ "a": 1 }), Seconds(60))?;
        let (plain, named) = (cx.generate_password(None)?, cx.generate_password(Some("long"))?);
        Ok(json!({
            "token": token, "plain": plain, "named": named, "uuid": cx.uuid(), "random": cx.random(3),
            "unknown": cx.generate_password(Some("none")).is_err(),
        }))
    }

    #[read("who/{id}")]
    fn who(cx: &Cx, id: &str) -> Result<Value> {
        let groups: Vec<String> = cx.groups(id).into_iter().map(|group| group.name).collect();
        Ok(
            json!({ "groups": groups, "text": cx.expand("{{identity.entity.name}}/{{ identity.entity.metadata.team }}", id)? }),
        )
    }

    #[read("from")]
    fn from(_cx: &Cx, request: &Request) -> Result<Value> {
        Ok(json!(request.caller.remote_address))
    }

    #[read("remember")]
    fn remember(cx: &Cx) -> Result<Value> {
        Ok(json!(cx.cached("k").is_some()))
    }

    #[update("remember")]
    fn keep(cx: &Cx) -> Result<()> {
        cx.remember("k", b"v", 60, &[]);
        Ok(())
    }

    #[delete("remember")]
    fn forget(cx: &Cx) -> Result<()> {
        cx.forget("k");
        Ok(())
    }

    #[update("password/{scheme}")]
    fn password(cx: &Cx, scheme: &str, body: Login) -> Result<()> {
        let hash = cx.password_hash(scheme, body.password.expose().as_bytes())?;
        cx.put_bytes("hash", hash.as_bytes())
    }

    #[login("login")]
    fn login(cx: &Cx, body: Login) -> Result<Auth> {
        let hash = String::from_utf8(cx.get_bytes("hash")?.ok_or(Error::NotFound)?).unwrap();
        if !cx.password_verify(&hash, body.password.expose().as_bytes())? {
            return Err(Error::invalid("no"));
        }
        let auth = Auth::named("ann").alias_metadata("team", "red").group_alias("dev").group_alias("ops");
        let auth = auth.policies(vec!["p".to_owned()]).no_default_policy().metadata("m", "1").display_name("Ann");
        let auth = auth.ttl(Seconds(1)).max_ttl(Seconds(2)).explicit_max_ttl(Seconds(3)).period(Seconds(0));
        Ok(auth.num_uses(4).token_type(TokenType::Batch).bound_cidrs(vec!["10.0.0.0/8".to_owned()]).not_renewable())
    }
}

fn bench() -> Bench<Accounts> {
    Bench::new()
}

#[test]
fn a_call_that_commits_leaves_no_intent() {
    let mut bench = bench();
    bench.write("make/a", json!({})).ok();
    assert!(bench.intents().is_empty());
    assert!(bench.stored("account/a").is_some());
}

#[test]
fn a_call_that_fails_leaves_its_intent_until_it_is_rolled_back() {
    let mut bench = bench();
    assert_eq!(bench.write("make/broken", json!({})).status(), 502);
    assert_eq!(bench.intents(), [("account", json!({ "name": "broken" }))]);
    bench.store("outage", b"");
    assert!(bench.roll_back().is_err());
    assert_eq!(bench.intents().len(), 1, "an intent stays until its handler succeeds");
    bench.remove("outage");
    assert_eq!(bench.roll_back().unwrap(), 1);
    assert!(bench.intents().is_empty());
    assert!(bench.stored("unmade/broken").is_some());
    assert_eq!(bench.roll_back().unwrap(), 0);
}

#[test]
fn a_commit_that_is_lost_leaves_the_intent_and_none_of_the_writes() {
    let mut bench = bench();
    bench.lose_next_commit();
    assert_eq!(bench.write("make/a", json!({})).status(), 503);
    assert!(bench.stored("account/a").is_none());
    assert_eq!(bench.intents().len(), 1);
    bench.write("make/b", json!({})).ok();
    assert_eq!(bench.intents(), [("account", json!({ "name": "a" }))], "only that one call was lost");
}

#[test]
fn an_intent_is_resolved_with_the_commit_and_not_before() {
    let mut bench = bench();
    assert_eq!(bench.write("settle", json!({})).status(), 400);
    assert_eq!(bench.intents().len(), 1);
}

#[test]
fn a_lock_that_another_call_holds_is_refused() {
    let mut bench = bench();
    bench.hold_lock("sweep");
    assert_eq!(bench.write("sweep", json!({})).status(), 503);
    bench.release_lock("sweep");
    bench.write("sweep", json!({})).ok();
    bench.write("sweep", json!({})).ok();
}

#[test]
fn a_cancelled_job_is_not_scheduled() {
    let mut bench = bench();
    bench.write("sweep", json!({})).ok();
    assert_eq!(bench.jobs(), [("sweep", "a")]);
    assert!(bench.advance(1).is_err(), "there is no handler of this job");
    assert_eq!(bench.jobs(), [("sweep", "a")], "a job that failed stays");
}

#[test]
fn the_hosts_own_calls_reach_their_handlers() {
    let mut bench = bench();
    bench.initialize(Reason::BecameActive).unwrap();
    assert_eq!(bench.stored("reason"), Some(&b"Reason::BecameActive"[..]));
    assert_eq!(bench.upgrade(3).unwrap(), 2);
    assert_eq!(bench.stored("from"), Some(&[3][..]));
}

#[test]
fn what_is_wrapped_is_given_out_once_and_in_time() {
    let mut bench = bench();
    bench.add_password_policy("long", 40);
    let seen = bench.read("secrets").data();
    let token = seen["token"].as_str().unwrap();
    assert_eq!(bench.unwrap(token), Some(json!({ "a": 1 })));
    assert_eq!(bench.unwrap(token), None);
    let late = bench.read("secrets").data();
    assert_ne!(late["token"], seen["token"]);
    bench.advance(60).unwrap();
    assert_eq!(bench.unwrap(late["token"].as_str().unwrap()), None);
    assert_eq!((seen["plain"].as_str().unwrap().len(), seen["named"].as_str().unwrap().len()), (20, 40));
    assert_eq!((&seen["unknown"], seen["random"].as_array().unwrap().len()), (&json!(true), 3));
    assert_eq!(seen["uuid"].as_str().unwrap().len(), 36);
}

#[test]
fn entities_and_groups_are_those_the_test_added() {
    let mut bench = bench();
    assert_eq!(bench.read("who/e1").status(), 400);
    let pair = ("team".to_owned(), "red".to_owned());
    let (id, name) = ("e1".to_owned(), "ann".to_owned());
    bench.add_entity(Entity { id, name, disabled: false, metadata: vec![pair], aliases: vec![] });
    bench.add_group("e1", Group { id: "g1".to_owned(), name: "dev".to_owned(), metadata: vec![] });
    assert_eq!(bench.read("who/e1").data(), json!({ "groups": ["dev"], "text": "ann/red" }));
}

#[test]
fn the_nodes_memory_forgets_in_time_and_when_told() {
    let mut bench = bench();
    bench.write("remember", json!({})).ok();
    assert_eq!(bench.read("remember").data(), json!(true));
    bench.advance(60).unwrap();
    assert_eq!(bench.read("remember").data(), json!(false));
    bench.write("remember", json!({})).ok();
    bench.delete("remember").ok();
    assert_eq!(bench.read("remember").data(), json!(false));
}

#[test]
fn a_password_is_recognised_by_its_hash_alone() {
    for (scheme, form) in
        [("bcrypt", "$2b$10$"), ("bcrypt:4", "$2b$04$"), ("argon2id", "$argon2id$v=19$m=65536,t=3,p=1$")]
    {
        let mut bench = bench();
        bench.write(&format!("password/{scheme}"), json!({ "password": "right" })).ok();
        let hash = String::from_utf8(bench.stored("hash").unwrap().to_vec()).unwrap();
        assert!(hash.starts_with(form), "{hash}");
        assert!(scheme.starts_with("argon") || hash.len() == 60, "{hash}");
        assert_eq!(bench.write("login", json!({ "password": "wrong" })).error(), "no");
        bench.write("login", json!({ "password": "right" })).ok();
    }
}

#[test]
fn schemes_and_passwords_that_the_host_refuses_are_refused() {
    let mut bench = bench();
    let error = |bench: &mut Bench<Accounts>, scheme: &str, password: &str| {
        let answer = bench.write(&format!("password/{scheme}"), json!({ "password": password }));
        (answer.status(), answer.error().to_owned())
    };
    let (status, text) = error(&mut bench, "bcrypt", &"p".repeat(73));
    assert_eq!((status, text.as_str()), (400, "bcrypt: password length exceeds 72 bytes"));
    for scheme in ["bcrypt:15", "argon2id:m=4,t=1,p=1", "argon2id:t=1", "md5"] {
        assert_eq!(error(&mut bench, scheme, "p").0, 400, "{scheme}");
    }
    bench.store("hash", b"$2b$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe");
    assert_eq!(bench.write("login", json!({ "password": "a" })).status(), 400, "a real hash is no hash of the bench");
}

#[test]
fn a_grant_has_what_the_login_set() {
    let mut bench = bench();
    bench.write("password/bcrypt", json!({ "password": "p" })).ok();
    let answer = bench.write("login", json!({ "password": "p" }));
    let grant = answer.auth();
    let alias = grant.alias.as_ref().unwrap();
    assert_eq!((alias.name.as_str(), &alias.metadata[0].1[..], grant.display_name.as_str()), ("ann", "red", "Ann"));
    let groups: Vec<_> = grant.group_aliases.iter().map(|alias| alias.name.as_str()).collect();
    assert_eq!(groups, ["dev", "ops"]);
    assert_eq!((grant.ttl, grant.max_ttl, grant.explicit_max_ttl, grant.period), (Some(1), Some(2), Some(3), None));
    assert_eq!((grant.num_uses, grant.token_type), (4, TokenType::Batch));
    assert!(grant.no_default_policy && !grant.renewable);
    assert_eq!(
        (grant.bound_cidrs.as_slice(), grant.policies.as_slice()),
        (&["10.0.0.0/8".to_owned()][..], &["p".to_owned()][..])
    );
    assert!(Auth::without_alias("nobody").0.alias.is_none());
}

#[test]
fn the_test_chooses_who_calls() {
    let mut bench = bench();
    bench.caller().remote_address = "10.0.0.1".to_owned();
    assert_eq!(bench.read("from").data(), json!("10.0.0.1"));
}

/// The vectors of the host's own test.
#[test]
fn digests_match_the_published_vectors() {
    use crate::bench::digest::Algorithm;
    let sha256 = Algorithm::named("sha2-256").unwrap();
    let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(sha256.hash(b"abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    let mac = sha256.hmac(b"Jefe", b"what do ya want for nothing?");
    assert_eq!(hex(mac), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    let okm = sha256.hkdf(&[0x0b; 22], &[], &[], 42).unwrap();
    assert_eq!(hex(okm), "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
    let derived = sha256.pbkdf2(b"password", b"salt", 2, 32).unwrap();
    assert_eq!(hex(derived), "ae4d0c95af6b46d32d0adff928f06dd02a303f8ef3c251dfd6e2d85a95474c43");
    let sha1 = Algorithm::named("sha1").unwrap().hash(b"abc");
    assert_eq!(hex(sha1), "a9993e364706816aba3e25717850c26c9cd0d89d");
    assert!(Algorithm::named("rot13").is_err());
}
