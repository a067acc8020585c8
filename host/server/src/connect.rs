//! Connections to other servers: audit devices that are reached over the network, and the API
//! of other nodes. What is said over them is not known here.

pub(crate) mod stream;
pub(crate) mod target;
pub(crate) mod tls;
