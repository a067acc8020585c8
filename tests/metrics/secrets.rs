//! No number is told under a name that a caller chose below a mount, nor with anything of a
//! caller in it.

use bulkhead_tests::http::Request;
use bulkhead_tests::node::READY_SECS_MAX;
use serde_json::json;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use super::{opened, secret};

#[test]
fn what_callers_chose_does_not_occur() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let port = socket.local_addr().unwrap().port();
    let (node, _) = opened(&format!("statsd_address = \"127.0.0.1:{port}\""));
    node.put("sys/mounts/plainmount", &json!({"type": "kv", "options": {"version": "2"}}));
    node.put("sys/auth/userpass", &json!({"type": "userpass"}));
    let policy = json!({"policy": "path \"plainmount/*\" { capabilities = [\"read\", \"create\"] }"});
    node.put("sys/policies/acl/canarypolicy", &policy);
    node.put("auth/userpass/users/canaryuser", &json!({"password": "canarypassword", "policies": "canarypolicy"}));
    let login = node.put("auth/userpass/login/canaryuser", &json!({"password": "canarypassword"}));
    let (token, accessor) = (login.at("auth.client_token"), login.at("auth.accessor"));
    let (token, accessor) = (token.as_str().unwrap(), accessor.as_str().unwrap());
    node.put("plainmount/data/canaryfolder/canaryname", &secret("canaryvalue"));
    node.put("identity/entity", &json!({"name": "canaryentity", "metadata": {"canarykey": "canarymeta"}}));
    for path in ["plainmount/data/canaryfolder/canaryname", "plainmount/data/canaryabsent", "canarynowhere/x"] {
        let request = Request::new("GET", &format!("/v1/{path}")).token(token);
        request.header("X-Canary", "canaryheader").header("X-Vault-Namespace", "").send(node.port).unwrap();
    }
    Request::new("GET", "/v1/sys/mounts").token("canarytoken").send(node.port).unwrap();
    Request::new("GET", "/v1/sys/mounts").header("X-Vault-Namespace", "canaryspace").send(node.port).unwrap();
    let mut all = node.get("sys/metrics?format=prometheus").text();
    let (deadline, mut buffer) = (Instant::now() + Duration::from_secs(READY_SECS_MAX), [0; 65_536]);
    while !all.contains("vault.route.read.plainmount-") {
        assert!(Instant::now() < deadline, "nothing was pushed");
        if let Ok(count) = socket.recv(&mut buffer) {
            all.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    }
    while let Ok(count) = socket.recv(&mut buffer) {
        all.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    all.push_str(&node.get("sys/metrics").text());
    assert!(all.contains("plainmount/"), "names of mounts are told");
    for text in ["canary", token, accessor, node.token.as_str(), "127.0.0.1"] {
        assert!(!all.contains(text), "{text} is in\n{all}");
    }
}
