//! Nodes that the transit engine of another cluster unseals. The other one is the peer's.

use super::*;

/// The other cluster, with a key to wrap with and a token that may do just that.
struct Other {
    node: Node,
    token: String,
}

impl Other {
    fn start() -> Self {
        let node = Node::dev(Program::Bao);
        node.put("sys/mounts/transit", &json!({"type": "transit"}));
        node.put("transit/keys/unseal", &json!({}));
        let policy = "path \"transit/+/unseal\" { capabilities = [\"update\"] }";
        node.put("sys/policies/acl/unseal", &json!({"policy": policy}));
        let made = node.put("auth/token/create", &json!({"policies": ["unseal"], "period": "24h"}));
        let token = made.at("auth.client_token").as_str().unwrap().to_owned();
        Self { node, token }
    }

    fn stanza(&self, more: &str) -> String {
        let (port, token) = (self.node.port, &self.token);
        format!(
            "seal \"transit\" {{\n  address = \"http://127.0.0.1:{port}\"\n  token = \"{token}\"\n  key_name = \"unseal\"\n  \
             mount_path = \"transit/\"\n{more}}}\n"
        )
    }
}

#[test]
fn the_transit_engine_of_another_cluster_unseals_and_its_key_may_be_rotated() {
    if bao().is_none() {
        return;
    }
    let mut other = Other::start();
    let mut sealed = Sealed::start(Program::Bulkhead, &other.stanza(""));
    let shares = sealed.initialise(&json!({"recovery_shares": 1, "recovery_threshold": 1}), "recovery_keys");
    sealed.until_open();
    assert_eq!(sealed.node.get("sys/seal-status").at("type"), json!("transit"));
    other.node.put("transit/keys/unseal/rotate", &json!({}));
    sealed.again(&other.stanza(""));
    sealed.until_open();
    sealed.node.until("the key is followed", |node| node.output().contains("wrapped by the newest key of the seal"));
    // The version from before is not needed any more.
    other.node.put("transit/keys/unseal/config", &json!({"min_decryption_version": 2}));
    sealed.again(&other.stanza(""));
    sealed.until_open();

    // Without the other cluster it stays sealed, says why, and opens once that is back.
    let token = other.token.clone();
    assert!(!sealed.node.output().contains(&token), "the token is in the log");
    other.node.put("sys/policies/acl/unseal", &json!({"policy": "path \"transit/*\" { capabilities = [\"deny\"] }"}));
    sealed.again(&other.stanza(""));
    sealed.stays_sealed();
    sealed.node.until("it says why", |node| node.output().contains("could not unseal itself"));
    let policy = "path \"transit/+/unseal\" { capabilities = [\"update\"] }";
    other.node.put("sys/policies/acl/unseal", &json!({"policy": policy}));
    sealed.until_open();

    // From there to a static key, and the other cluster may go.
    let keys = Keys::new();
    let both = format!("{}{}", other.stanza("  disabled = \"true\"\n"), keys.stanza("one", ""));
    sealed.again(&both);
    sealed.stays_sealed();
    assert_eq!(sealed.share(&shares[0], true).status, 200);
    sealed.until_open();
    sealed.until_migrated("static");
    other.node.kill();
    sealed.again(&keys.stanza("one", ""));
    sealed.until_open();
}
