//! Gzip's wrapping (RFC 1952) around bytes that are stored, not compressed (RFC 1951, 3.2.4).

use std::io::{self, Read};

/// Bytes of a stored block, at most.
pub(super) const PIECE: usize = 0xffff;

/// No flags, no time, no system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// Wraps bytes, piece by piece.
pub(super) struct Gzip {
    out: Vec<u8>,
    crc: Crc32,
    /// Bytes so far, modulo 2³².
    bytes: u32,
}

impl Gzip {
    pub(super) fn new() -> Self {
        Self { out: HEADER.to_vec(), crc: Crc32::new(), bytes: 0 }
    }

    /// What was made since it was cleared last.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.out
    }

    pub(super) fn clear(&mut self) {
        self.out.clear();
    }

    pub(super) fn put(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(PIECE) {
            self.block(0, piece);
            self.crc.update(piece);
            self.bytes = self.bytes.wrapping_add(piece.len() as u32);
        }
    }

    pub(super) fn end(&mut self) {
        self.block(1, b"");
        self.out.extend(self.crc.value().to_le_bytes());
        self.out.extend(self.bytes.to_le_bytes());
    }

    fn block(&mut self, last: u8, piece: &[u8]) {
        let bytes = u16::try_from(piece.len()).expect("a piece fits a block");
        self.out.push(last);
        self.out.extend(bytes.to_le_bytes());
        self.out.extend((!bytes).to_le_bytes());
        self.out.extend_from_slice(piece);
    }
}

/// Takes the wrapping off again. What is wrong with it is kept, beside the error that ends
/// the reading.
pub(super) struct Gunzip<R> {
    input: R,
    crc: Crc32,
    bytes: u32,
    place: Place,
    fault: Option<&'static str>,
}

enum Place {
    Start,
    /// So much is left of a block.
    Block {
        left: u16,
        last: bool,
    },
    End,
}

impl<R: Read> Gunzip<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, crc: Crc32::new(), bytes: 0, place: Place::Start, fault: None }
    }

    /// What is wrong with the wrapping.
    pub(super) fn fault(&self) -> Option<&'static str> {
        self.fault
    }

    fn fail<T>(&mut self, why: &'static str) -> io::Result<T> {
        self.fault = Some(why);
        Err(io::Error::new(io::ErrorKind::InvalidData, why))
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        match self.input.read_exact(&mut bytes) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => self.fail("it is cut off"),
            read => read.map(|()| bytes),
        }
    }

    fn start(&mut self) -> io::Result<()> {
        let mut first = [0; 1];
        if self.input.read(&mut first)? == 0 {
            return self.fail("it is empty");
        }
        if first[0] != HEADER[0] {
            return self.fail("it is no gzip file");
        }
        match self.array::<9>()? {
            [0x8b, 8, 0, ..] => self.block(),
            [0x8b, ..] => self.fail("it was packed by another program"),
            _ => self.fail("it is no gzip file"),
        }
    }

    fn block(&mut self) -> io::Result<()> {
        let [kind, a, b, c, d] = self.array()?;
        if kind > 1 {
            return self.fail("it was compressed by another program, or is damaged");
        }
        let left = u16::from_le_bytes([a, b]);
        if left != !u16::from_le_bytes([c, d]) {
            return self.fail("a block's length is damaged");
        }
        self.place = Place::Block { left, last: kind == 1 };
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        if u32::from_le_bytes(self.array()?) != self.crc.value() {
            return self.fail("its checksum does not match");
        }
        if u32::from_le_bytes(self.array()?) != self.bytes {
            return self.fail("its length does not match");
        }
        if self.input.read(&mut [0])? != 0 {
            return self.fail("something follows its end");
        }
        self.place = Place::End;
        Ok(())
    }
}

impl<R: Read> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.fault.is_some() {
            return Ok(0);
        }
        loop {
            match self.place {
                Place::End => return Ok(0),
                Place::Start => self.start()?,
                Place::Block { left: 0, last: false } => self.block()?,
                Place::Block { left: 0, last: true } => self.end()?,
                Place::Block { left, last } => {
                    let most = buffer.len().min(usize::from(left));
                    let count = self.input.read(&mut buffer[..most])?;
                    if count == 0 {
                        return self.fail("it is cut off");
                    }
                    self.crc.update(&buffer[..count]);
                    self.bytes = self.bytes.wrapping_add(count as u32);
                    self.place = Place::Block { left: left - count as u16, last };
                    return Ok(count);
                }
            }
        }
    }
}

/// The checksum of gzip (ISO 3309), which is not the one of the log.
struct Crc32(u32);

impl Crc32 {
    fn new() -> Self {
        Self(u32::MAX)
    }

    fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = TABLE[usize::from(self.0.to_le_bytes()[0] ^ byte)] ^ (self.0 >> 8);
        }
    }

    fn value(&self) -> u32 {
        !self.0
    }
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        let mut value = n as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { 0xedb8_8320 ^ (value >> 1) } else { value >> 1 };
            bit += 1;
        }
        table[n] = value;
        n += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::Crc32;

    #[test]
    fn the_checksum_is_the_one_of_gzip() {
        let mut crc = Crc32::new();
        crc.update(b"123456789");
        assert_eq!(crc.value(), 0xcbf4_3926);
    }
}
