//! Help texts of routes: the first line of each, and the rest.

pub(crate) const PATH: &str = "Location of the secret.";

pub(crate) const CONFIG: &str = "Configures settings for the KV store";
pub(crate) const CONFIG_MORE: &str = "Sets what holds for every secret of the mount that has no setting of its own: how many \
versions are kept, whether writes must name the version they replace, and after what time versions are deleted.";

pub(crate) const DATA: &str = "Write, Patch, Read, and Delete data in the Key-Value Store.";
pub(crate) const DATA_MORE: &str = "A write makes a new version and keeps the old ones. A patch takes the latest version, which \
must be neither deleted nor destroyed, and makes a new one with the given members changed (JSON merge patch, RFC 7386). A read \
gives the latest version unless it names one. A delete marks the latest version as deleted; undelete brings it back.";

pub(crate) const DELETE: &str = "Marks one or more versions as deleted in the KV store.";
pub(crate) const DELETE_MORE: &str =
    "Deletes the data for the provided versions of a secret. Their data stays in storage and can be undeleted.";

pub(crate) const UNDELETE: &str = "Undeletes one or more versions from the KV store.";
pub(crate) const UNDELETE_MORE: &str = "Brings deleted versions back. What was destroyed stays so.";

pub(crate) const DESTROY: &str = "Permanently removes one or more versions in the KV store";
pub(crate) const DESTROY_MORE: &str = "Removes the data of the provided versions for good; only their metadata stays.";

pub(crate) const SUBKEYS: &str =
    "Read the structure of a secret entry from the Key-Value store with the values removed.";
pub(crate) const SUBKEYS_MORE: &str = "Every value that is not a map becomes null, as do maps at the given depth. Of use to \
callers who may know what a secret holds but not its values.";

pub(crate) const METADATA: &str = "Allows interaction with key metadata and settings in the KV store.";
pub(crate) const METADATA_MORE: &str = "Reads, writes and patches the settings and the custom metadata of a secret, and lists \
secrets. A delete removes the secret with all its versions.";

pub(crate) const DETAILED: &str = "Allows listing detailed information about key metadata in the KV store.";

pub(crate) const PLAIN: &str = "Pass-through secret storage to the storage backend, allowing you to read/write arbitrary data into secret storage.";
pub(crate) const PLAIN_MORE: &str = "A member called \"ttl\" (or \"lease\") tells readers after what time to read again: its value \
is returned as the lease duration. Nothing is leased or revoked.";
