//! A secrets engine in a page: roles, and codes that are leased by them.

#![cfg_attr(test, allow(clippy::unwrap_used))] // a test says what failed by where it stopped

use bulkhead_sdk::{decode_json, prelude::*};

/// The engine.
#[derive(Debug)]
pub struct Hello;

/// What is asked for and what is stored: one type, as long as they are the same.
#[derive(Serialize, Deserialize, Stored, Fields)]
#[stored("role/{name}")]
struct Role {
    /// Printed before every code.
    #[field(required)]
    prefix: Secret<String>,
    /// How long a code lives.
    #[field(default = "1h")]
    ttl: Seconds,
}

/// Hands out codes.
///
/// Write a role, then read codes/:name: each answer is a new code under a lease.
#[plugin(name = "hello-engine", data_version = 1, seal_wrapped = ["role/"])]
impl Hello {
    /// Create or change a role.
    #[write("roles/{name}", exists = Role, describe(name = "Name of the role."))]
    fn put_role(cx: &Cx, name: &str, role: Role) -> Result<()> {
        cx.put(name, &role)
    }

    /// Read a role.
    #[read("roles/{name}")]
    fn get_role(cx: &Cx, name: &str) -> Result<Json<Role>> {
        cx.require(name).map(Json)
    }

    /// Remove a role; its codes live on until their leases end.
    #[delete("roles/{name}")]
    fn drop_role(cx: &Cx, name: &str) -> Result<()> {
        cx.delete::<Role>(name)
    }

    /// List roles.
    #[list("roles/")]
    fn roles(cx: &Cx, page: Page) -> Result<Keys> {
        cx.list::<Role>(&page)
    }

    /// Issue a code.
    #[read("codes/{name}", describe(name = "Name of the role."))]
    fn code(cx: &Cx, name: &str) -> Result<Reply> {
        let role: Role = cx.require(name)?;
        let code = format!("{}-{}", role.prefix.expose(), cx.random_hex(8));
        cx.put_bytes(&format!("code/{code}"), name.as_bytes())?;
        json!({ "code": code }).leased("code", role.ttl, code)
    }

    #[renew("code")]
    fn renew(_cx: &Cx, _lease: &Lease, increment: Option<u64>) -> Result<Renewal> {
        Ok(Renewal { ttl: increment, max_ttl: None, internal: None, data: None, warnings: Vec::new() })
    }

    #[revoke("code")]
    fn revoke(cx: &Cx, lease: &Lease) -> Result<()> {
        cx.delete_key(&format!("code/{}", decode_json::<String>(&lease.internal)?))
    }
}

bulkhead_sdk::export_engine!(Hello);

#[cfg(test)]
mod tests;
