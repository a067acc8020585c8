//! The envelope that answers come in. Lenient towards what is missing, since some paths
//! answer without it (`sys/health`), and exact in what it prints.

use serde_json::{Map, Value, json};

use super::ClientError;
use crate::output::sorted;

/// An answer in Vault's envelope.
#[derive(Debug, Default)]
pub(crate) struct Secret {
    request_id: String,
    /// Empty without a lease.
    pub(crate) lease_id: String,
    /// Seconds.
    pub(crate) lease_duration: i64,
    /// Whether the lease can be renewed.
    pub(crate) renewable: bool,
    /// What was asked for.
    pub(crate) data: Option<Map<String, Value>>,
    /// What the server wants the caller to know.
    pub(crate) warnings: Vec<String>,
    /// A token, after a login or creation.
    pub(crate) auth: Option<Auth>,
    /// Where the answer is to be fetched, if it is wrapped.
    pub(crate) wrap_info: Option<WrapInfo>,
}

/// A token and what goes with it.
#[derive(Debug, Default)]
pub(crate) struct Auth {
    /// The token itself.
    pub(crate) client_token: String,
    /// Its accessor.
    pub(crate) accessor: String,
    /// All of its policies.
    pub(crate) policies: Option<Vec<String>>,
    /// Those it has by itself.
    pub(crate) token_policies: Option<Vec<String>>,
    /// Those it has through its identity.
    pub(crate) identity_policies: Option<Vec<String>>,
    /// What the auth method noted about it.
    pub(crate) metadata: Option<Map<String, Value>>,
    /// Seconds; 0 is for ever.
    pub(crate) lease_duration: i64,
    /// Whether it can be renewed.
    pub(crate) renewable: bool,
    /// A second factor that is still to be shown.
    pub(crate) mfa_requirement: Option<Value>,
    /// Whether it has no parent.
    pub(crate) orphan: bool,
    /// Whom it belongs to.
    pub(crate) entity_id: String,
}

/// A wrapped answer.
#[derive(Debug, Default)]
pub(crate) struct WrapInfo {
    /// The token that opens it, once.
    pub(crate) token: String,
    /// The token's accessor.
    pub(crate) accessor: String,
    /// Seconds.
    pub(crate) ttl: i64,
    /// RFC 3339.
    pub(crate) creation_time: String,
    /// What was asked for.
    pub(crate) creation_path: String,
    /// The accessor of the token inside, if it is one.
    pub(crate) wrapped_accessor: String,
}

/// Any JSON.
///
/// # Errors
/// [`ClientError::NotJson`].
pub(super) fn parse_json(body: &[u8]) -> Result<Value, ClientError> {
    serde_json::from_slice(body).map_err(ClientError::NotJson)
}

impl Secret {
    /// A secret that is a token and nothing else.
    pub(crate) fn of_auth(auth: Auth) -> Self {
        Self { auth: Some(auth), ..Self::default() }
    }

    /// Reads a body; none if there is nothing in it. An object without the envelope is
    /// taken as data.
    ///
    /// # Errors
    /// A body that is no JSON, or one that holds errors besides other things.
    pub(super) fn parse(body: &[u8]) -> Result<Option<Self>, ClientError> {
        if body.is_empty() {
            return Ok(None);
        }
        let Value::Object(object) = parse_json(body)? else { return Ok(None) };
        let secret = Self::of(&object);
        if !secret.is_blank() {
            return Ok(Some(secret));
        }
        if let Some(errors) = object.get("errors") {
            let texts = strings(Some(errors)).unwrap_or_default();
            return if object.len() == 1 { Ok(None) } else { Err(ClientError::Errors(texts.join(" "))) };
        }
        Ok(Some(Self { data: (!object.is_empty()).then_some(object), ..Self::default() }))
    }

    fn of(object: &Map<String, Value>) -> Self {
        Self {
            request_id: text(object, "request_id"),
            lease_id: text(object, "lease_id"),
            lease_duration: whole(object, "lease_duration"),
            renewable: truth(object, "renewable"),
            data: object.get("data").and_then(Value::as_object).cloned(),
            warnings: strings(object.get("warnings")).unwrap_or_default(),
            auth: object.get("auth").and_then(Value::as_object).map(Auth::of),
            wrap_info: object.get("wrap_info").and_then(Value::as_object).map(WrapInfo::of),
        }
    }

    fn is_blank(&self) -> bool {
        self.request_id.is_empty()
            && self.lease_id.is_empty()
            && self.lease_duration == 0
            && !self.renewable
            && self.data.is_none()
            && self.warnings.is_empty()
            && self.auth.is_none()
            && self.wrap_info.is_none()
    }

    /// The keys of a list's answer.
    pub(crate) fn keys(&self) -> Option<&Vec<Value>> {
        self.data.as_ref()?.get("keys")?.as_array()
    }

    /// One entry of the data.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.data.as_ref()?.get(key)
    }

    /// The whole envelope, in the peers' order.
    pub(crate) fn to_value(&self) -> Value {
        let mut value = json!({
            "request_id": self.request_id,
            "lease_id": self.lease_id,
            "lease_duration": self.lease_duration,
            "renewable": self.renewable,
            "data": self.data.as_ref().map(|data| sorted(&Value::Object(data.clone()))),
            "warnings": if self.warnings.is_empty() { Value::Null } else { json!(self.warnings) },
        });
        if let Some(auth) = &self.auth {
            value["auth"] = auth.to_value();
        }
        if let Some(wrap_info) = &self.wrap_info {
            value["wrap_info"] = wrap_info.to_value();
        }
        value
    }

    /// The field that `-field` names. What it means depends on the kind of answer.
    pub(crate) fn field(&self, name: &str) -> Option<Value> {
        let special = match (&self.auth, &self.wrap_info) {
            (Some(auth), _) => auth.field(name),
            (None, Some(wrap_info)) => wrap_info.field(name),
            (None, None) => self.own_field(name),
        };
        special.or_else(|| self.get(name).cloned()).filter(|value| !value.is_null())
    }

    fn own_field(&self, name: &str) -> Option<Value> {
        match name {
            "lease_duration" | "refresh_interval" => Some(json!(self.lease_duration)),
            "lease_id" => Some(json!(self.lease_id)),
            "request_id" => Some(json!(self.request_id)),
            "renewable" => Some(json!(self.renewable)),
            "data" if self.get("data").is_none() => self.data.clone().map(Value::Object),
            _ => None,
        }
    }
}

impl Auth {
    fn of(object: &Map<String, Value>) -> Self {
        Self {
            client_token: text(object, "client_token"),
            accessor: text(object, "accessor"),
            policies: strings(object.get("policies")),
            token_policies: strings(object.get("token_policies")),
            identity_policies: strings(object.get("identity_policies")),
            metadata: object.get("metadata").and_then(Value::as_object).cloned(),
            lease_duration: whole(object, "lease_duration"),
            renewable: truth(object, "renewable"),
            mfa_requirement: object.get("mfa_requirement").filter(|value| !value.is_null()).cloned(),
            orphan: truth(object, "orphan"),
            entity_id: text(object, "entity_id"),
        }
    }

    fn to_value(&self) -> Value {
        json!({
            "client_token": self.client_token,
            "accessor": self.accessor,
            "policies": self.policies,
            "token_policies": self.token_policies,
            "identity_policies": self.identity_policies,
            "metadata": self.metadata.as_ref().map(|metadata| sorted(&Value::Object(metadata.clone()))),
            "orphan": self.orphan,
            "entity_id": self.entity_id,
            "lease_duration": self.lease_duration,
            "renewable": self.renewable,
            "mfa_requirement": self.mfa_requirement,
        })
    }

    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "token" => Some(json!(self.client_token)),
            "token_accessor" => Some(json!(self.accessor)),
            "token_duration" => Some(json!(self.lease_duration)),
            "token_renewable" => Some(json!(self.renewable)),
            // A list that is not there prints as an empty one.
            "token_policies" => Some(json!(self.token_policies.clone().unwrap_or_default())),
            "identity_policies" => Some(json!(self.identity_policies.clone().unwrap_or_default())),
            "policies" => Some(json!(self.policies.clone().unwrap_or_default())),
            _ => None,
        }
    }
}

impl WrapInfo {
    fn of(object: &Map<String, Value>) -> Self {
        Self {
            token: text(object, "token"),
            accessor: text(object, "accessor"),
            ttl: whole(object, "ttl"),
            creation_time: text(object, "creation_time"),
            creation_path: text(object, "creation_path"),
            wrapped_accessor: text(object, "wrapped_accessor"),
        }
    }

    fn to_value(&self) -> Value {
        json!({
            "token": self.token,
            "accessor": self.accessor,
            "ttl": self.ttl,
            "creation_time": self.creation_time,
            "creation_path": self.creation_path,
            "wrapped_accessor": self.wrapped_accessor,
        })
    }

    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "wrapping_token" => Some(json!(self.token)),
            "wrapping_accessor" => Some(json!(self.accessor)),
            "wrapping_token_ttl" => Some(json!(self.ttl)),
            "wrapping_token_creation_time" => Some(json!(self.creation_time)),
            "wrapping_token_creation_path" => Some(json!(self.creation_path)),
            "wrapped_accessor" => Some(json!(self.wrapped_accessor)),
            _ => None,
        }
    }
}

fn text(object: &Map<String, Value>, key: &str) -> String {
    object.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn whole(object: &Map<String, Value>, key: &str) -> i64 {
    object.get(key).and_then(Value::as_i64).unwrap_or_default()
}

fn truth(object: &Map<String, Value>, key: &str) -> bool {
    object.get(key).and_then(Value::as_bool).unwrap_or_default()
}

fn strings(value: Option<&Value>) -> Option<Vec<String>> {
    let items = value?.as_array()?;
    Some(items.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}
