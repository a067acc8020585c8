//! What a guest's call may ask of the host, over the visit's transaction.

pub(crate) mod cache;
pub(crate) mod host;

pub(crate) use host::GuestHost;
