use super::Runtime;
use crate::projection::Running;
use crate::{CommandEnum, CommandInfo, Commanded, EventEnum, EventInfo};

/// Everything that was given to the builder of a runtime, as data: [`Runtime::catalog`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Catalog {
    /// The [registered](super::Builder::aggregate) aggregates.
    pub aggregates: Vec<AggregateInfo>,
    /// The projections, those that are only read included.
    pub projections: Vec<ProjectionInfo>,
}

/// An aggregate, as data.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct AggregateInfo {
    /// Its name: the category of its streams.
    pub name: &'static str,
    /// Its events; behind them those that are only read.
    pub events: &'static [EventInfo],
    /// Its commands.
    pub commands: &'static [CommandInfo],
    #[cfg(feature = "schema")]
    shapes: fn(&mut crate::schema::Shapes),
}

impl AggregateInfo {
    /// Returns what aggregate `A` is.
    pub const fn of<A: Commanded>() -> Self {
        Self {
            name: A::NAME,
            events: A::Event::EVENTS,
            commands: A::Command::INFOS,
            #[cfg(feature = "schema")]
            shapes: A::Event::shapes,
        }
    }

    /// Returns the shapes that its events may have.
    #[cfg(feature = "schema")]
    pub fn shapes(&self) -> crate::schema::Shapes {
        let mut shapes = crate::schema::Shapes::default();
        (self.shapes)(&mut shapes);
        shapes
    }

    /// Returns the command of this name.
    pub fn command(&self, name: &str) -> Option<&'static CommandInfo> {
        self.commands.iter().find(|command| command.name == name)
    }
}

/// A projection, as data.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProjectionInfo {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: u32,
    /// The number of readers that share its work.
    pub segments: u32,
    /// The paths of the fields with an index.
    pub indexes: Vec<String>,
    /// True if this runtime runs it, or would if no other process did; false if it only [reads](super::Builder::reads) its rows.
    pub runs: bool,
    /// True if its rows are [in memory](mod@crate::projection#rows-in-memory): each process that runs it has its own, and no other one can
    /// see how far they are.
    pub in_memory: bool,
}

impl ProjectionInfo {
    pub(super) fn of(running: &Running) -> Self {
        let standing = &running.standing;
        Self {
            name: standing.name,
            version: standing.version,
            segments: standing.segment.of,
            indexes: standing.table.indexes.iter().map(ToString::to_string).collect(),
            runs: running.runs,
            in_memory: standing.is_in_memory,
        }
    }
}

impl Runtime {
    /// Returns what was given to the builder, as data.
    pub fn catalog(&self) -> &Catalog {
        &self.0.catalog
    }
}
