use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Invalid, Timestamp};

/// Metadata of an event, next to its payload: who caused it, because of what, in which trace, and when it happened if
/// that is not when it was recorded. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata(Option<Arc<Fields>>);

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Fields {
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    causation_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    occurred_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    entries: BTreeMap<String, Value>,
}

impl Metadata {
    /// No metadata.
    pub const EMPTY: Self = Self(None);

    /// Returns the id shared by everything that follows from one request.
    pub fn correlation_id(&self) -> Option<&str> {
        self.fields()?.correlation_id.as_deref()
    }

    /// The event or command that this one follows from.
    pub fn causation_id(&self) -> Option<&str> {
        self.fields()?.causation_id.as_deref()
    }

    /// Returns the actor who asked for it.
    pub fn actor(&self) -> Option<&str> {
        self.fields()?.actor.as_deref()
    }

    /// The W3C trace context of the request, `00-<trace>-<span>-<flags>`.
    pub fn traceparent(&self) -> Option<&str> {
        self.fields()?.traceparent.as_deref()
    }

    /// Returns the time at which the event happened, if that is not when it was recorded.
    pub fn occurred_at(&self) -> Option<Timestamp> {
        self.fields()?.occurred_at
    }

    /// A free-form entry.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.fields()?.entries.get(name)
    }

    /// The free-form entries, by name.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.fields()
            .into_iter()
            .flat_map(|fields| fields.entries.iter().map(|(name, value)| (name.as_str(), value)))
    }

    /// Returns the approximate size in bytes, for bounds. Costs less than [`to_json`](Self::to_json).
    pub fn size(&self) -> usize {
        let Some(fields) = self.fields() else { return 0 };
        let texts = [
            &fields.correlation_id,
            &fields.causation_id,
            &fields.actor,
            &fields.traceparent,
        ];
        let texts: usize = texts.into_iter().flatten().map(String::len).sum();
        let entries = fields.entries.iter();
        texts
            + entries
                .map(|(name, value)| name.len() + size_of_value(value))
                .sum::<usize>()
    }

    /// Returns whether nothing is recorded.
    pub fn is_empty(&self) -> bool {
        self.fields().is_none_or(|fields| *fields == Fields::default())
    }

    /// Sets the [correlation id](Self::correlation_id).
    pub fn set_correlation_id(&mut self, id: impl Into<String>) {
        self.fields_mut().correlation_id = Some(id.into());
    }

    /// Sets the [causation id](Self::causation_id).
    pub fn set_causation_id(&mut self, id: impl Into<String>) {
        self.fields_mut().causation_id = Some(id.into());
    }

    /// Sets the [actor](Self::actor).
    pub fn set_actor(&mut self, actor: impl Into<String>) {
        self.fields_mut().actor = Some(actor.into());
    }

    /// Sets the [trace context](Self::traceparent).
    ///
    /// # Errors
    ///
    /// If it is not of the form of <https://www.w3.org/TR/trace-context/#traceparent-header>; nothing is set then.
    pub fn set_traceparent(&mut self, traceparent: impl Into<String>) -> Result<(), Invalid> {
        let traceparent = traceparent.into();
        if !is_traceparent(&traceparent) {
            return Err(Invalid::new(
                "traceparent",
                format!("`{traceparent}` is not a W3C traceparent, 00-<32 hex digits>-<16 hex digits>-<2 hex digits>"),
            ));
        }
        self.fields_mut().traceparent = Some(traceparent);
        Ok(())
    }

    /// Sets the time at which the event [happened](Self::occurred_at).
    pub fn set_occurred_at(&mut self, time: Timestamp) {
        self.fields_mut().occurred_at = Some(time);
    }

    /// Sets a free-form entry.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        self.fields_mut().entries.insert(name.into(), value.into());
    }

    /// Returns the depth of the stored form's nesting.
    pub(crate) fn depth(&self) -> usize {
        let entries = self.fields().map(|fields| fields.entries.values().map(levels).max());
        entries.map_or(0, |deepest| deepest.map_or(1, |levels| 2 + levels))
    }

    /// The stored form: a JSON object.
    ///
    /// # Panics
    ///
    /// Not by itself, but an entry of thousands of levels may exhaust the stack: [`Limits`](crate::Limits) refuse it before.
    pub fn to_json(&self) -> String {
        match self.fields() {
            None => "{}".to_owned(),
            Some(fields) => serde_json::to_string(fields)
                .unwrap_or_else(|_| unreachable!("strings, times and JSON values have a JSON form")),
        }
    }

    /// Reads the stored form.
    pub fn from_json(json: &[u8]) -> Result<Self, serde_json::Error> {
        if json == b"{}" {
            return Ok(Self::EMPTY);
        }
        serde_json::from_slice(json).map(|fields| Self(Some(Arc::new(fields))))
    }

    fn fields(&self) -> Option<&Fields> {
        self.0.as_deref()
    }

    fn fields_mut(&mut self) -> &mut Fields {
        Arc::make_mut(self.0.get_or_insert_default())
    }
}

/// Returns the depth of the value's nesting. Uses a list instead of recursion, as the stack is short.
fn levels(value: &Value) -> usize {
    let mut deepest = 0;
    let mut rest = vec![(value, 0)];
    while let Some((value, above)) = rest.pop() {
        let level = above + usize::from(value.is_array() || value.is_object());
        deepest = deepest.max(level);
        match value {
            Value::Array(items) => rest.extend(items.iter().map(|item| (item, level))),
            Value::Object(fields) => rest.extend(fields.values().map(|field| (field, level))),
            _ => {}
        }
    }
    deepest
}

fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let hex = |part: &str, length: usize| {
        part.len() == length
            && part
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let zero = |part: &str| part.bytes().all(|byte| byte == b'0');
    matches!(parts[..], ["00", trace, span, flags]
        if hex(trace, 32) && !zero(trace) && hex(span, 16) && !zero(span) && hex(flags, 2))
}

fn size_of_value(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => 8 + text.len(),
        Value::Array(values) => 8 + values.iter().map(size_of_value).sum::<usize>(),
        Value::Object(fields) => {
            let fields = fields.iter();
            8 + fields
                .map(|(name, value)| name.len() + size_of_value(value))
                .sum::<usize>()
        }
    }
}
