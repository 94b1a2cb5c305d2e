//! An event as an instance hears it.

use super::ProcessManager;
use super::react::{Origin, Reacted, Unfit};
use super::reactions::{Input, Reactions};
use super::step::{Cause, Last, Next};
use crate::subscription::SubscriptionError;
use crate::{EventId, Metadata, Position, RecordedEvent};

/// An event that an instance hears.
pub(crate) struct Heard<P> {
    position: Position,
    id: EventId,
    metadata: Metadata,
    /// All that its stored form was read as.
    inputs: Vec<Input<P>>,
}

impl<P: ProcessManager> Heard<P> {
    /// The instances that hear the event, each with what it hears.
    pub(crate) fn all(
        reactions: &Reactions<P>,
        event: &RecordedEvent,
    ) -> Result<Vec<(String, Self)>, SubscriptionError> {
        let mut all: Vec<(String, Self)> = Vec::new();
        for input in reactions.read(event)? {
            match all.last_mut() {
                Some((key, heard)) if *key == input.key => heard.inputs.push(input),
                _ => all.push((
                    input.key.clone(),
                    Self {
                        position: event.position,
                        id: event.id,
                        metadata: event.metadata.clone(),
                        inputs: vec![input],
                    },
                )),
            }
        }
        Ok(all)
    }

    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// The step in which the event is heard. `None` if it is not for this instance.
    pub(crate) fn step(&self, last: &Last<P>) -> Result<Option<Next<P>>, Unfit> {
        let (position, id) = (self.position, self.id);
        let origin = Origin {
            causation: id,
            metadata: self.metadata.clone(),
        };
        last.hear(Cause::Event { position, id }, position, &origin, |state, todo| {
            let (mut state, mut is_heard) = (state, false);
            for input in &self.inputs {
                match (input.react)(state.clone(), todo)? {
                    Reacted::Ignored => {}
                    Reacted::Next(next) => (state, is_heard) = (next, true),
                }
            }
            Ok(if is_heard {
                Reacted::Next(state)
            } else {
                Reacted::Ignored
            })
        })
    }
}
