//! What is checked of the things guests return, before the broker sees them. A guest
//! that breaks one of these rules loses its call; nothing of it is committed.

use bulkhead_model::hidden::Hidden;
use bulkhead_model::json::{Bounds, check_object};
use bulkhead_model::limits::{BODY_BYTES_MAX, JSON_DEPTH_MAX};
use bulkhead_model::reply::HiddenJson;

use crate::limits::{
    ANSWER_HEADER_BYTES_MAX, ANSWER_HEADERS_MAX, ANSWER_ITEMS_MAX, ANSWER_TEXT_BYTES_MAX, ANSWER_TEXTS_MAX,
    RECORD_JSON_BYTES_MAX,
};

/// Names and values in one answer's JSON. Source: ours: twice the names of the longest
/// LIST. Why: the check for names given twice remembers them.
const ANSWER_STRINGS_MAX: usize = 2_100_000;

/// What one answer's JSON may hold. Why as many values as strings: in a list with details
/// each name has a value, and what more a guest could send is held parsed for audit lines.
const ANSWER_BOUNDS: Bounds =
    Bounds { depth_max: JSON_DEPTH_MAX, strings_max: ANSWER_STRINGS_MAX, values_max: ANSWER_STRINGS_MAX };

/// Headers a guest may not set: they frame the message, or act on the client in the
/// name of the whole server.
const HEADERS_KEPT_BACK: [&str; 12] = [
    "connection",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "set-cookie",
    "strict-transport-security",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A rule that an answer breaks. The text names the rule, never what the guest sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the plugin's answer was refused: {0}")]
pub(crate) struct Unsound(&'static str);

/// Hides an answer's JSON object. It is put into the API's envelope as it is, so a
/// guest that could send anything else could write members of the envelope.
///
/// # Errors
/// [`Unsound`] if it is not one JSON object within the bounds.
pub(crate) fn object(json: Vec<u8>) -> Result<HiddenJson, Unsound> {
    let json = body(json)?;
    check_object(json.expose(), ANSWER_BOUNDS).map_err(|_| Unsound("data is not one JSON object within the bounds"))?;
    Ok(json)
}

/// Hides a body of any type.
///
/// # Errors
/// [`Unsound`] over the size of a request's body.
pub(crate) fn body(bytes: Vec<u8>) -> Result<HiddenJson, Unsound> {
    let bytes = Hidden::new(bytes);
    rule(bytes.expose().len() <= BODY_BYTES_MAX, "a body over 32 MiB")?;
    Ok(bytes)
}

/// Hides JSON that the host keeps for the guest without looking inside.
///
/// # Errors
/// [`Unsound`] over its size.
pub(crate) fn record(json: Vec<u8>) -> Result<HiddenJson, Unsound> {
    let json = Hidden::new(json);
    rule(json.expose().len() <= RECORD_JSON_BYTES_MAX, "internal JSON over 512 KiB")?;
    Ok(json)
}

/// A status: success, redirection or failure, never an interim one.
///
/// # Errors
/// [`Unsound`] outside 200 to 599.
pub(crate) fn status(status: u16) -> Result<u16, Unsound> {
    rule((200..600).contains(&status), "a status outside 200 to 599")?;
    Ok(status)
}

/// Response headers.
///
/// # Errors
/// [`Unsound`] if there are too many, one could not be sent as a header, or one is
/// not a guest's to set.
pub(crate) fn headers(headers: &[(String, String)]) -> Result<(), Unsound> {
    rule(headers.len() <= ANSWER_HEADERS_MAX, "more than 32 headers")?;
    for (name, value) in headers {
        rule(!name.is_empty() && name.len() <= 64 && name.bytes().all(is_token), "a header name that is no token")?;
        let mine = HEADERS_KEPT_BACK.iter().all(|kept| !name.eq_ignore_ascii_case(kept));
        rule(mine, "a header that plugins may not set")?;
        header_value(value)?;
    }
    Ok(())
}

/// A header value, or a content type.
///
/// # Errors
/// [`Unsound`] if it is too long or has characters that could end the header.
pub(crate) fn header_value(value: &str) -> Result<(), Unsound> {
    rule(value.len() <= ANSWER_HEADER_BYTES_MAX, "a header value over 8 KiB")?;
    rule(value.bytes().all(|b| (0x20..0x7f).contains(&b)), "a header value with other than printable ASCII")
}

/// Warnings or errors.
///
/// # Errors
/// [`Unsound`] if there are too many or one is too long.
pub(crate) fn texts(texts: &[String]) -> Result<(), Unsound> {
    rule(texts.len() <= ANSWER_TEXTS_MAX, "more than 100 warnings or errors")?;
    texts.iter().try_for_each(|text| self::text(text))
}

/// A name, or any other text that goes into a record.
///
/// # Errors
/// [`Unsound`] if it is too long.
pub(crate) fn text(text: &str) -> Result<(), Unsound> {
    rule(text.len() <= ANSWER_TEXT_BYTES_MAX, "a text over 16 KiB")
}

/// Pairs of names and values, as in metadata.
///
/// # Errors
/// [`Unsound`] if there are too many or one is too long.
pub(crate) fn pairs(pairs: &[(String, String)]) -> Result<(), Unsound> {
    items(pairs.len())?;
    pairs.iter().try_for_each(|(name, value)| text(name).and_then(|()| text(value)))
}

/// How many items a list in an answer has.
///
/// # Errors
/// [`Unsound`] if there are too many.
pub(crate) fn items(count: usize) -> Result<(), Unsound> {
    rule(count <= ANSWER_ITEMS_MAX, "more than 1000 items in a list")
}

/// The text of an error, cut where it is too long: the error itself must get through.
pub(crate) fn error_text(mut text: String) -> String {
    if text.len() > ANSWER_TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(ANSWER_TEXT_BYTES_MAX));
    }
    text
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn rule(holds: bool, broken: &'static str) -> Result<(), Unsound> {
    if holds { Ok(()) } else { Err(Unsound(broken)) }
}

#[cfg(test)]
mod tests;
