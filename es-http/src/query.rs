//! The query of a URI, and the place of a page in it.

use es_runtime::store::{FieldValue, RowCursor};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Value, json};

use crate::Problem;
use crate::errors::malformed;

/// The parameters of a query, decoded, in their order.
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(crate) fn of(query: &str) -> Result<Self, Problem> {
        let decoded = |text: &str| {
            let text = text.replace('+', " ");
            let decoded = percent_decode_str(&text).decode_utf8();
            decoded
                .map(String::from)
                .map_err(|_| malformed("query", "it is not UTF-8 behind its percent signs"))
        };
        let parts = query.split('&').filter(|part| !part.is_empty());
        let pairs = parts.map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Ok((decoded(name)?, decoded(value)?))
        });
        Ok(Self(pairs.collect::<Result<_, Problem>>()?))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// A reference to the same list, from this page on.
    pub(crate) fn with_page(&self, page: &str) -> String {
        let others = self.iter().filter(|(name, _)| *name != "page");
        let pairs = others
            .chain([("page", page)])
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
        format!("?{}", pairs.collect::<Vec<_>>().join("&"))
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// The text of a cursor, without the field that it is ordered by.
pub(crate) fn page_of(cursor: &RowCursor) -> String {
    let value = match &cursor.value {
        None => Value::Null,
        Some(FieldValue::Bool(bool)) => (*bool).into(),
        Some(FieldValue::Integer(integer)) => (*integer).into(),
        Some(FieldValue::Float(float)) => (*float).into(),
        Some(FieldValue::Text(text)) => text.as_str().into(),
    };
    json!([cursor.key, value]).to_string()
}

/// The cursor with this text, of a list that is ordered by `order`.
pub(crate) fn cursor_of(page: &str, order: Option<&str>) -> Result<RowCursor, Problem> {
    let bad = || malformed("page", "it is that of a `next` link, which is followed as it is");
    let (key, value): (String, Value) = serde_json::from_str(page).map_err(|_| bad())?;
    let value = match value {
        Value::Null => None,
        Value::Bool(bool) => Some(FieldValue::Bool(bool)),
        Value::String(text) => Some(FieldValue::Text(text)),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => Some(FieldValue::Integer(integer)),
            None => Some(FieldValue::Float(number.as_f64().ok_or_else(bad)?)),
        },
        Value::Array(_) | Value::Object(_) => return Err(bad()),
    };
    if order.is_none() && value.is_some() || key.contains('\0') {
        return Err(bad());
    }
    Ok(RowCursor {
        order_by: order.map(|order| order.to_owned().into()),
        value,
        key,
    })
}
