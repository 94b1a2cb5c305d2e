use std::fmt;

use es_runtime::Key as _;
use es_runtime::prelude::*;

use crate::card::{Card, CardAssigned, CardEvent, CardMoved, CardWritten};
use crate::{CardKey, KanbanError, Team};

/// Everything that has happened to a card, one line for each event.
pub(crate) struct Story(Vec<Recorded<CardEvent>>);

impl Story {
    pub(crate) async fn of(team: &Team, card: &CardKey) -> Result<Self, KanbanError> {
        let mut events = Vec::new();
        let mut history = team.runtime.history(card);
        while let Some((event, Card { .. })) = history.next().await? {
            events.push(event);
        }
        if events.is_empty() {
            return Err(KanbanError::Missing(card.stream_id()));
        }
        Ok(Self(events))
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for event in &self.0 {
            write!(f, "{}  ", event.recorded_at)?;
            match &event.event {
                CardEvent::CardWritten(CardWritten { title, column }) => writeln!(f, "written into {column}: {title}")?,
                CardEvent::CardMoved(CardMoved { from, to }) => writeln!(f, "moved from {from} to {to}")?,
                CardEvent::CardAssigned(CardAssigned { to: Some(to) }) => writeln!(f, "given to {to}")?,
                CardEvent::CardAssigned(CardAssigned { to: None }) => writeln!(f, "given to nobody")?,
            }
        }
        Ok(())
    }
}
