//! Headers of a tar file (POSIX ustar): plain files of known names, nothing else.

/// Everything in a tar file fills blocks of so many bytes.
pub(super) const BLOCK: usize = 512;

const NAME: std::ops::Range<usize> = 0..100;
const SIZE: std::ops::Range<usize> = 124..136;
const CHECKSUM: std::ops::Range<usize> = 148..156;
const KIND: usize = 156;

/// The longest length that fits in octal digits; a longer one is written as GNU's tar does.
const OCTAL_MAX: u64 = 0o77_777_777_777;
const BINARY: u8 = 0x80;

/// A file's header.
pub(super) fn header(name: &str, bytes: u64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..108].copy_from_slice(b"0000600\0");
    block[108..116].copy_from_slice(b"0000000\0");
    block[116..124].copy_from_slice(b"0000000\0");
    if bytes <= OCTAL_MAX {
        block[SIZE].copy_from_slice(format!("{bytes:011o}\0").as_bytes());
    } else {
        block[SIZE.start] = BINARY;
        block[SIZE.end - 8..SIZE.end].copy_from_slice(&bytes.to_be_bytes());
    }
    block[136..148].copy_from_slice(b"00000000000\0");
    block[KIND] = b'0';
    block[257..265].copy_from_slice(b"ustar\x0000");
    let sum = checksum(&block);
    block[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// A small file, whole.
pub(super) fn file(name: &str, content: &[u8]) -> Vec<u8> {
    let mut out = header(name, content.len() as u64).to_vec();
    out.extend_from_slice(content);
    out.resize(out.len() + padding(content.len() as u64), 0);
    out
}

/// Bytes that fill the last block of a file so long.
pub(super) fn padding(bytes: u64) -> usize {
    (bytes.wrapping_neg() % BLOCK as u64) as usize
}

/// The length of the file of this name, if this is its header.
pub(super) fn parse(block: &[u8; BLOCK], expected: &str) -> Result<u64, String> {
    if octal(&block[CHECKSUM]) != Some(checksum(block)) {
        return Err("it is no tar file, or damaged".to_owned());
    }
    let name = block[NAME].split(|byte| *byte == 0).next().unwrap_or_default();
    if name != expected.as_bytes() || !matches!(block[KIND], b'0' | 0) {
        return Err(format!("{expected} is not where it is in one"));
    }
    let size = &block[SIZE];
    let bytes = match size.split_last_chunk::<8>() {
        Some(([BINARY, 0, 0, 0], binary)) => Some(u64::from_be_bytes(*binary)),
        _ => octal(size),
    };
    bytes.ok_or_else(|| format!("the length of {expected} can't be read"))
}

/// The sum of all bytes, those of the sum itself taken as spaces.
fn checksum(block: &[u8; BLOCK]) -> u64 {
    let all: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    let own: u64 = block[CHECKSUM].iter().map(|byte| u64::from(*byte)).sum();
    all - own + 8 * u64::from(b' ')
}

fn octal(field: &[u8]) -> Option<u64> {
    let digits: Vec<u8> = field.iter().copied().take_while(|byte| !matches!(byte, 0 | b' ')).collect();
    let text = std::str::from_utf8(&digits).ok()?;
    u64::from_str_radix(text, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::{header, padding, parse};

    #[test]
    fn a_header_tells_the_length_of_the_file_it_names() {
        for bytes in [0, 1, 511, 512, 8_589_934_591, 8_589_934_592, u64::MAX] {
            assert_eq!(parse(&header("state.bin", bytes), "state.bin"), Ok(bytes));
        }
        assert!(parse(&header("state.bin", 1), "meta.json").is_err());
        assert_eq!([padding(0), padding(1), padding(512), padding(513)], [0, 511, 0, 511]);
    }
}
