//! The column: the cards that stand in it, and how many may.

use es_runtime::prelude::*;

use crate::{CardKey, ColumnKey};

/// Opens a column.
#[command]
pub struct OpenColumn {
    /// The most cards that may stand in it.
    pub limit: Option<u32>,
}

/// Changes the limit of a column.
#[command]
pub struct SetLimit {
    /// The most cards that may stand in it.
    pub limit: Option<u32>,
}

/// Puts a card into a column.
#[command]
pub struct PutCard {
    /// The card.
    pub card: CardKey,
}

/// Takes a card out of a column.
#[command]
pub struct TakeCard {
    /// The card.
    pub card: CardKey,
}

/// A column was opened.
#[event]
pub struct ColumnOpened {
    /// The most cards that may stand in it.
    pub limit: Option<u32>,
}

/// The limit of a column was changed.
#[event]
pub struct LimitSet {
    /// The most cards that may stand in it.
    pub limit: Option<u32>,
}

/// A card was put into a column.
#[event]
pub struct CardPut {
    /// The card.
    pub card: CardKey,
}

/// A card was taken out of a column.
#[event]
pub struct CardTaken {
    /// The card.
    pub card: CardKey,
}

/// A column does not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ColumnRefused {
    /// As many cards stand in the column as may.
    #[error("column {column} is full: its limit is {limit}")]
    Full {
        /// The column.
        column: ColumnKey,
        /// Its limit.
        limit: u32,
    },
    /// The card does not stand in the column.
    #[error("card {card} is not in column {column}")]
    NotThere {
        /// The card.
        card: CardKey,
        /// The column.
        column: ColumnKey,
    },
}

/// A column. Cards come and go all day, so its stream is long and its state is short: a snapshot saves the reading.
#[value]
#[derive(Aggregate)]
#[es(name = "column", id = ColumnKey, snapshot(every = 100))]
pub struct Column {
    /// The most cards that may stand in it.
    pub limit: Option<u32>,
    /// The cards in it, the one that came last at the end.
    pub cards: Vec<CardKey>,
}

#[aggregate]
impl Column {
    #[handle]
    fn open(cmd: OpenColumn) -> ColumnOpened {
        ColumnOpened { limit: cmd.limit }
    }

    #[handle]
    fn set_limit(&self, cmd: SetLimit) -> Option<LimitSet> {
        (self.limit != cmd.limit).then_some(LimitSet { limit: cmd.limit })
    }

    #[handle]
    fn put(&self, cmd: PutCard, context: &Context) -> Result<CardPut, ColumnRefused> {
        match self.limit {
            Some(limit) if self.cards.len() >= limit as usize => Err(ColumnRefused::Full {
                column: context.id::<Self>(),
                limit,
            }),
            _ => Ok(CardPut { card: cmd.card }),
        }
    }

    #[handle]
    fn take(&self, cmd: TakeCard, context: &Context) -> Result<CardTaken, ColumnRefused> {
        if self.cards.contains(&cmd.card) {
            return Ok(CardTaken { card: cmd.card });
        }
        Err(ColumnRefused::NotThere {
            card: cmd.card,
            column: context.id::<Self>(),
        })
    }

    #[apply]
    fn opened(event: ColumnOpened) -> Self {
        Self {
            limit: event.limit,
            cards: Vec::new(),
        }
    }

    #[apply]
    fn limit_set(&mut self, event: LimitSet) {
        self.limit = event.limit;
    }

    #[apply]
    fn card_put(&mut self, event: CardPut) {
        self.cards.push(event.card);
    }

    #[apply]
    fn card_taken(&mut self, event: CardTaken) {
        self.cards.retain(|card| *card != event.card);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(number: u32) -> CardKey {
        format!("WEB-{number}").parse().unwrap()
    }

    fn put(number: u32) -> CardPut {
        CardPut { card: card(number) }
    }

    #[test]
    fn a_column_takes_as_many_cards_as_its_limit() {
        let limited = ColumnOpened { limit: Some(2) };
        let doing = || Column::given((limited.clone(), put(1))).with_id("WEB/Doing".parse().unwrap());
        doing().when(PutCard { card: card(2) }).then(put(2));
        let full = ColumnRefused::Full {
            column: "WEB/Doing".parse().unwrap(),
            limit: 2,
        };
        Column::given((limited.clone(), put(1), put(2)))
            .with_id("WEB/Doing".parse().unwrap())
            .when(PutCard { card: card(3) })
            .then_refused(full);
    }

    #[test]
    fn a_card_that_left_makes_room() {
        let gone = CardTaken { card: card(1) };
        Column::given((ColumnOpened { limit: Some(1) }, put(1), gone))
            .when(PutCard { card: card(2) })
            .then(put(2));
    }

    #[test]
    fn a_lower_limit_moves_no_card() {
        Column::given((ColumnOpened { limit: None }, put(1), put(2)))
            .when(SetLimit { limit: Some(1) })
            .then(LimitSet { limit: Some(1) })
            .then_state(|column| assert_eq!(column.cards.len(), 2));
    }
}
