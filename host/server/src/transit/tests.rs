//! The seal as this binary has it, against the real peer; and what its settings must be.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bulkhead_model::seam::egress::{Egress, EgressRequest, EgressTls};
use bulkhead_model::seam::seal::{SealError, SealedSecret};
use bulkhead_sandbox::SandboxLimits;
use serde_json::{Value, json};

use super::*;

/// The token that may do everything.
const ROOT: &str = "root";

/// A development server of the peer, with a transit engine and its key `unseal`.
struct Peer {
    child: Child,
    address: String,
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Peer {
    /// `None` only where the caller asked for that with `BULKHEAD_WITHOUT_PEER=1`.
    async fn start() -> Option<Self> {
        if std::env::var_os("BULKHEAD_WITHOUT_PEER").is_some() {
            return None;
        }
        let here = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/peer/bin/bao");
        let bao = std::env::var_os("BAO_BIN").map_or_else(|| PathBuf::from(here), PathBuf::from);
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        let (token, listen) = (format!("-dev-root-token-id={ROOT}"), format!("-dev-listen-address=127.0.0.1:{port}"));
        let child = Command::new(&bao)
            .args(["server", "-dev", "-dev-no-store-token", &token, &listen])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{} (see BAO_BIN and BULKHEAD_WITHOUT_PEER): {error}", bao.display()));
        let peer = Self { child, address: format!("http://127.0.0.1:{port}") };
        for _ in 0..600 {
            if peer.try_ask("GET", "sys/health", &Value::Null).await.is_some_and(|(status, _)| status == 200) {
                peer.ask("POST", "sys/mounts/transit", json!({ "type": "transit" })).await;
                peer.ask("POST", "transit/keys/unseal", json!({})).await;
                return Some(peer);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the peer does not answer")
    }

    async fn try_ask(&self, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
        let (origin, path) = Origin::split(&format!("{}/v1/{path}", self.address)).expect("an address");
        let request = EgressRequest {
            origin,
            tls: EgressTls::default(),
            method: method.to_owned(),
            path,
            headers: vec![("X-Vault-Token".to_owned(), Hidden::new(ROOT.to_owned()))],
            body: Hidden::new(if body.is_null() { Vec::new() } else { body.to_string().into_bytes() }),
            within: Duration::from_secs(10),
            body_bytes_max: 1 << 20,
        };
        let answer = HttpEgress.send(request).await.ok()?;
        Some((answer.status, serde_json::from_slice(answer.body.expose()).unwrap_or(Value::Null)))
    }

    /// Asks with full power, successfully.
    async fn ask(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, json) = self.try_ask(method, path, &body).await.expect("an answer");
        assert!(matches!(status, 200 | 204), "{method} {path}: {status} {json}");
        json
    }

    /// A token that may use the key and nothing else.
    async fn token(&self) -> String {
        let rules = r#"path "transit/encrypt/unseal" { capabilities = ["update"] }
                       path "transit/decrypt/unseal" { capabilities = ["update"] }"#;
        self.ask("POST", "sys/policies/acl/seal", json!({ "policy": rules })).await;
        let asked = json!({ "policies": ["seal"], "ttl": "1h", "renewable": true });
        let made = self.ask("POST", "auth/token/create", asked).await;
        made["auth"]["client_token"].as_str().expect("a token").to_owned()
    }

    fn settings(&self, token: &str) -> TransitSettings {
        TransitSettings { address: self.address.clone(), token: Hidden::new(token.to_owned()), ..settings() }
    }
}

fn settings() -> TransitSettings {
    TransitSettings {
        address: "https://vault.example:8200".to_owned(),
        token: Hidden::new("s.token".to_owned()),
        key_name: "unseal".to_owned(),
        mount_path: "transit/".to_owned(),
        namespace: String::new(),
        tls_ca_cert: None,
        tls_server_name: String::new(),
        tls_skip_verify: false,
        disable_renewal: false,
    }
}

fn made(settings: &TransitSettings) -> Arc<dyn SealKey> {
    let sandbox = Sandbox::new(SandboxLimits::default()).expect("a sandbox");
    seal(settings, &sandbox).unwrap_or_else(|error| panic!("{error}: run `cargo xtask plugins` first"))
}

fn secret() -> Hidden<Vec<u8>> {
    Hidden::new((0..32).collect())
}

async fn unwrapped(seal: &Arc<dyn SealKey>, sealed: &SealedSecret, label: &[u8]) -> Result<Vec<u8>, SealError> {
    seal.unwrap(sealed, label).await.map(|secret| secret.expose().clone())
}

#[tokio::test]
async fn a_secret_goes_to_the_peer_and_back_whatever_its_key_is_rotated_to() {
    let Some(peer) = Peer::start().await else { return };
    let seal = made(&peer.settings(&peer.token().await));
    assert_eq!(seal.kind(), SealKind::Transit);
    assert_eq!(seal.key_id().await, Ok("v1".to_owned()));
    let first = seal.wrap(&secret(), b"seal").await.expect("it is wrapped");
    assert_eq!(first.key_id, "v1");
    assert!(first.ciphertext.starts_with(b"vault:v1:"));
    assert_eq!(unwrapped(&seal, &first, b"seal").await.as_ref(), Ok(secret().expose()));
    assert!(matches!(unwrapped(&seal, &first, b"recovery").await, Err(SealError::Refused(_))));

    peer.ask("POST", "transit/keys/unseal/rotate", json!({})).await;
    assert_eq!(seal.key_id().await, Ok("v2".to_owned()));
    let second = seal.wrap(&secret(), b"seal").await.expect("it is wrapped");
    assert_eq!(second.key_id, "v2");
    for sealed in [&first, &second] {
        assert_eq!(unwrapped(&seal, sealed, b"seal").await.as_ref(), Ok(secret().expose()));
    }
    let mut damaged = second;
    damaged.ciphertext.pop();
    damaged.ciphertext.push(b'!');
    assert!(matches!(unwrapped(&seal, &damaged, b"seal").await, Err(SealError::Refused(_))));
}

#[tokio::test]
async fn any_kind_of_key_that_decrypts_will_do() {
    let Some(peer) = Peer::start().await else { return };
    for kind in ["aes128-gcm96", "chacha20-poly1305", "xchacha20-poly1305", "rsa-2048", "rsa-4096"] {
        peer.ask("POST", &format!("transit/keys/{kind}"), json!({ "type": kind })).await;
        let seal = made(&TransitSettings { key_name: kind.to_owned(), ..peer.settings(ROOT) });
        let sealed = seal.wrap(&secret(), b"seal").await.unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!(unwrapped(&seal, &sealed, b"seal").await.as_ref(), Ok(secret().expose()), "{kind}");
    }
}

#[tokio::test]
async fn a_token_is_renewed_by_the_check() {
    let Some(peer) = Peer::start().await else { return };
    let token = peer.token().await;
    let short = peer.ask("POST", "auth/token/renew", json!({ "token": token, "increment": "60s" })).await;
    assert_eq!(short["auth"]["lease_duration"], 60);
    made(&peer.settings(&token)).key_id().await.expect("the key is there");
    let about = peer.ask("POST", "auth/token/lookup", json!({ "token": token })).await;
    assert!(about["data"]["ttl"].as_u64().is_some_and(|ttl| ttl > 3000), "{about}");
}

#[tokio::test]
async fn what_is_wrong_is_told_from_what_passes() {
    let Some(peer) = Peer::start().await else { return };
    let refused = |settings: TransitSettings| async move {
        match made(&settings).key_id().await {
            Err(SealError::Refused(text)) => text,
            other => panic!("not refused: {other:?}"),
        }
    };
    let text = refused(peer.settings("s.wrong")).await;
    assert!(text.contains("403") && text.contains("give the seal a token") && !text.contains("s.wrong"), "{text}");
    let elsewhere = TransitSettings { mount_path: "nowhere".to_owned(), ..peer.settings(ROOT) };
    assert!(refused(elsewhere).await.contains("404"));
    let other_key = TransitSettings { key_name: "other".to_owned(), ..peer.settings(&peer.token().await) };
    assert!(refused(other_key).await.contains("403"));

    let seal = made(&peer.settings(ROOT));
    let sealed = seal.wrap(&secret(), b"seal").await.expect("it is wrapped");
    peer.ask("PUT", "sys/seal", json!({})).await;
    let Err(SealError::Unavailable(text)) = unwrapped(&seal, &sealed, b"seal").await else { panic!("it is sealed") };
    assert!(text.contains("503"), "{text}");
    drop(peer);
    let Err(SealError::Unavailable(text)) = unwrapped(&seal, &sealed, b"seal").await else { panic!("it is gone") };
    assert!(text.starts_with("asking http://127.0.0.1:"), "{text}");
}

#[test]
fn what_is_shown_holds_no_token() {
    assert_eq!(made(&settings()).shown(), "https://vault.example:8200, key unseal in transit/");
}

#[test]
fn an_address_must_be_one_and_files_must_be_there() {
    let sandbox = Sandbox::new(SandboxLimits::default()).expect("a sandbox");
    let said = |settings: TransitSettings| seal(&settings, &sandbox).err().expect("it is refused").to_string();
    for address in ["", "vault.example:8200", "https://user:pw@vault.example", "https://vault.example/prefix"] {
        let text = said(TransitSettings { address: address.to_owned(), ..settings() });
        assert!(text.starts_with("loading the seal-transit plugin: the address "), "{text}");
    }
    let missing = TransitSettings { tls_ca_cert: Some(PathBuf::from("/nowhere/ca.pem")), ..settings() };
    assert_eq!(said(missing), "reading the authorities /nowhere/ca.pem");
}

#[test]
fn the_config_is_json_whatever_the_settings_hold() {
    let odd = TransitSettings { token: Hidden::new("a\"b\\\n".to_owned()), tls_skip_verify: true, ..settings() };
    let (origin, _) = Origin::split(&odd.address).expect("an address");
    let config: Value = serde_json::from_slice(json(&odd, &origin, "PEM").expose()).expect("JSON");
    assert_eq!((&config["token"], &config["tls_ca_cert"]), (&json!("a\"b\\\n"), &json!("PEM")));
    assert_eq!((&config["tls_skip_verify"], &config["disable_renewal"]), (&json!(true), &json!(false)));
}
