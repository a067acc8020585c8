//! Secret values that can be used but not printed, copied or left in memory.

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
