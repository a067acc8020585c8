//! Connections to other servers: audit devices that are reached over the network, the API of
//! other nodes, and where plugins are let out to. What is said over them is not known here.

pub(crate) mod dial;
pub(crate) mod egress;
pub(crate) mod http;
pub(crate) mod stream;
pub(crate) mod target;
pub(crate) mod tls;
