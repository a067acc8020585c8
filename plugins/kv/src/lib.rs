//! The key-value engine, versions 1 and 2: its route table and nothing else. The mount
//! option `version` decides which of the two a mount is; the host matches routes by it.

#![cfg_attr(test, allow(clippy::unwrap_used))] // a test says what failed by where it stopped

use bulkhead_sdk::prelude::*;

mod help;
mod records;
mod scan;
mod tree;
mod upgrade;
mod v1;
mod v2;

use v2::config::PutConfig;
use v2::data::{PickVersion, WriteData};
use v2::metadata::{PatchMetadata, PutMetadata};
use v2::subkeys::PickSubkeys;
use v2::versions::PickVersions;

/// The engine.
#[derive(Debug)]
pub struct Kv;

/// Stores arbitrary secrets.
///
/// A mount with the option `version=2` keeps several versions of each secret and metadata
/// beside them; without it, a secret is one document that a write replaces. What a caller
/// stores is kept and returned letter by letter.
#[rustfmt::skip] // one line a route
#[plugin(name = "kv", data_version = 1, seal_wrapped = ["data/", "plain/"])]
impl Kv {
    /// Configure settings for the KV store.
    #[write("config", when("version", "2"), id = "configure", synopsis = help::CONFIG, help = help::CONFIG_MORE)]
    fn put_config(cx: &Cx, body: PutConfig) -> Result<()> { v2::config::put(cx, &body) }
    /// Read the backend level settings.
    #[read("config", when("version", "2"), id = "read-configuration")]
    fn get_config(cx: &Cx) -> Result<Reply> { v2::config::get(cx) }

    /// Write a new version of a secret.
    #[write("data/{path...}", when("version", "2"), exists = v2::data::exists, id = "write", synopsis = help::DATA,
        help = help::DATA_MORE, describe(path = help::PATH))]
    fn write_data(cx: &Cx, path: &str, body: WriteData<'_>) -> Result<Reply> { v2::data::write(cx, path, &body) }
    /// Read a version of a secret, by default the latest.
    #[read("data/{path...}", when("version", "2"), id = "read")]
    fn read_data(cx: &Cx, path: &str, pick: PickVersion) -> Result<Reply> { v2::data::read(cx, path, pick.version) }
    /// Change members of the latest version of a secret by a JSON merge patch.
    #[patch("data/{path...}", when("version", "2"), id = "patch")]
    fn patch_data(cx: &Cx, path: &str, body: WriteData<'_>) -> Result<Reply> { v2::data::patch(cx, path, &body) }
    /// Delete the latest version of a secret; it can be undeleted.
    #[delete("data/{path...}", when("version", "2"), id = "delete")]
    fn delete_data(cx: &Cx, path: &str) -> Result<()> { v2::versions::delete_latest(cx, path) }

    /// Mark versions as deleted.
    #[write("delete/{path...}", when("version", "2"), id = "delete-versions", synopsis = help::DELETE,
        help = help::DELETE_MORE, describe(path = help::PATH))]
    fn delete(cx: &Cx, path: &str, pick: PickVersions) -> Result<()> { v2::versions::delete(cx, path, &pick) }
    /// Undelete versions.
    #[write("undelete/{path...}", when("version", "2"), id = "undelete-versions", synopsis = help::UNDELETE,
        help = help::UNDELETE_MORE, describe(path = help::PATH))]
    fn undelete(cx: &Cx, path: &str, pick: PickVersions) -> Result<()> { v2::versions::undelete(cx, path, &pick) }
    /// Remove versions for good.
    #[write("destroy/{path...}", when("version", "2"), id = "destroy-versions", synopsis = help::DESTROY,
        help = help::DESTROY_MORE, describe(path = help::PATH))]
    fn destroy(cx: &Cx, path: &str, pick: PickVersions) -> Result<()> { v2::versions::destroy(cx, path, &pick) }

    /// Read the structure of a secret with the values removed.
    #[read("subkeys/{path...}", when("version", "2"), id = "read-subkeys", synopsis = help::SUBKEYS,
        help = help::SUBKEYS_MORE, describe(path = help::PATH))]
    fn subkeys(cx: &Cx, path: &str, pick: PickSubkeys) -> Result<Reply> { v2::subkeys::read(cx, path, &pick) }

    /// Write a secret's metadata and settings.
    #[write("metadata/{path...}", when("version", "2"), exists = v2::metadata::exists, id = "write-metadata",
        synopsis = help::METADATA, help = help::METADATA_MORE, describe(path = help::PATH))]
    fn put_metadata(cx: &Cx, path: &str, body: PutMetadata<'_>) -> Result<Reply> { v2::metadata::put(cx, path, &body) }
    /// Read a secret's metadata and versions.
    #[read("metadata/{path...}", when("version", "2"), id = "read-metadata")]
    fn get_metadata(cx: &Cx, path: &str) -> Result<Reply> { v2::metadata::get(cx, path) }
    /// Change some of a secret's metadata.
    #[patch("metadata/{path...}", when("version", "2"), id = "patch-metadata")]
    fn patch_metadata(cx: &Cx, path: &str, body: PatchMetadata<'_>) -> Result<Reply> { v2::metadata::patch(cx, path, &body) }
    /// Remove a secret with all its versions and metadata.
    #[delete("metadata/{path...}", when("version", "2"), id = "delete-metadata-and-all-versions")]
    fn drop_metadata(cx: &Cx, path: &str) -> Result<()> { v2::metadata::delete(cx, path) }
    /// List secrets.
    #[list("metadata/{path...}", when("version", "2"), id = "list")]
    fn list(cx: &Cx, path: &str, page: Page) -> Result<Keys> { v2::lists::list(cx, path, &page) }
    /// List all secrets below a path.
    #[scan("metadata/{path...}", when("version", "2"), id = "scan")]
    fn scan(cx: &Cx, path: &str) -> Result<Reply> { v2::lists::scan(cx, path) }
    /// List secrets with their metadata.
    #[list("detailed-metadata/{path...}", when("version", "2"), id = "list-detailed", synopsis = help::DETAILED, describe(path = help::PATH))]
    fn detailed_list(cx: &Cx, path: &str, page: Page) -> Result<Reply> { v2::lists::detailed(cx, path, &page, false) }
    /// List all secrets below a path with their metadata.
    #[scan("detailed-metadata/{path...}", when("version", "2"), id = "scan-detailed")]
    fn detailed_scan(cx: &Cx, path: &str, page: Page) -> Result<Reply> { v2::lists::detailed(cx, path, &page, true) }

    /// Tells what is wrong with any other path.
    #[read("{path...}", when("version", "2"), any_fields, synopsis = "")]
    #[write("{path...}", when("version", "2"), any_fields)]
    #[patch("{path...}", when("version", "2"), any_fields)]
    #[delete("{path...}", when("version", "2"))]
    #[list("{path...}", when("version", "2"))]
    #[scan("{path...}", when("version", "2"))]
    fn elsewhere(_cx: &Cx, path: &str, request: &Request) -> Result<Reply> { v2::elsewhere::answer(path, request.operation) }

    /// Store a secret.
    #[write("{path...}", exists = v1::exists, any_fields, synopsis = help::PLAIN, help = help::PLAIN_MORE, describe(path = help::PATH))]
    fn write_plain(cx: &Cx, path: &str, request: &Request) -> Result<()> { v1::write(cx, path, &request.data) }
    /// Read a secret.
    #[read("{path...}")]
    fn read_plain(cx: &Cx, path: &str) -> Result<Reply> { v1::read(cx, path) }
    /// Remove a secret.
    #[delete("{path...}")]
    fn delete_plain(cx: &Cx, path: &str) -> Result<()> { v1::delete(cx, path) }
    /// List secrets.
    #[list("{path...}")]
    fn list_plain(cx: &Cx, path: &str) -> Result<Keys> { v1::list(cx, path) }
    /// List all secrets below a path.
    #[scan("{path...}")]
    fn scan_plain(cx: &Cx, path: &str) -> Result<Reply> { v1::scan(cx, path) }

    #[initialize]
    fn initialize(cx: &Cx, _reason: Reason) -> Result<()> { upgrade::begin(cx) }
    #[job("upgrade")]
    fn upgrade(cx: &Cx, _key: &str, payload: &[u8]) -> Result<JobOutcome> { upgrade::step(cx, payload) }
}

bulkhead_sdk::export_engine!(Kv);

#[cfg(test)]
mod tests;
