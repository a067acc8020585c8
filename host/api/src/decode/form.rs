//! Bodies sent as HTML forms.

use bulkhead_model::failure::Failure;
use bulkhead_model::request::Body;
use zeroize::Zeroize;

use super::query::{fields, object};

/// A form as the JSON object it stands for.
pub(crate) fn body(bytes: &[u8]) -> Result<Body, Failure> {
    let text = std::str::from_utf8(bytes).map_err(|_| Failure::invalid("form is not UTF-8"))?;
    let mut fields = fields(text.trim())?;
    let object = object(&fields.iter().collect::<Vec<_>>());
    fields.iter_mut().for_each(|(_, value)| value.zeroize());
    object.map(Body::Json)
}
