//! What a store tells of its events without reading them.

use crate::RecordedEvent;

/// An event in one version of its shape, as far as a store knows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventKind {
    /// The category of its streams: the aggregate's name.
    pub category: String,
    /// The event's name.
    pub name: String,
    /// The version of its shape.
    pub shape_version: u32,
}

impl EventKind {
    /// That of an event.
    pub fn of(event: &RecordedEvent) -> Self {
        Self::new(event.stream.category(), &*event.name, event.shape_version)
    }

    /// The event `name` of `category` in this version of its shape.
    pub fn new(category: impl Into<String>, name: impl Into<String>, shape_version: u32) -> Self {
        Self {
            category: category.into(),
            name: name.into(),
            shape_version,
        }
    }
}

impl std::fmt::Display for EventKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "`{}` of `{}` in version {}",
            self.name, self.category, self.shape_version
        )
    }
}
