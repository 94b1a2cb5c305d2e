use crate::{Aggregate, Metadata, StreamId, Timestamp, Version};

/// The context of a decision, besides the command and the state: `&Context` as a handler's last parameter.
#[derive(Debug, Clone)]
pub struct Context {
    stream: StreamId,
    version: Version,
    now: Timestamp,
    metadata: Metadata,
}

impl Context {
    /// The context of a command to `stream` at `version`, decided at `now`.
    pub fn new(stream: StreamId, version: Version, now: Timestamp, metadata: Metadata) -> Self {
        Self {
            stream,
            version,
            now,
            metadata,
        }
    }

    /// The id of the instance that decides.
    ///
    /// # Panics
    ///
    /// If `A` is not the aggregate that decides.
    #[track_caller]
    pub fn id<A: Aggregate>(&self) -> A::Id {
        match self.stream.id().parse() {
            Ok(id) if self.stream.category() == A::NAME => id,
            _ => panic!(
                "`Context::id` was asked for an id of `{}`, but the command is for `{}`",
                A::NAME,
                self.stream
            ),
        }
    }

    /// The stream of the instance that decides.
    pub fn stream(&self) -> &StreamId {
        &self.stream
    }

    /// The version of the state; 0 if there is none.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The time at which the command is decided. Again read at each attempt.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Returns the sender's metadata of the command: actor, correlation, and so on.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}
