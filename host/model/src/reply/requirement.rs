//! What a login is told that has to prove a second time who it is, instead of a token.

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

/// The envelope's `mfa_requirement`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MfaRequirement {
    /// Names the login that waits.
    pub mfa_request_id: String,
    /// One of each has to be passed.
    pub mfa_constraints: Vec<MfaConstraint>,
}

/// Methods of which one has to be passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MfaConstraint {
    /// What the operator calls the demand.
    pub name: String,
    /// The methods.
    pub any: Vec<MfaMethod>,
}

/// A way to prove it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MfaMethod {
    /// `totp`.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Whether a passcode is asked for.
    pub uses_passcode: bool,
    /// Its name; empty: it has none, and none is told.
    pub name: String,
}

impl MfaRequirement {
    /// JSON text of it, as Vault has it.
    ///
    /// # Panics
    /// Never: it is plain data.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(&Told(self)).expect("a requirement is plain data")
    }
}

/// As Vault tells it.
struct Told<'a>(&'a MfaRequirement);

impl Serialize for Told<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("mfa_request_id", &self.0.mfa_request_id)?;
        map.serialize_entry("mfa_constraints", &Constraints(&self.0.mfa_constraints))?;
        map.end()
    }
}

struct Constraints<'a>(&'a [MfaConstraint]);

impl Serialize for Constraints<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for constraint in self.0 {
            map.serialize_entry(&constraint.name, &Any { any: constraint.any.iter().map(Method::of).collect() })?;
        }
        map.end()
    }
}

#[derive(Serialize)]
struct Any<'a> {
    any: Vec<Method<'a>>,
}

#[derive(Serialize)]
struct Method<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    id: &'a str,
    uses_passcode: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
}

impl<'a> Method<'a> {
    fn of(method: &'a MfaMethod) -> Self {
        let MfaMethod { kind, id, uses_passcode, name } = method;
        Self { kind, id, uses_passcode: *uses_passcode, name }
    }
}
