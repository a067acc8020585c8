//! Secret values that can be used but not printed, copied or left in memory.

use std::io::{self, Write};

use zeroize::Zeroize;

/// A secret: no `Debug`, `Display`, `Serialize` or `Clone`; wiped on drop. Every
/// look inside goes through [`Hidden::expose`], so that it can be searched for.
pub struct Hidden<T: Zeroize>(T);

impl<T: Zeroize> Hidden<T> {
    /// Takes the value into hiding.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. Whoever calls this answers for where it goes.
    pub fn expose(&self) -> &T {
        &self.0
    }

    /// The value, to be changed in place.
    pub fn expose_mut(&mut self) -> &mut T {
        &mut self.0
    }

    /// A second hidden copy, named so that copies can be searched for.
    #[must_use]
    pub fn duplicate(&self) -> Self
    where
        T: Clone,
    {
        Self(self.0.clone())
    }
}

impl<T: Zeroize> Drop for Hidden<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Bytes compare in constant time, because the place of the first difference
/// would tell an attacker how much of a guess was right.
impl<T: Zeroize + AsRef<[u8]>> PartialEq for Hidden<T> {
    fn eq(&self, other: &Self) -> bool {
        use subtle::ConstantTimeEq;
        self.0.as_ref().ct_eq(other.0.as_ref()).into()
    }
}

/// Secret bytes in the making: they leave no copy behind as they grow.
pub struct HiddenBuffer(Hidden<Vec<u8>>);

impl HiddenBuffer {
    /// An empty one with room for so many bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Hidden::new(Vec::with_capacity(bytes)))
    }

    /// Appends bytes.
    pub fn push(&mut self, more: &[u8]) {
        self.reserve(more.len());
        self.0.0.extend_from_slice(more);
    }

    /// What was written so far. Whoever calls this answers for where it goes.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.expose()
    }

    /// What was written.
    #[must_use]
    pub fn into_hidden(self) -> Hidden<Vec<u8>> {
        self.0
    }

    /// A vector would free its bytes as they are, and go on with a copy.
    fn reserve(&mut self, more: usize) {
        let bytes = &mut self.0.0;
        let needed = bytes.len().saturating_add(more);
        if needed > bytes.capacity() {
            let mut larger = Vec::with_capacity(needed.max(bytes.capacity().saturating_mul(2)));
            larger.extend_from_slice(bytes);
            bytes.zeroize();
            *bytes = larger;
        }
    }
}

impl Extend<u8> for HiddenBuffer {
    fn extend<I: IntoIterator<Item = u8>>(&mut self, more: I) {
        let more = more.into_iter();
        self.reserve(more.size_hint().0);
        for byte in more {
            self.reserve(1);
            self.0.0.push(byte);
        }
    }
}

impl Write for HiddenBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
