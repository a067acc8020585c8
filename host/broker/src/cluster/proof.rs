//! What a node that joins and a node of the cluster show each other: that both know the
//! joining key, which the cluster's shares give. Each proof is about all that was said, the
//! node's number and its key among it, so that nobody between them can change a part of it, or
//! hand one node what was made for another.

use bulkhead_barrier::HmacKey;

/// What a node says of itself as it joins.
pub(super) struct Candidacy<'a> {
    pub nonce: &'a [u8],
    pub number: u64,
    pub id: &'a str,
    pub address: &'a str,
    pub non_voter: bool,
    pub request: &'a [u8],
}

/// Puts parts together in one way only.
fn joined(parts: &[&[u8]]) -> Vec<u8> {
    let mut all = Vec::new();
    for part in parts {
        all.extend_from_slice(&(part.len() as u64).to_be_bytes());
        all.extend_from_slice(part);
    }
    all
}

fn candidacy(said: &Candidacy<'_>) -> Vec<u8> {
    let (number, voter) = (said.number.to_be_bytes(), [u8::from(said.non_voter)]);
    let (id, address) = (said.id.as_bytes(), said.address.as_bytes());
    joined(&[b"bulkhead.join.candidate.v1", said.nonce, &number, id, address, &voter, said.request])
}

/// The joining node's proof.
pub(super) fn of_candidate(key: &HmacKey, said: &Candidacy<'_>) -> [u8; 32] {
    key.sign(&candidacy(said))
}

/// Whether it is that.
pub(super) fn is_of_candidate(key: &HmacKey, said: &Candidacy<'_>, proof: &[u8]) -> bool {
    key.verify(&candidacy(said), proof)
}

fn issued(to: &Candidacy<'_>, certificate: &[u8], authority: &[u8]) -> Vec<u8> {
    joined(&[b"bulkhead.join.issued.v2", &candidacy(to), certificate, authority])
}

/// The cluster's proof: it issued this, to this node.
pub(super) fn of_issuer(key: &HmacKey, to: &Candidacy<'_>, certificate: &[u8], authority: &[u8]) -> [u8; 32] {
    key.sign(&issued(to, certificate, authority))
}

/// Whether it is that.
pub(super) fn is_of_issuer(
    key: &HmacKey,
    to: &Candidacy<'_>,
    (certificate, authority): (&[u8], &[u8]),
    proof: &[u8],
) -> bool {
    key.verify(&issued(to, certificate, authority), proof)
}

#[cfg(test)]
mod tests {
    use bulkhead_barrier::joining_key_of;
    use bulkhead_model::hidden::Hidden;

    use super::*;

    const NONCE: &[u8] = b"a nonce";

    fn said() -> Candidacy<'static> {
        Candidacy { nonce: NONCE, number: 7, id: "one", address: "a:1", non_voter: false, request: b"its key" }
    }

    #[test]
    fn a_proof_is_good_for_one_candidate_with_one_key_alone() {
        let key = joining_key_of(&Hidden::new(vec![7; 32]));
        let (candidate, issuer) = (of_candidate(&key, &said()), of_issuer(&key, &said(), b"cert", b"authority"));
        assert!(is_of_candidate(&key, &said(), &candidate));
        assert!(is_of_issuer(&key, &said(), (b"cert", b"authority"), &issuer));
        for other in [
            Candidacy { nonce: b"another", ..said() },
            Candidacy { number: 8, ..said() },
            Candidacy { id: "two", ..said() },
            Candidacy { address: "b:1", ..said() },
            Candidacy { non_voter: true, ..said() },
            Candidacy { request: b"another key", ..said() },
        ] {
            assert!(!is_of_candidate(&key, &other, &candidate));
            assert!(!is_of_issuer(&key, &other, (b"cert", b"authority"), &issuer));
        }
        assert!(!is_of_issuer(&key, &said(), (b"another", b"authority"), &issuer));
        assert!(!is_of_issuer(&key, &said(), (b"cert", b"another"), &issuer));
        assert!(!is_of_candidate(&key, &said(), &issuer), "neither side's is the other's");
    }
}
