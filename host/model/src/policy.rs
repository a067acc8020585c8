//! Policies: their names and their text. What they decide is in [`crate::acl`].

use std::sync::Arc;

use crate::hcl::{self, Item, Value};
use crate::path::{self, ApiPath};
use crate::template::{self, Subject, TemplateError};

mod filter;
mod guess;

pub use filter::KeysFilter;

/// The name of a policy, normalised (trimmed, lower case) and never `root`: what
/// carries full power is no policy, so no API that takes names can hand it out.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyName(String);

/// Why a policy or its name was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// `root` in any spelling.
    #[error("the root policy cannot be written, deleted or attached")]
    Root,
    /// Empty, or with characters that would make it ambiguous.
    #[error("invalid policy name")]
    Name,
    /// The text is not HCL or JSON.
    #[error("failed to parse policy: {0}")]
    Syntax(String),
    /// The text says something no policy can say.
    #[error("failed to parse policy: {0}")]
    Meaning(String),
}

impl PolicyName {
    /// Normalises and checks a name.
    ///
    /// # Errors
    /// [`PolicyError::Root`] for `root` in any spelling, [`PolicyError::Name`] for an
    /// empty or ambiguous name.
    pub fn parse(raw: &str) -> Result<Self, PolicyError> {
        let name = path::lowered(raw.trim());
        if name == "root" {
            return Err(PolicyError::Root);
        }
        if name.is_empty() || name.ends_with('/') || name.starts_with('/') {
            return Err(PolicyError::Name);
        }
        match ApiPath::checked(name) {
            Ok(path) => Ok(Self(path.as_str().to_owned())),
            Err(_) => Err(PolicyError::Name),
        }
    }

    /// The normalised name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a rule allows, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(u16);

/// Name and bit of each capability, in the order Vault lists them.
const CAPABILITIES: [(&str, u16); 9] = [
    ("create", 1),
    ("read", 2),
    ("update", 4),
    ("delete", 8),
    ("list", 16),
    ("sudo", 32),
    ("deny", 64),
    ("patch", 128),
    ("scan", 256),
];

#[allow(missing_docs)]
impl Capabilities {
    pub const CREATE: Self = Self(1);
    pub const READ: Self = Self(2);
    pub const UPDATE: Self = Self(4);
    pub const DELETE: Self = Self(8);
    pub const LIST: Self = Self(16);
    pub const SUDO: Self = Self(32);
    pub const DENY: Self = Self(64);
    pub const PATCH: Self = Self(128);
    pub const SCAN: Self = Self(256);

    /// Whether all of `other` is in here.
    #[must_use]
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both together; deny overrides all.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        let both = self.0 | other.0;
        if both & Self::DENY.0 == 0 { Self(both) } else { Self::DENY }
    }

    /// By its name in a policy.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        CAPABILITIES.iter().find(|(n, _)| *n == name).map(|(_, bit)| Self(*bit))
    }

    /// The names, sorted as Vault answers `sys/capabilities`.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        let mut names: Vec<_> = CAPABILITIES.iter().filter(|(_, bit)| self.0 & bit != 0).map(|(n, _)| *n).collect();
        names.sort_unstable();
        names
    }
}

/// Parameter names (lower case) and the values allowed or denied; no value: any.
pub type ParameterRules = Vec<(String, Vec<serde_json::Value>)>;

/// One `path` stanza.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PathRule {
    /// The pattern as written, without a slash in front.
    pub pattern: String,
    /// What it allows.
    pub capabilities: Capabilities,
    /// `None`: no rule; `Some(empty)` would be the same.
    pub allowed_parameters: ParameterRules,
    /// See `allowed_parameters`.
    pub denied_parameters: ParameterRules,
    /// Parameters that must be there.
    pub required_parameters: Vec<String>,
    /// Shortest wrapping TTL, in seconds; 0: none.
    pub min_wrapping_ttl_secs: u64,
    /// Longest wrapping TTL, in seconds; 0: none.
    pub max_wrapping_ttl_secs: u64,
    /// Most names that one list shows; 0: all. Source: OpenBao.
    pub pagination_limit: u64,
    /// Which names a list shows; none: all. Source: OpenBao.
    pub keys_filter: Option<Arc<KeysFilter>>,
    /// When it ends, in milliseconds since 1970; `None`: never. Source: OpenBao.
    pub expires_ms: Option<u64>,
}

/// A parsed policy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    /// Its stanzas, in order.
    pub rules: Vec<PathRule>,
}

impl Policy {
    /// Reads a policy in HCL or JSON.
    ///
    /// # Errors
    /// [`PolicyError`] with the text Vault's users know, and the place.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let items = hcl::parse(text).map_err(|e| PolicyError::Syntax(e.to_string()))?;
        let mut rules = Vec::new();
        for item in &items {
            match (item.key.as_str(), &item.value) {
                ("path", Value::Body(_) | Value::List(_)) if item.labels.is_empty() && !hcl::is_json(text) => {
                    let text = format!("path on line {} needs a pattern, as in path \"secret/*\" {{ … }}", item.line);
                    return Err(PolicyError::Meaning(text));
                }
                ("path", _) => path_items(item, &mut rules)?,
                ("name", Value::Str(_) | Value::Num(_)) => {}
                ("name", _) => return Err(PolicyError::Meaning(format!("name on line {} is no text", item.line))),
                (other, _) => return Err(PolicyError::Meaning(format!("invalid key {other:?} on line {}", item.line))),
            }
        }
        Ok(Self { rules })
    }

    /// Whether a path of it depends on who asks.
    #[must_use]
    pub fn is_templated(&self) -> bool {
        self.rules.iter().any(|rule| template::is_template(&rule.pattern))
    }

    /// Whether a part of it ends some time.
    #[must_use]
    pub fn ends(&self) -> bool {
        self.rules.iter().any(|rule| rule.expires_ms.is_some())
    }

    /// The policy as it is at this moment: without what has ended.
    #[must_use]
    pub fn at(mut self, now_ms: u64) -> Self {
        self.rules.retain(|rule| rule.expires_ms.is_none_or(|end| now_ms <= end));
        self
    }

    /// The policy as it is from the root, of one that is in a namespace: its paths are below that of
    /// the namespace, which ends in a slash and has no wildcards.
    #[must_use]
    pub fn within(mut self, namespace: &str) -> Self {
        if !namespace.is_empty() {
            self.rules.iter_mut().for_each(|rule| rule.pattern.insert_str(0, namespace));
        }
        self
    }

    /// The policy as it is for this subject. A rule about something the subject does not
    /// have is left out, as in Vault.
    ///
    /// # Errors
    /// [`PolicyError::Meaning`]: a value would change what the path around it means. The
    /// whole policy is then of no use: to leave the rule out might lift a ban.
    pub fn resolved(&self, subject: Option<&Subject>, values: TemplateValues) -> Result<Self, PolicyError> {
        let mut rules = Vec::with_capacity(self.rules.len());
        for rule in &self.rules {
            if !template::is_template(&rule.pattern) {
                rules.push(rule.clone());
                continue;
            }
            let bad = |text: String| PolicyError::Meaning(format!("path {:?}: {text}", rule.pattern));
            match template::expand(&rule.pattern, subject, values.forbidden()) {
                Ok(pattern) if pattern.contains("+*") => return Err(bad(FORBIDDEN_WILDCARDS.into())),
                Ok(pattern) => rules.push(PathRule { pattern, ..rule.clone() }),
                Err(TemplateError::Unresolved) => {}
                Err(error) => return Err(bad(error.to_string())),
            }
        }
        Ok(Self { rules })
    }
}

/// What a policy lets the values of its templates have; by default neither, as whoever may
/// write a name or metadata could else widen what the path grants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TemplateValues {
    /// `/`.
    pub slashes: bool,
    /// `*` and `+`.
    pub wildcards: bool,
}

impl TemplateValues {
    fn forbidden(self) -> &'static [char] {
        match (self.slashes, self.wildcards) {
            (false, false) => &['*', '+', '/'],
            (false, true) => &['/'],
            (true, false) => &['*', '+'],
            (true, true) => &[],
        }
    }
}

const FORBIDDEN_WILDCARDS: &str = "invalid use of wildcards ('+*' is forbidden)";

/// A stanza with its pattern as label, or (JSON) a body whose keys are patterns.
fn path_items(item: &Item, rules: &mut Vec<PathRule>) -> Result<(), PolicyError> {
    match (&item.labels[..], &item.value) {
        ([pattern], Value::Body(body)) => rules.push(path_rule(pattern, body)?),
        // In JSON, what holds nothing but patterns has them as labels by now.
        ([], Value::Body(none)) if none.is_empty() => {}
        ([], Value::List(none)) if none.is_empty() => {}
        _ => return Err(PolicyError::Meaning(format!("path stanza on line {} needs one pattern", item.line))),
    }
    Ok(())
}

fn path_rule(pattern: &str, body: &[Item]) -> Result<PathRule, PolicyError> {
    let bad = |text: String| PolicyError::Meaning(format!("path {pattern:?}: {text}"));
    let pattern_text = pattern.strip_prefix('/').unwrap_or(pattern).to_owned();
    if pattern_text.contains("+*") {
        return Err(bad(FORBIDDEN_WILDCARDS.into()));
    }
    template::check(&pattern_text).map_err(|e| bad(format!("failed to validate policy templating: {e}")))?;
    let mut rule = PathRule { pattern: pattern_text, ..PathRule::default() };
    let mut filter = None;
    for item in body {
        match item.key.as_str() {
            "capabilities" => {
                for name in strings(&item.value).ok_or_else(|| bad("capabilities must be a list of strings".into()))? {
                    let one = Capabilities::named(&name).ok_or_else(|| bad(format!("invalid capability {name:?}")))?;
                    rule.capabilities = rule.capabilities.with(one);
                }
            }
            "policy" => rule.capabilities = rule.capabilities.with(shorthand(&item.value).map_err(bad)?),
            "allowed_parameters" => rule.allowed_parameters = parameters(&item.value).map_err(bad)?,
            "denied_parameters" => rule.denied_parameters = parameters(&item.value).map_err(bad)?,
            "required_parameters" => {
                rule.required_parameters =
                    strings(&item.value).ok_or_else(|| bad("required_parameters must be a list of strings".into()))?;
            }
            "min_wrapping_ttl" => rule.min_wrapping_ttl_secs = seconds(&item.value).map_err(bad)?,
            "max_wrapping_ttl" => rule.max_wrapping_ttl_secs = seconds(&item.value).map_err(bad)?,
            "pagination_limit" => rule.pagination_limit = limit(&item.value).map_err(bad)?,
            "list_scan_response_keys_filter_path" => filter = Some(&item.value),
            "expiration" => rule.expires_ms = expiration(&item.value).map_err(bad)?,
            "comment" => {}
            other => return Err(bad(format!("invalid key {other:?} on line {}", item.line))),
        }
    }
    rule.keys_filter = keys_filter(filter, rule.capabilities).map_err(bad)?;
    let (min, max) = (rule.min_wrapping_ttl_secs, rule.max_wrapping_ttl_secs);
    if max != 0 && min > max {
        return Err(bad("max_wrapping_ttl cannot be less than min_wrapping_ttl".into()));
    }
    Ok(rule)
}

/// The `policy = "write"` form of Vault before 0.5, still parsed by it.
fn shorthand(value: &Value) -> Result<Capabilities, String> {
    use Capabilities as C;
    let all = C::CREATE.with(C::READ).with(C::UPDATE).with(C::DELETE).with(C::LIST).with(C::PATCH);
    match value {
        Value::Str(s) if s == "deny" => Ok(C::DENY),
        Value::Str(s) if s == "read" => Ok(C::READ.with(C::LIST)),
        Value::Str(s) if s == "write" => Ok(all),
        Value::Str(s) if s == "sudo" => Ok(all.with(C::SUDO)),
        _ => Err("invalid policy shorthand".into()),
    }
}

fn strings(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::List(list) => {
            list.iter().map(|v| if let Value::Str(s) | Value::Num(s) = v { Some(s.clone()) } else { None }).collect()
        }
        _ => None,
    }
}

fn seconds(value: &Value) -> Result<u64, String> {
    match value {
        Value::Str(text) | Value::Num(text) => {
            crate::duration::parse_secs(text).map_err(|_| format!("invalid duration {text:?}"))
        }
        _ => Err("invalid duration".into()),
    }
}

/// The filter of a rule. As in OpenBao, one that denies has none, and one without a text neither.
fn keys_filter(value: Option<&Value>, capabilities: Capabilities) -> Result<Option<Arc<KeysFilter>>, String> {
    let text = match value {
        None => return Ok(None),
        Some(Value::Str(text) | Value::Num(text)) => text,
        Some(_) => return Err("list_scan_response_keys_filter_path must be a text".to_owned()),
    };
    if capabilities.has(Capabilities::DENY) || text.is_empty() {
        return Ok(None);
    }
    if !capabilities.has(Capabilities::LIST) {
        let text = "list_scan_response_keys_filter_path needs to be used on a path with the list capability";
        return Err(text.to_owned());
    }
    KeysFilter::parse(text).map(|filter| Some(Arc::new(filter)))
}

/// A number of names; none where it is not above 0, as in OpenBao.
fn limit(value: &Value) -> Result<u64, String> {
    let parsed = match value {
        Value::Num(text) | Value::Str(text) => text.parse::<i64>().ok(),
        _ => None,
    };
    let limit = parsed.ok_or("pagination_limit must be a number")?;
    Ok(u64::try_from(limit).unwrap_or(0))
}

/// A moment: RFC 3339, or seconds since 1970; empty: never.
fn expiration(value: &Value) -> Result<Option<u64>, String> {
    use ::time::OffsetDateTime;
    use ::time::format_description::well_known::Rfc3339;
    let (Value::Str(text) | Value::Num(text)) = value else { return Err("invalid expiration time".into()) };
    if text.is_empty() {
        return Ok(None);
    }
    let moment = match text.parse::<i64>() {
        Ok(secs) => OffsetDateTime::from_unix_timestamp(secs).ok(),
        Err(_) => OffsetDateTime::parse(text, &Rfc3339).ok(),
    };
    let moment = moment.ok_or_else(|| format!("invalid expiration time: {text:?}"))?;
    // One before 1970 has ended too.
    Ok(Some(u64::try_from(moment.unix_timestamp_nanos() / 1_000_000).unwrap_or(0)))
}

fn parameters(value: &Value) -> Result<ParameterRules, String> {
    let Value::Body(items) = value else { return Err("parameters must be a map".into()) };
    let mut rules = Vec::new();
    for item in items {
        let Value::List(list) = &item.value else { return Err(format!("parameter {:?} must be a list", item.key)) };
        rules.push((item.key.to_lowercase(), list.iter().map(json).collect()));
    }
    Ok(rules)
}

fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Str(s) => serde_json::Value::from(s.as_str()),
        Value::Num(n) => serde_json::from_str(n).unwrap_or_else(|_| serde_json::Value::from(n.as_str())),
        Value::Bool(b) => serde_json::Value::from(*b),
        Value::List(list) => serde_json::Value::Array(list.iter().map(json).collect()),
        Value::Body(items) => items.iter().map(|i| (i.key.clone(), json(&i.value))).collect(),
    }
}

#[cfg(test)]
mod tests;
