//! Version 2: a secret is a row of versions with metadata. A file a path family.

pub(crate) mod cas;
pub(crate) mod config;
pub(crate) mod custom;
pub(crate) mod data;
pub(crate) mod elsewhere;
pub(crate) mod lists;
pub(crate) mod metadata;
pub(crate) mod subkeys;
pub(crate) mod versions;
