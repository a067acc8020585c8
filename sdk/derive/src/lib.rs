//! Derive macros of the Bulkhead SDK: `#[plugin]`, `#[derive(Fields)]` and
//! `#[derive(Stored)]`. What they write is plain trait impls over constants, readable
//! with `cargo expand`.

use proc_macro::TokenStream;

mod docs;
mod fields;
mod marks;
mod plugin;
mod stored;

/// Makes an `impl` block a plugin: each marked method answers a route, a lease, or a
/// call of the host.
///
/// On the block: `name`, `version` (default: the crate's), `data_version` (1),
/// `oldest_readable_data` (1), `seal_wrapped = ["prefix/"]`, `local = ["prefix/"]`. Its
/// doc comment is the plugin's help.
///
/// On methods that answer a route: `#[read("roles/{name}")]`, likewise `write` (create
/// and update), `create`, `update`, `patch`, `delete`, `list`, `scan`, `header`, `login`
/// (an update without a token), `alias_lookahead`, `resolve_role`. After the pattern may
/// follow `when("option", "value")`, `exists = Record` (by storage key) or
/// `exists = path::to::function`, `unauthenticated`, `sudo`, `any_fields`, `raw_body`,
/// `active_only`, `headers("a", "b")`, `id = "openapi-id"`, `synopsis = "…"` and
/// `help = "…"` of the route, `answer = Type` (a `Fields` type that documents `data`),
/// `describe(name = "what this capture is")`. Methods with the same pattern and
/// condition share a route.
///
/// The first argument is `&Cx`; one named as a capture gets its text (`&str`); any other
/// is taken out of the request by its type (`FromRequest`).
///
/// The rest: `#[renew("kind")] (cx, &Lease, Option<u64>) -> Result<Renewal>`,
/// `#[revoke("kind")] (cx, &Lease) -> Result<()>`, `#[renew_token] (cx, IssuedAuth,
/// Option<u64>) -> Result<AuthGrant>`, `#[initialize] (cx, Reason) -> Result<()>`,
/// `#[upgrade] (cx, u32, Option<String>) -> Result<UpgradeStep>`,
/// `#[job("name", every = 3600)] (cx, key: &str, payload: &[u8]) -> Result<JobOutcome>`,
/// `#[rollback("kind")] (cx, data: &[u8]) -> Result<()>`.
#[proc_macro_attribute]
pub fn plugin(arguments: TokenStream, item: TokenStream) -> TokenStream {
    plugin::expand(arguments.into(), item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Declares the fields of a request: each member's doc comment is its help, its type its
/// kind. `#[field(required, default = "1h", allowed("a", "b"), kind = "any-map",
/// sensitive, deprecated, name = "type")]`.
#[proc_macro_derive(Fields, attributes(field))]
pub fn fields(item: TokenStream) -> TokenStream {
    fields::expand(item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Gives a serde type a place in the mount's storage: `#[stored("role/{name}")]`, or
/// `#[stored("config")]` for a record there is one of.
#[proc_macro_derive(Stored, attributes(stored))]
pub fn stored(item: TokenStream) -> TokenStream {
    stored::expand(item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}
