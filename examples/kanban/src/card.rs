//! The card: what is to be done, where it stands, and who does it.

use es_runtime::prelude::*;

use crate::{CardKey, Handle};

/// Writes a card.
#[command(validate)]
pub struct WriteCard {
    /// The task.
    pub title: String,
    /// The column in which it stands first.
    pub column: String,
}

impl WriteCard {
    fn validate(&self) -> Result<(), Invalid> {
        let is_blank = self.title.trim().is_empty();
        if is_blank {
            Err(Invalid::new("title", "a card needs a title"))
        } else {
            Ok(())
        }
    }
}

/// Moves a card to another column.
#[command]
pub struct MoveCard {
    /// The column.
    pub to: String,
}

/// Gives a card to somebody, or to nobody.
#[command]
pub struct AssignCard {
    /// The person who does it.
    pub to: Option<Handle>,
}

/// A card was written.
#[event]
pub struct CardWritten {
    /// The task.
    pub title: String,
    /// The column in which it stands first.
    pub column: String,
}

/// A card was moved to another column.
#[event]
pub struct CardMoved {
    /// The column it leaves.
    pub from: String,
    /// The column it enters.
    pub to: String,
}

/// A card was given to somebody, or to nobody.
#[event]
pub struct CardAssigned {
    /// The person who does it.
    pub to: Option<Handle>,
}

/// A card does not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CardRefused {
    /// The card stands in that column.
    #[error("the card is in column `{0}` already")]
    SameColumn(String),
}

/// A card.
#[value]
#[derive(Aggregate)]
#[es(name = "card", id = CardKey)]
pub struct Card {
    /// The task.
    pub title: String,
    /// The column in which it stands.
    pub column: String,
    /// The person who does it.
    pub assignee: Option<Handle>,
}

#[aggregate]
impl Card {
    #[handle]
    fn write(cmd: WriteCard) -> CardWritten {
        CardWritten {
            title: cmd.title,
            column: cmd.column,
        }
    }

    #[handle]
    fn move_to(&self, cmd: MoveCard) -> Result<CardMoved, CardRefused> {
        if self.column == cmd.to {
            return Err(CardRefused::SameColumn(cmd.to));
        }
        Ok(CardMoved {
            from: self.column.clone(),
            to: cmd.to,
        })
    }

    #[handle]
    fn assign(&self, cmd: AssignCard) -> Option<CardAssigned> {
        (self.assignee != cmd.to).then_some(CardAssigned { to: cmd.to })
    }

    #[apply]
    fn written(event: CardWritten) -> Self {
        Self {
            title: event.title,
            column: event.column,
            assignee: None,
        }
    }

    #[apply]
    fn moved(&mut self, event: CardMoved) {
        self.column = event.to;
    }

    #[apply]
    fn assigned(&mut self, event: CardAssigned) {
        self.assignee = event.to;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> CardWritten {
        CardWritten {
            title: "Ship it".into(),
            column: "Ready".into(),
        }
    }

    #[test]
    fn a_card_moves_from_where_it_stands() {
        Card::given(written())
            .when(MoveCard { to: "Doing".into() })
            .then(CardMoved {
                from: "Ready".into(),
                to: "Doing".into(),
            });
    }

    #[test]
    fn a_card_does_not_move_to_where_it_stands() {
        Card::given(written())
            .when(MoveCard { to: "Ready".into() })
            .then_refused(CardRefused::SameColumn("Ready".into()));
    }

    #[test]
    fn a_card_is_given_to_somebody_once() {
        let ada: Handle = "ada".parse().unwrap();
        Card::given((written(), CardAssigned { to: Some(ada.clone()) }))
            .when(AssignCard { to: Some(ada) })
            .then_nothing();
    }
}
