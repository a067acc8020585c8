//! A text as a picture that a camera reads: a QR code in a PNG of one bit a dot. The picture is as
//! secret as its text, so it is made in one piece and wiped. Nothing is compressed: that would
//! cost a library, and a picture has some kilobytes.

use bulkhead_model::hidden::{Hidden, HiddenBuffer};
use qrcode::{Color, EcLevel, QrCode};

/// Widest picture, in pixels. Source: ours. Why: each is made whole in memory.
pub(crate) const PIXELS_MAX: u32 = 1_024;
/// Light modules around the code. Source: ISO/IEC 18004; left out where they do not fit.
const QUIET_ZONE: usize = 4;
/// Bytes in one block of deflate that is stored as it is. Source: RFC 1951.
const BLOCK_BYTES_MAX: usize = 0xffff;

/// A square picture of so many pixels; `None` if they are too few, or the text too long.
pub(crate) fn png(text: &Hidden<String>, pixels: u32) -> Option<Hidden<Vec<u8>>> {
    let code = QrCode::with_error_correction_level(text.expose().as_bytes(), EcLevel::M).ok()?;
    let (modules, side) = (code.width(), usize::try_from(pixels.min(PIXELS_MAX)).ok()?);
    let scale = match side / (modules + 2 * QUIET_ZONE) {
        0 => side / modules,
        scale => scale,
    };
    if scale == 0 {
        return None;
    }
    let margin = (side - scale * modules) / 2;
    let module = |at: usize| at.checked_sub(margin).map(|at| at / scale).filter(|at| *at < modules);
    let is_dark = |x: usize, y: usize| match (module(x), module(y)) {
        (Some(x), Some(y)) => code[(x, y)] == Color::Dark,
        _ => false,
    };
    let mut rows = Hidden::new(Vec::with_capacity(side * (1 + side.div_ceil(8))));
    for y in 0..side {
        // The row is not filtered.
        rows.expose_mut().push(0);
        for first in (0..side).step_by(8) {
            let bit = |at: usize| if at < side && !is_dark(at, y) { 0x80 >> (at - first) } else { 0 };
            rows.expose_mut().push((first..first + 8).map(bit).sum());
        }
    }
    Some(framed(pixels.min(PIXELS_MAX), rows.expose()))
}

fn framed(pixels: u32, rows: &[u8]) -> Hidden<Vec<u8>> {
    let mut png = HiddenBuffer::with_capacity(rows.len() + rows.len() / BLOCK_BYTES_MAX * 5 + 128);
    png.push(b"\x89PNG\r\n\x1a\n");
    // One bit a dot, shades of grey, the only compression, filter and order there are.
    part(&mut png, *b"IHDR", &[&pixels.to_be_bytes()[..], &pixels.to_be_bytes(), &[1, 0, 0, 0, 0]].concat());
    part(&mut png, *b"IDAT", stored(rows).expose());
    part(&mut png, *b"IEND", &[]);
    png.into_hidden()
}

/// One part of a PNG: length, name, content, and the sum of the latter two.
fn part(png: &mut HiddenBuffer, name: [u8; 4], content: &[u8]) {
    let length = u32::try_from(content.len()).expect("a picture has a bound");
    png.push(&length.to_be_bytes());
    let named_at = png.expose().len();
    png.push(&name);
    png.push(content);
    let sum = crc32(&png.expose()[named_at..]);
    png.push(&sum.to_be_bytes());
}

/// Bytes in the form of zlib (RFC 1950), stored as they are.
fn stored(bytes: &[u8]) -> Hidden<Vec<u8>> {
    let mut zlib = HiddenBuffer::with_capacity(bytes.len() + (bytes.len() / BLOCK_BYTES_MAX + 1) * 5 + 8);
    zlib.push(&[0x78, 0x01]);
    let mut blocks = bytes.chunks(BLOCK_BYTES_MAX).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).expect("a block has a bound");
        zlib.push(&[u8::from(blocks.peek().is_none())]);
        zlib.push(&length.to_le_bytes());
        zlib.push(&(!length).to_le_bytes());
        zlib.push(block);
    }
    zlib.push(&adler32(bytes).to_be_bytes());
    zlib.into_hidden()
}

/// RFC 1950, section 8.2.
fn adler32(bytes: &[u8]) -> u32 {
    const MODULUS: u32 = 65_521;
    let (a, b) = bytes.iter().fold((1, 0), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % MODULUS;
        (a, (b + a) % MODULUS)
    });
    (b << 16) | a
}

/// The sum of the PNG specification, annex D.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 })
    })
}
