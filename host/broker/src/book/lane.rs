//! Lanes: the parts of a mount whose things have nothing to do with each other. An engine that works
//! with several things outside names the one it means by a text `lane` among the data of its leases,
//! intents and jobs, so that one of them that is down holds up nothing of the others.

use aws_lc_rs::digest::{SHA256, digest};
use serde::Deserialize;

/// A mount's space, and which of its things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Lane {
    pub mount: [u8; 16],
    /// Begins the SHA-256 of the lane's name; zeros: it has none.
    part: [u8; 8],
}

#[derive(Deserialize)]
struct Named {
    lane: String,
}

impl Lane {
    /// The lane of a mount that has no others.
    pub(crate) const fn whole(mount: [u8; 16]) -> Self {
        Self { mount, part: [0; 8] }
    }

    /// The lane that these data of a plugin are of, JSON text.
    pub(crate) fn of(mount: [u8; 16], data: &[u8]) -> Self {
        match serde_json::from_slice::<Named>(data) {
            Ok(Named { lane }) if !lane.is_empty() => Self { mount, part: part(&lane) },
            _ => Self::whole(mount),
        }
    }
}

fn part(name: &str) -> [u8; 8] {
    let digest = digest(&SHA256, name.as_bytes());
    *digest.as_ref().first_chunk().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_name_their_lane_and_else_are_of_the_whole_mount() {
        let mount = [7; 16];
        let one = Lane::of(mount, br#"{"lane":"one","else":[1]}"#);
        assert_eq!(one, Lane::of(mount, br#"{"lane":"one"}"#));
        assert_ne!(one, Lane::of(mount, br#"{"lane":"two"}"#));
        assert_ne!(one, Lane::of([8; 16], br#"{"lane":"one"}"#));
        for none in [&b""[..], b"null", b"{}", br#"{"lane":""}"#, br#"{"lane":3}"#, b"\x00"] {
            assert_eq!(Lane::of(mount, none), Lane::whole(mount));
        }
    }
}
