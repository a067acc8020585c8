//! The log's unit of writing: 512 bytes that prove themselves. A sector is written once,
//! whole, and never again while it matters, so after a power cut each one is still blank
//! or whole; whatever else it holds is rot. That is what tells a torn tail from damage.
//!
//! ```text
//! 0..496 content · 496..504 group · 504..506 part · 506..510 CRC32C of 0..506 · 510..512 magic
//! ```

/// Bytes a disk writes all or none of. Why 512: no device in use has a smaller unit.
pub(crate) const SECTOR_BYTES: usize = 512;

/// Bytes of a sector that carry content.
pub(crate) const CONTENT_BYTES: usize = 496;

const CRC_AT: usize = 506;
const MAGIC_AT: usize = 510;

/// Neither byte is zero, so one damaged byte can't make a written sector look unwritten.
const MAGIC: [u8; 2] = [0xb7, 0x4c];

/// What a sector turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sector<'a> {
    /// Never written, or not to its end: nothing in it was ever acknowledged.
    Unwritten {
        /// Every byte is zero.
        blank: bool,
    },
    /// As it was written.
    Whole {
        /// The group it belongs to.
        group: u64,
        /// Its place in the group.
        part: u16,
        /// The content, padded with zeros.
        content: &'a [u8],
    },
    /// Written once, and changed since.
    Damaged,
}

/// Lays content out in sectors, appending them to `out`. Returns how many.
pub(crate) fn lay_out(group: u64, content: &[u8], out: &mut Vec<u8>) -> usize {
    let count = content.len().div_ceil(CONTENT_BYTES);
    assert!(count <= usize::from(u16::MAX), "a group is smaller than 65,535 sectors");
    out.reserve(count * SECTOR_BYTES);
    for (part, piece) in content.chunks(CONTENT_BYTES).enumerate() {
        let start = out.len();
        out.extend_from_slice(piece);
        out.resize(start + CONTENT_BYTES, 0);
        out.extend_from_slice(&group.to_le_bytes());
        out.extend_from_slice(&(part as u16).to_le_bytes());
        let crc = crc32c::crc32c(&out[start..start + CRC_AT]);
        out.extend_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(&MAGIC);
    }
    count
}

/// Tells what a sector holds. The magic carries no information that the checksum does
/// not: it only marks that the write reached the sector's end.
pub(crate) fn inspect(sector: &[u8]) -> Sector<'_> {
    assert_eq!(sector.len(), SECTOR_BYTES, "a sector has one size");
    if sector == [0; SECTOR_BYTES] {
        return Sector::Unwritten { blank: true };
    }
    let crc = u32::from_le_bytes(array(&sector[CRC_AT..MAGIC_AT]));
    if crc32c::crc32c(&sector[..CRC_AT]) == crc {
        let group = u64::from_le_bytes(array(&sector[CONTENT_BYTES..CONTENT_BYTES + 8]));
        let part = u16::from_le_bytes(array(&sector[CONTENT_BYTES + 8..CRC_AT]));
        return Sector::Whole { group, part, content: &sector[..CONTENT_BYTES] };
    }
    if sector[MAGIC_AT..] == [0, 0] { Sector::Unwritten { blank: false } } else { Sector::Damaged }
}

/// The bytes as an array; the caller took as many as it asks for.
pub(crate) fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("the slice was cut to this length")
}

#[cfg(test)]
mod tests {
    use super::{SECTOR_BYTES, Sector, inspect, lay_out};

    fn written() -> Vec<u8> {
        let mut out = Vec::new();
        assert_eq!(lay_out(7, &[0x5a; 600], &mut out), 2);
        out
    }

    #[test]
    fn a_written_sector_is_whole_and_knows_its_place() {
        let out = written();
        assert!(matches!(inspect(&out[..SECTOR_BYTES]), Sector::Whole { group: 7, part: 0, .. }));
        assert!(matches!(inspect(&out[SECTOR_BYTES..]), Sector::Whole { group: 7, part: 1, .. }));
    }

    #[test]
    fn whatever_one_byte_becomes_a_written_sector_never_looks_unwritten() {
        let out = written();
        for at in 0..SECTOR_BYTES {
            for value in 0..=255u8 {
                let mut sector = out[..SECTOR_BYTES].to_vec();
                sector[at] = value;
                match inspect(&sector) {
                    Sector::Whole { content, .. } => assert_eq!(content, &out[..content.len()], "byte {at}"),
                    Sector::Damaged => {}
                    Sector::Unwritten { .. } => panic!("byte {at} set to {value} hid the sector"),
                }
            }
        }
    }

    #[test]
    fn a_sector_cut_at_any_byte_is_unwritten_or_whole() {
        let out = written();
        for cut in 0..SECTOR_BYTES {
            let mut sector = out[..SECTOR_BYTES].to_vec();
            sector[cut..].fill(0);
            assert_ne!(inspect(&sector), Sector::Damaged, "cut at {cut}");
        }
    }
}
