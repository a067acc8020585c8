//! Nothing that is secret is legible anywhere on disk: not in the data folder, not
//! in the audit file, not in the logs, in whatever encoding. What lives here: the
//! canaries, the places they are put, and the search. What must not: any knowledge
//! of how files are written.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use bulkhead_tests::http::{Reply, Request};
use bulkhead_tests::node::{Node, Start};
use bulkhead_tests::programs::Program;
use bulkhead_tests::totp;
use serde_json::json;

/// Where a canary must not be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nowhere {
    /// Secret values and names, tokens, shares: on no file at all.
    Anywhere,
    /// Names of mounts, policies and fields, metadata of tokens: the audit file may name them,
    /// as Vault's does, the data folder not.
    InData,
}

/// A text that must not be found, with what it was.
struct Canary {
    text: String,
    what: String,
    nowhere: Nowhere,
}

/// All canaries of a run.
#[derive(Default)]
struct Flock(Vec<Canary>);

impl Flock {
    /// A new text, unlike any other, to be written as a secret value or name.
    fn secret(&mut self, what: &str) -> String {
        self.add(what, Nowhere::Anywhere)
    }

    /// A new text for a name that logs may show.
    fn name(&mut self, what: &str) -> String {
        self.add(what, Nowhere::InData)
    }

    fn add(&mut self, what: &str, nowhere: Nowhere) -> String {
        let text = format!("canary{:02}{}xq7", self.0.len(), what.replace(' ', ""));
        self.0.push(Canary { text: text.clone(), what: what.to_owned(), nowhere });
        text
    }

    /// A text the server made: a token or a share.
    fn made(&mut self, what: &str, text: String) {
        self.0.push(Canary { text, what: what.to_owned(), nowhere: Nowhere::Anywhere });
    }
}

/// All ways a text may stand in a file.
fn guises(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = text.as_bytes();
    let hexed = hex::encode(bytes);
    let mut guises = vec![
        ("as it is", bytes.to_vec()),
        ("in upper case", text.to_uppercase().into_bytes()),
        ("in hex", hexed.clone().into_bytes()),
        ("in upper-case hex", hexed.to_uppercase().into_bytes()),
        (
            "url-encoded throughout",
            bytes
                .iter()
                .fold(String::new(), |mut text, byte| {
                    let _ = write!(text, "%{byte:02X}");
                    text
                })
                .into_bytes(),
        ),
        ("in UTF-16, little end first", text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("in UTF-16, big end first", text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        ("backwards", bytes.iter().rev().copied().collect()),
        ("as a list of numbers", bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(",").into_bytes()),
    ];
    for shift in 0..3 {
        let shifted = [vec![0; shift], bytes.to_vec()].concat();
        // Only the letters that depend on nothing but the text.
        let (first, last) = ((shift * 8).div_ceil(6), shifted.len() * 8 / 6);
        guises.push(("in base64", STANDARD_NO_PAD.encode(&shifted).as_bytes()[first..last].to_vec()));
        guises.push(("in base64 for URLs", URL_SAFE_NO_PAD.encode(&shifted).as_bytes()[first..last].to_vec()));
    }
    guises
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Where canaries are found, each with its guise and file.
fn found(flock: &Flock, folder: &Path, wanted: impl Fn(&Canary) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for file in files(folder) {
        let bytes = fs::read(&file).unwrap();
        let haystack = String::from_utf8_lossy(&bytes);
        for canary in flock.0.iter().filter(|canary| wanted(canary)) {
            for (guise, needle) in guises(&canary.text) {
                let is_there = match std::str::from_utf8(&needle) {
                    Ok(text) if !needle.contains(&0) => haystack.contains(text),
                    _ => bytes.windows(needle.len()).any(|window| window == needle),
                };
                if is_there {
                    found.push(format!(
                        "{} ({}) {guise} in {}",
                        canary.text,
                        canary.what,
                        file.strip_prefix(folder).unwrap().display()
                    ));
                }
            }
        }
    }
    found
}

/// Writes canaries in every way there is, also in requests that fail.
fn release(node: &Node, flock: &mut Flock) {
    let (one, two) = (flock.name("mount v1"), flock.name("mount v2"));
    node.put(&format!("sys/mounts/{one}"), &json!({"type": "kv", "description": flock.name("mount description")}));
    node.put(&format!("sys/mounts/{two}"), &json!({"type": "kv", "options": {"version": "2"}}));
    let (folder, name) = (flock.secret("folder"), flock.secret("name"));
    let (key, value) = (flock.name("key"), flock.secret("value"));
    node.put(
        &format!("{one}/{folder}/{name}"),
        &json!({key.as_str(): value, "nested": {"list": [flock.secret("nested value")]}}),
    );
    for _ in 0..3 {
        let (key, value) = (flock.name("key two"), flock.secret("value two"));
        node.put(&format!("{two}/data/{folder}/{name}"), &json!({"data": {key: value}}));
    }
    let custom = json!({flock.name("custom key"): flock.secret("custom value")});
    node.put(&format!("{two}/metadata/{folder}/{name}"), &json!({"custom_metadata": custom}));
    let patch = Request::new("PATCH", &format!("/v1/{two}/data/{folder}/{name}")).token(&node.token);
    let patch = patch
        .header("Content-Type", "application/merge-patch+json")
        .json(&json!({"data": {"patched": flock.secret("patched")}}));
    assert_eq!(patch.send(node.port).unwrap().status, 200);
    node.put(&format!("cubbyhole/{}", flock.secret("cubbyhole name")), &json!({"k": flock.secret("cubbyhole value")}));
    for (method, path) in [
        ("GET", format!("{one}/{folder}/{name}")),
        ("LIST", format!("{one}/{folder}")),
        ("LIST", format!("{two}/metadata/{folder}")),
        ("GET", format!("{two}/data/{folder}/{name}")),
        ("GET", format!("{two}/subkeys/{folder}/{name}")),
        ("GET", format!("{two}/metadata/{folder}/{name}")),
        ("GET", format!("sys/internal/ui/mounts/{two}/{folder}/{name}")),
    ] {
        assert_eq!(node.call(method, &path, None).status, 200, "{method} {path}");
    }
    node.call("DELETE", &format!("{two}/data/{folder}/{name}"), None);
    node.put(&format!("{two}/destroy/{folder}/{name}"), &json!({"versions": [1]}));
    release_around(node, flock, &one);
    release_second_factor(node, flock);
    release_failing(node, flock, &one, &two);
}

/// Policies and tokens.
fn release_around(node: &Node, flock: &mut Flock, mount: &str) {
    let policy = flock.name("policy name");
    let ruled = flock.secret("path in a policy");
    node.put(
        &format!("sys/policies/acl/{policy}"),
        &json!({"policy": format!("path \"{mount}/{ruled}\" {{\n  capabilities = [\"read\"]\n}}\n")}),
    );
    let body = json!({"policies": [policy], "meta": {flock.name("meta key"): flock.name("meta value")}, "display_name": flock.name("display name")});
    let made = node.call("POST", "auth/token/create", Some(&body));
    let token = made.at("auth.client_token").as_str().unwrap().to_owned();
    node.put("sys/capabilities", &json!({"token": token, "paths": [format!("{mount}/{ruled}")]}));
    node.put("auth/token/lookup", &json!({"token": token}));
    Request::new("GET", &format!("/v1/{mount}/{ruled}")).token(&token).send(node.port).unwrap();
    Request::new("GET", &format!("/v1/{mount}/{}", flock.secret("denied name"))).token(&token).send(node.port).unwrap();
    Request::new("GET", "/v1/auth/token/lookup-self")
        .header("Authorization", &format!("Bearer {token}"))
        .send(node.port)
        .unwrap();
    flock.made("a token", token);
    let wrong = flock.secret("wrong token");
    Request::new("GET", "/v1/sys/mounts").token(&wrong).send(node.port).unwrap();
    flock.made("the root token", node.token.clone());
    flock.0.extend(node.shares.iter().map(|share| Canary {
        text: share.clone(),
        what: "a share".to_owned(),
        nowhere: Nowhere::Anywhere,
    }));
}

/// A login with a second factor.
fn release_second_factor(node: &Node, flock: &mut Flock) {
    node.put("sys/auth/userpass", &json!({"type": "userpass"}));
    node.put("auth/userpass/users/ann", &json!({"password": flock.secret("password")}));
    let password = flock.0.last().unwrap().text.clone();
    let text = |reply: &Reply, path: &str| reply.at(path).as_str().unwrap().to_owned();
    let login = |headers: &[(&str, String)]| {
        let asked = Request::new("POST", "/v1/auth/userpass/login/ann").json(&json!({"password": password}));
        headers.iter().fold(asked, |asked, (name, value)| asked.header(name, value)).send(node.port).unwrap()
    };
    let entity = text(&login(&[]), "auth.entity_id");
    let settings = json!({"issuer": flock.name("issuer"), "method_name": "phone", "period": "24h"});
    let method = text(&node.call("POST", "identity/mfa/method/totp", Some(&settings)), "data.method_id");
    let generate = json!({"method_id": method, "entity_id": entity});
    let made = node.call("POST", "identity/mfa/method/totp/admin-generate", Some(&generate));
    let url = text(&made, "data.url");
    flock.made("a TOTP secret", url.rsplit_once("secret=").unwrap().1.to_owned());
    flock.made("a TOTP secret's picture", text(&made, "data.barcode")[80..].to_owned());
    node.put(
        "identity/mfa/login-enforcement/all",
        &json!({"mfa_method_ids": [method], "auth_method_types": ["userpass"]}),
    );
    login(&[("X-Vault-MFA", format!("phone:{}", flock.secret("passcode in a header")))]);
    let waiting = text(&login(&[]), "auth.mfa_requirement.mfa_request_id");
    for passcode in [flock.secret("wrong passcode"), totp::code(&url, 0)] {
        let body = json!({"mfa_request_id": waiting, "mfa_payload": {&method: [passcode]}});
        let answer = Request::new("POST", "/v1/sys/mfa/validate").json(&body).send(node.port).unwrap();
        if answer.status == 200 {
            flock.made("a token after a second factor", text(&answer, "auth.client_token"));
        }
    }
    assert_eq!(flock.0.last().unwrap().what, "a token after a second factor");
    flock.made("the id of a login that waits", waiting);
}

/// Requests that fail, in which secrets stand all the same.
fn release_failing(node: &Node, flock: &mut Flock, one: &str, two: &str) {
    let token = node.token.clone();
    let send = |method: &str, path: String, body: String| {
        Request::new(method, &format!("/v1/{path}")).token(&token).body(body.into_bytes()).send(node.port).unwrap()
    };
    send("POST", format!("{one}/x"), format!("{{\"broken\": \"{}\"", flock.secret("broken body")));
    send("POST", format!("{one}/{}/", flock.secret("name with a slash")), "{\"a\": 1}".to_owned());
    send(
        "POST",
        format!("{two}/data/x"),
        json!({"data": {"a": flock.secret("value of failed cas")}, "options": {"cas": 77}}).to_string(),
    );
    send("POST", format!("{two}/data/x"), json!({"data": flock.secret("data that is text")}).to_string());
    send("GET", format!("{one}/{}", flock.secret("name that is not there")), String::new());
    send("FOO", format!("{one}/{}", flock.secret("name with a verb")), String::new());
    send("GET", format!("nomount/{}", flock.secret("name without a mount")), String::new());
    send("GET", format!("{two}/data/x?version={}", flock.secret("query")), String::new());
    send("PATCH", format!("{two}/data/{}", flock.secret("patched name")), "{}".to_owned());
    send("PUT", "sys/unseal".to_owned(), json!({"key": flock.secret("share that is none")}).to_string());
    send(
        "PUT",
        "sys/policies/acl/broken".to_owned(),
        json!({"policy": format!("path \"{}", flock.secret("broken policy"))}).to_string(),
    );
}

fn watched(program: Program) -> Node {
    let mut start = Start::config(program);
    start.args.push("-log-level=trace".to_owned());
    let mut node = Node::prepare(start);
    node.write_config(&node.raft_config());
    node.spawn();
    node.until_up();
    node.initialise(2, 2);
    node.unseal();
    node
}

// no token and no secret is legible in the audit log.
// nor in the log, on whatever level, or on the disk.
#[test]
fn no_secret_and_no_secret_name_is_legible_in_data_audit_or_logs() {
    let mut node = watched(Program::Bulkhead);
    let mut flock = Flock::default();
    release(&node, &mut flock);
    node.put("sys/rotate", &json!({}));
    // A backup lies where its owner wants it, and is ciphertext all the same.
    let snapshot = node.get("sys/storage/raft/snapshot");
    assert!(snapshot.status == 200 && snapshot.body.len() > 10_000);
    fs::write(node.path("data/kept.snapshot"), snapshot.body).unwrap();
    let mut seen = found(&flock, node.dir(), |canary| canary.nowhere == Nowhere::Anywhere);
    seen.extend(found(&flock, &node.path("data"), |canary| canary.nowhere == Nowhere::InData));
    // Once more at rest: what a clean end and a start write.
    node.terminate();
    node.spawn();
    node.until_up();
    node.unseal();
    node.kill();
    seen.extend(found(&flock, node.dir(), |canary| canary.nowhere == Nowhere::Anywhere));
    seen.extend(found(&flock, &node.path("data"), |canary| canary.nowhere == Nowhere::InData));
    seen.sort();
    seen.dedup();
    assert!(
        fs::metadata(node.path("audit.log")).unwrap().len() > 10_000,
        "the audit file must be in use for this to mean anything"
    );
    assert!(!node.output().is_empty(), "the log must be in use for this to mean anything");
    assert!(seen.is_empty(), "{} canaries seen:\n  {}", seen.len(), seen.join("\n  "));
}

#[test]
fn the_audit_file_keeps_the_mount_legible_and_hashes_the_path_below_it() {
    let node = watched(Program::Bulkhead);
    node.put("sys/mounts/kv", &json!({"type": "kv", "options": {"version": "2"}}));
    node.put("kv/data/team/db", &json!({"data": {"a": "b"}}));
    let log = fs::read_to_string(node.path("audit.log")).unwrap();
    let paths: Vec<String> = log
        .lines()
        .filter_map(|line| {
            serde_json::from_str::<serde_json::Value>(line).ok()?["request"]["path"].as_str().map(str::to_owned)
        })
        .collect();
    assert!(paths.iter().any(|path| path == "sys/mounts/kv"), "{paths:?}");
    assert!(paths.iter().any(|path| path.starts_with("kv/data/hmac-sha256:")), "{paths:?}");
}

#[test]
fn the_search_finds_a_canary_in_every_guise() {
    let folder = tempfile::tempdir().unwrap();
    let mut flock = Flock::default();
    let text = flock.secret("test");
    for (i, (guise, bytes)) in guises(&text).into_iter().enumerate() {
        let file = folder.path().join(i.to_string());
        fs::write(&file, [b"\xff\x00noise".as_slice(), &bytes, b"noise\xfe"].concat()).unwrap();
        let seen = found(&flock, folder.path(), |_| true);
        assert!(!seen.is_empty(), "{guise}");
        fs::remove_file(file).unwrap();
    }
    for shift in 0..3 {
        let inside = STANDARD_NO_PAD.encode(format!("{}{text} and more", "z".repeat(shift)));
        fs::write(folder.path().join("b64"), inside).unwrap();
        assert_eq!(found(&flock, folder.path(), |_| true).len() / 2, 1, "alignment {shift}");
    }
}
