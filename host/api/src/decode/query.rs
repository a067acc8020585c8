//! Query parameters: decoded once, and as the JSON object that stands in for a body.

use bulkhead_model::failure::{Failure, FailureKind};
use bulkhead_model::hidden::Hidden;
use bulkhead_model::json::{JsonError, is_reserved};
use bulkhead_model::limits::JSON_STRINGS_MAX;

use crate::encode::push_string;

/// Names and values, in the order they were sent.
pub(crate) type Pairs = Vec<(String, String)>;

/// The parameters of a query. Broken ones are left out, as Go does it: a client that
/// sends them never meant them for us.
///
/// # Errors
/// Too many parameters.
pub(crate) fn parameters(query: &str) -> Result<Pairs, Failure> {
    Ok(parts(query)?.filter_map(|part| pair(part).ok()).collect())
}

/// The fields of a form.
///
/// # Errors
/// A broken percent-encoding, text that is not UTF-8, or too many fields.
pub(crate) fn fields(form: &str) -> Result<Pairs, Failure> {
    parts(form)?.map(pair).collect()
}

fn parts(text: &str) -> Result<impl Iterator<Item = &str>, Failure> {
    let parts = || text.split('&').filter(|part| !part.is_empty());
    if parts().nth(JSON_STRINGS_MAX / 2).is_some() {
        return Err(Failure::invalid("too many parameters"));
    }
    Ok(parts())
}

fn pair(part: &str) -> Result<(String, String), Failure> {
    let (name, value) = part.split_once('=').unwrap_or((part, ""));
    Ok((decoded(name)?, decoded(value)?))
}

/// A part of a query or form, with its plus signs and percent signs undone.
fn decoded(text: &str) -> Result<String, Failure> {
    if !text.contains(['%', '+']) {
        return Ok(text.to_owned());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    let broken = || Failure::invalid(format!("invalid URL escape in {:?}", text.chars().take(32).collect::<String>()));
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16)).ok_or_else(broken);
                u8::try_from(digit()? * 16 + digit()?).expect("two hexadecimal digits fit a byte")
            }
            byte => byte,
        });
    }
    String::from_utf8(out).map_err(|_| Failure::invalid("parameter is not UTF-8"))
}

/// A parameter that is true or false, in the spellings Go takes; absent or empty: false.
pub(crate) fn flag(query: &Pairs, name: &str) -> Result<bool, Failure> {
    let value = query.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v.as_str());
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(Failure { kind: FailureKind::Invalid, errors: Vec::new() }),
    }
}

/// An object of strings. A name that was given several times becomes a list, as in Vault.
pub(crate) fn object(pairs: &[&(String, String)]) -> Result<Hidden<Vec<u8>>, Failure> {
    if pairs.len() * 2 > JSON_STRINGS_MAX {
        return Err(Failure::invalid("too many parameters"));
    }
    if pairs.iter().any(|(name, _)| is_reserved(name.chars())) {
        return Err(Failure::invalid(JsonError::Reserved.to_string()));
    }
    // At worst every byte is a control character, which takes six.
    let bytes_max: usize = pairs.iter().map(|(n, v)| (n.len() + v.len()) * 6 + 8).sum();
    let mut out = Vec::with_capacity(bytes_max + 2);
    out.push(b'{');
    for (index, (name, value)) in pairs.iter().enumerate() {
        if pairs[..index].iter().any(|(earlier, _)| earlier == name) {
            continue;
        }
        if out.len() > 1 {
            out.push(b',');
        }
        push_string(&mut out, name);
        out.push(b':');
        let more: Vec<&str> = pairs[index + 1..].iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect();
        if more.is_empty() {
            push_string(&mut out, value);
            continue;
        }
        out.push(b'[');
        push_string(&mut out, value);
        for value in more {
            out.push(b',');
            push_string(&mut out, value);
        }
        out.push(b']');
    }
    out.push(b'}');
    Ok(Hidden::new(out))
}
