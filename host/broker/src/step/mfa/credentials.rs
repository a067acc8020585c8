//! What a caller brings to prove more: passcodes by method, from a header or a body.

use bulkhead_model::hidden::Hidden;
use serde_json::{Map, Value};

use crate::fault::Fault;

/// The header, as requests have it.
const HEADER: &str = "x-vault-mfa";
/// Methods that a caller may name at once. Source: ours. Why: each is looked for among those that
/// are demanded.
const NAMED_MAX: usize = 64;
/// Texts for one method. Source: ours; one is of use.
const TEXTS_MAX: usize = 16;

/// Texts by id or name of a method.
#[derive(Default)]
pub(crate) struct Credentials(Vec<(String, Vec<Hidden<String>>)>);

impl Credentials {
    /// Those of headers: `method` or `method:text`, as often as there are such headers.
    ///
    /// # Errors
    /// 400 for a header of another form.
    pub(super) fn of_headers(headers: &[(String, String)]) -> Result<Self, Fault> {
        let mut found = Self::default();
        for (_, value) in headers.iter().filter(|(name, _)| name == HEADER) {
            let value = value.trim();
            if value.is_empty() {
                continue;
            }
            let (method, text) = value.split_once(':').map_or((value, None), |(method, text)| (method, Some(text)));
            match (method, text) {
                ("", _) => return Err(bad_header("missing method name or ID")),
                (_, Some("")) => return Err(bad_header("missing method value")),
                _ => {}
            }
            found.add(method, text).ok_or_else(|| bad_header("too many values"))?;
        }
        Ok(found)
    }

    /// Those of a body: a list of texts for each method.
    ///
    /// # Errors
    /// 400 for anything else.
    pub(crate) fn of_payload(payload: Option<&Map<String, Value>>) -> Result<Self, Fault> {
        let mut found = Self::default();
        for (method, texts) in payload.into_iter().flatten() {
            found.add_all(method, texts).ok_or_else(|| Fault::invalid("invalid mfa payload"))?;
        }
        Ok(found)
    }

    fn add_all(&mut self, method: &str, texts: &Value) -> Option<()> {
        self.add(method, None)?;
        match texts {
            Value::Null => Some(()),
            Value::Array(texts) => texts.iter().try_for_each(|text| self.add(method, Some(text.as_str()?))),
            _ => None,
        }
    }

    /// `None`: there are too many.
    fn add(&mut self, method: &str, text: Option<&str>) -> Option<()> {
        let at = match self.0.iter().position(|(have, _)| have == method) {
            Some(at) => at,
            None if self.0.len() >= NAMED_MAX => return None,
            None => {
                self.0.push((method.to_owned(), Vec::new()));
                self.0.len() - 1
            }
        };
        let texts = &mut self.0[at].1;
        if let Some(text) = text {
            if texts.len() >= TEXTS_MAX {
                return None;
            }
            texts.push(Hidden::new(text.to_owned()));
        }
        Some(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The texts for a method, by its id or else by its name.
    pub(super) fn of(&self, id: &str, name: &str) -> Option<&[Hidden<String>]> {
        let by = |wanted: &str| self.0.iter().find(|(method, _)| method == wanted);
        let found = by(id).or_else(|| if name.is_empty() { None } else { by(name) });
        found.map(|(_, texts)| texts.as_slice())
    }
}

fn bad_header(why: &str) -> Fault {
    Fault::invalid(format!("failed to parse X-Vault-MFA header: invalid data in header \"X-Vault-MFA\"; {why}"))
}

/// The one passcode among the texts for a method, alone or behind `passcode=`.
///
/// # Errors
/// What is wrong with them. It does not quote them.
pub(super) fn passcode(texts: &[Hidden<String>]) -> Result<Option<&str>, &'static str> {
    let mut found = None;
    for text in texts.iter().map(|text| text.expose().as_str()).filter(|text| !text.is_empty()) {
        let code = match text.strip_prefix("passcode=") {
            Some("") => return Err("invalid passcode"),
            Some(code) => code,
            None if text.contains('=') => return Err("found an invalid MFA cred"),
            None => text,
        };
        if found.replace(code).is_some() {
            return Err("found multiple passcodes for the same MFA method");
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
