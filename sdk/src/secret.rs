//! A value that does not print itself.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Result;
use crate::bindings::mounted::bulkhead::plugin::types::FieldKind;
use crate::fields::FieldValue;

/// Holds a secret: no `Debug` or `Display` shows it, and reading it is greppable as
/// `expose()`. The host wipes the instance's memory after the call, so nothing is wiped
/// here. It serialises as the bare value, because storing it is what it is for.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Hides a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value. Each use is a place to look at in a review.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> core::fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl<T: Serialize> Serialize for Secret<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> core::result::Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> core::result::Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self)
    }
}

impl<'a, T: FieldValue<'a>> FieldValue<'a> for Secret<T> {
    const KIND: FieldKind = T::KIND;
    const SENSITIVE: bool = true;

    fn parse(json: &'a str) -> Result<Self> {
        T::parse(json).map(Self)
    }

    fn absent() -> Self {
        Self(T::absent())
    }
}
