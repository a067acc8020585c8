//! What a node that joins and a node of the cluster show each other: that both know the
//! joining key, which the cluster's shares give. Each proof is about all that was said, so
//! that nobody between them can change a part of it.

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

fn issued(nonce: &[u8], certificate: &[u8], authority: &[u8]) -> Vec<u8> {
    joined(&[b"bulkhead.join.issued.v1", nonce, certificate, authority])
}

/// The cluster's proof: it issued this.
pub(super) fn of_issuer(key: &HmacKey, nonce: &[u8], certificate: &[u8], authority: &[u8]) -> [u8; 32] {
    key.sign(&issued(nonce, certificate, authority))
}

/// Whether it is that.
pub(super) fn is_of_issuer(
    key: &HmacKey,
    nonce: &[u8],
    (certificate, authority): (&[u8], &[u8]),
    proof: &[u8],
) -> bool {
    key.verify(&issued(nonce, certificate, authority), proof)
}
