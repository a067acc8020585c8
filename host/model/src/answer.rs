//! What leaves the node for a request: the reply, and header lines that are not part of
//! what was asked.

use crate::reply::Reply;

/// Header lines that the node sends of itself, names in lower case.
pub type Headers = Vec<(&'static str, String)>;

/// A reply with the header lines that go with it.
pub struct Answer {
    /// The reply.
    pub reply: Reply,
    /// Header lines beside those every answer has.
    pub headers: Headers,
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self { reply, headers: Headers::new() }
    }
}
