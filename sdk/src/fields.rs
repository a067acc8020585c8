//! What a handler gets: typed values out of the request's data. The host has coerced and
//! checked them already, so parsing here is short and trusts the kind.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::bindings::mounted::bulkhead::plugin::types::{FieldKind, Request};
use crate::describe::FieldDoc;
use crate::{Error, Result, json};

/// A value that was left as the JSON text the caller sent.
pub type Raw = str;

/// A duration in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Seconds(pub u64);

/// A type that a declared field may have.
pub trait FieldValue<'a>: Sized {
    /// How the host coerces and checks it.
    const KIND: FieldKind;
    /// Never shown or logged.
    const SENSITIVE: bool = false;
    /// Whether `null` is a value of its own; if not, it counts as absent.
    const TAKES_NULL: bool = false;

    /// Reads JSON text of the declared kind.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] if it is of another kind after all.
    fn parse(json: &'a str) -> Result<Self>;

    /// The value of a field that was not sent: Vault's zero value.
    fn absent() -> Self;
}

/// An argument a handler takes out of the request, beside its captures.
pub trait FromRequest<'a>: Sized {
    /// Its fields, for the descriptor.
    const FIELDS: &'static [FieldDoc] = &[];

    /// Captures that it reads and in which case does not count. The host lowers them before
    /// policies are asked, or a ban on `ann` would let `Ann` through.
    const FOLDED: &'static [&'static str] = &[];

    /// Takes it.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] if a value does not fit.
    fn from_request(request: &'a Request) -> Result<Self>;
}

impl<'a> FromRequest<'a> for &'a Request {
    fn from_request(request: &'a Request) -> Result<Self> {
        Ok(request)
    }
}

/// Reads a member's value; `null` counts as absent unless the type says otherwise.
///
/// # Errors
/// [`Error::InvalidRequest`], naming the field.
pub fn read<'a, T: FieldValue<'a>>(name: &str, json: &'a str) -> Result<T> {
    if json == "null" && !T::TAKES_NULL {
        return Ok(T::absent());
    }
    T::parse(json).map_err(|_| Error::invalid(format!("field {name:?} has an unexpected value")))
}

fn unfit() -> Error {
    Error::invalid("unexpected value")
}

/// Any value, as sent. Declare the kind with `#[field(kind = "any-map")]` for a map.
impl<'a> FieldValue<'a> for &'a Raw {
    const KIND: FieldKind = FieldKind::Any;
    const TAKES_NULL: bool = true;

    fn parse(json: &'a str) -> Result<Self> {
        Ok(json)
    }

    fn absent() -> Self {
        "null"
    }
}

impl<'a, T: FieldValue<'a>> FieldValue<'a> for Option<T> {
    const KIND: FieldKind = T::KIND;
    const SENSITIVE: bool = T::SENSITIVE;
    const TAKES_NULL: bool = T::TAKES_NULL;

    fn parse(json: &'a str) -> Result<Self> {
        T::parse(json).map(Some)
    }

    fn absent() -> Self {
        None
    }
}

impl FieldValue<'_> for String {
    const KIND: FieldKind = FieldKind::Text;

    fn parse(json: &str) -> Result<Self> {
        json::unquote(json).map(std::borrow::Cow::into_owned).ok_or_else(unfit)
    }

    fn absent() -> Self {
        Self::new()
    }
}

impl FieldValue<'_> for bool {
    const KIND: FieldKind = FieldKind::Boolean;

    fn parse(json: &str) -> Result<Self> {
        json.parse().map_err(|_| unfit())
    }

    fn absent() -> Self {
        false
    }
}

impl FieldValue<'_> for Seconds {
    const KIND: FieldKind = FieldKind::Duration;

    fn parse(json: &str) -> Result<Self> {
        json.parse().map(Self).map_err(|_| unfit())
    }

    fn absent() -> Self {
        Self(0)
    }
}

/// Types that read from their decimal text.
macro_rules! numbers {
    ($($type:ty => $kind:ident),*) => {$(
        impl FieldValue<'_> for $type {
            const KIND: FieldKind = FieldKind::$kind;

            fn parse(json: &str) -> Result<Self> {
                json.parse().map_err(|_| unfit())
            }

            fn absent() -> Self {
                <$type>::default()
            }
        }
    )*};
}
numbers!(i64 => Integer, u64 => Integer, i32 => Integer, u32 => Integer, f64 => Float);

impl FieldValue<'_> for Vec<String> {
    const KIND: FieldKind = FieldKind::CommaStringList;

    fn parse(json: &str) -> Result<Self> {
        json::items(json).ok_or_else(unfit)?.map(|item| String::parse(item?)).collect()
    }

    fn absent() -> Self {
        Self::new()
    }
}

impl FieldValue<'_> for Vec<i64> {
    const KIND: FieldKind = FieldKind::CommaIntegerList;

    fn parse(json: &str) -> Result<Self> {
        json::items(json).ok_or_else(unfit)?.map(|item| i64::parse(item?)).collect()
    }

    fn absent() -> Self {
        Self::new()
    }
}

impl FieldValue<'_> for BTreeMap<String, String> {
    const KIND: FieldKind = FieldKind::StringMap;

    fn parse(json: &str) -> Result<Self> {
        let member = |member: Result<(std::borrow::Cow<'_, str>, &str)>| {
            let (name, value) = member?;
            Ok((name.into_owned(), String::parse(value)?))
        };
        json::members(json.as_bytes())?.map(member).collect()
    }

    fn absent() -> Self {
        Self::new()
    }
}

impl FieldValue<'_> for Value {
    const KIND: FieldKind = FieldKind::Any;

    fn parse(json: &str) -> Result<Self> {
        serde_json::from_str(json).map_err(|_| unfit())
    }

    fn absent() -> Self {
        Self::Null
    }
}

/// Which part of a list is asked for: names after `after`, at most `limit`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Go on after this name; empty: from the start.
    pub after: String,
    /// At most this many names; zero or less: all.
    pub limit: i64,
}

impl<'a> FromRequest<'a> for Page {
    const FIELDS: &'static [FieldDoc] = &[
        FieldDoc::new("after", FieldKind::Text, "Optional entry to begin listing after; not required to exist."),
        FieldDoc::new("limit", FieldKind::Integer, "Optional number of entries to return; defaults to all entries."),
    ];

    fn from_request(request: &'a Request) -> Result<Self> {
        let mut page = Self::default();
        for member in json::members(&request.data)? {
            let (name, value) = member?;
            match &*name {
                "after" => page.after = read("after", value)?,
                "limit" => page.limit = read("limit", value)?,
                _ => {}
            }
        }
        Ok(page)
    }
}
