//! Templates of JSON: what identity tokens say besides what all of them say. A directive stands
//! for a JSON value, so that nothing a value holds can change the text around it.

use serde_json::{Map, Value};

use super::{Pairs, Piece, Subject, SubjectAlias, pieces};
use crate::duration::{self, DurationError};

/// Why a template of claims could not be expanded. The texts are Vault's, because they reach
/// clients as they are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsError {
    /// `{{` without `}}` or the other way round.
    #[error("unbalanced templating characters")]
    Unbalanced,
    /// It names something that nobody has.
    #[error("no value could be found for one of the template directives")]
    Unresolved,
    /// It names a group: whether one is in it is not known when a template is checked.
    #[error("string contains groups template directives but no groups were provided")]
    Groups,
    /// An alias of which it does not say what.
    #[error("invalid alias selector")]
    Alias,
    /// A time other than now.
    #[error("invalid time selector {0:?}")]
    Time(String),
    /// An operator on time without an operand.
    #[error("missing time operand")]
    NoOperand,
    /// An operator that is neither plus nor minus.
    #[error("invalid time operator {0:?}")]
    Operator(String),
    /// What is to be added to the time is no duration.
    #[error("invalid duration: {0}")]
    Duration(#[from] DurationError),
    /// With this subject's values it comes to more than a token may say.
    #[error("the template expands to more than {EXPANDED_BYTES_MAX} bytes")]
    TooLong,
}

/// Most bytes a template comes to. Source: ours. Why: values are as long as whoever writes an
/// entity's metadata likes, and each may stand there many times.
const EXPANDED_BYTES_MAX: usize = 256 * 1024;

/// The text with JSON in the place of each directive. What a subject could have and has not is
/// an empty text, list or object.
///
/// # Errors
/// [`ClaimsError`]; but for [`ClaimsError::TooLong`] none for one subject if there was none for
/// another.
pub fn expand(text: &str, subject: &Subject, now_secs: u64) -> Result<String, ClaimsError> {
    let mut out = String::with_capacity(text.len());
    for piece in pieces(text).map_err(|_| ClaimsError::Unbalanced)? {
        match piece {
            Piece::Plain(text) => out.push_str(text),
            Piece::Directive(name) => out.push_str(&value(subject, name, now_secs)?.to_string()),
        }
        if out.len() > EXPANDED_BYTES_MAX {
            return Err(ClaimsError::TooLong);
        }
    }
    Ok(out)
}

fn value(subject: &Subject, directive: &str, now_secs: u64) -> Result<Value, ClaimsError> {
    if let Some(of_entity) = directive.strip_prefix("identity.entity.") {
        return of_subject(subject, of_entity);
    }
    if directive.starts_with("identity.groups.") {
        return Err(ClaimsError::Groups);
    }
    match directive.strip_prefix("time.") {
        Some(time) => moment(time, now_secs).map(Value::from),
        None => Err(ClaimsError::Unresolved),
    }
}

fn of_subject(subject: &Subject, field: &str) -> Result<Value, ClaimsError> {
    match field {
        "id" => return Ok(subject.id.as_str().into()),
        "name" => return Ok(subject.name.as_str().into()),
        "metadata" => return Ok(object(&subject.metadata)),
        "groups.ids" => return Ok(list(subject.groups.iter().map(|group| &group.id))),
        "groups.names" => return Ok(list(subject.groups.iter().map(|group| &group.name))),
        _ => {}
    }
    if let Some(name) = field.strip_prefix("metadata.") {
        return Ok(member(&subject.metadata, name));
    }
    let of_alias = field.strip_prefix("aliases.").ok_or(ClaimsError::Unresolved)?;
    let (accessor, field) = of_alias.split_once('.').ok_or(ClaimsError::Alias)?;
    let nobody = SubjectAlias::default();
    let alias = subject.aliases.iter().find(|alias| alias.mount_accessor == accessor).unwrap_or(&nobody);
    match field.split_once('.') {
        None => match field {
            "id" => Ok(alias.id.as_str().into()),
            "name" => Ok(alias.name.as_str().into()),
            "metadata" => Ok(object(&alias.metadata)),
            "custom_metadata" => Ok(object(&alias.custom_metadata)),
            _ => Err(ClaimsError::Unresolved),
        },
        Some(("metadata", name)) => Ok(member(&alias.metadata, name)),
        Some(("custom_metadata", name)) => Ok(member(&alias.custom_metadata, name)),
        Some(_) => Err(ClaimsError::Unresolved),
    }
}

fn object(pairs: &Pairs) -> Value {
    pairs.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect::<Map<_, _>>().into()
}

/// Go shows an empty list that was never set as null.
fn list<'s>(texts: impl Iterator<Item = &'s String>) -> Value {
    let texts: Vec<Value> = texts.map(|text| text.as_str().into()).collect();
    if texts.is_empty() { Value::Null } else { texts.into() }
}

fn member(pairs: &Pairs, name: &str) -> Value {
    super::member(pairs, name).unwrap_or_default().into()
}

/// Seconds since 1970: `now`, `now.plus.1h`, `now.minus.30`.
fn moment(directive: &str, now_secs: u64) -> Result<u64, ClaimsError> {
    let mut parts = directive.splitn(3, '.');
    match (parts.next(), parts.next(), parts.next()) {
        (Some("now"), None, _) => Ok(now_secs),
        (Some("now"), Some(_), None) => Err(ClaimsError::NoOperand),
        (Some("now"), Some(operator), Some(operand)) => {
            let secs = duration::parse_secs(operand)?;
            match operator {
                "plus" => Ok(now_secs.saturating_add(secs)),
                "minus" => Ok(now_secs.saturating_sub(secs)),
                other => Err(ClaimsError::Operator(other.to_owned())),
            }
        }
        (selector, ..) => Err(ClaimsError::Time(selector.unwrap_or_default().to_owned())),
    }
}

#[cfg(test)]
mod tests;
