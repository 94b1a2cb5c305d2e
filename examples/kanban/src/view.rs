use es_runtime::prelude::*;

use crate::board::{Board, BoardOpened, ColumnAdded};
use crate::card::{Card, CardAssigned, CardMoved, CardWritten};
use crate::column::{Column, ColumnOpened, LimitSet};
use crate::{CardKey, Handle};

/// A board with all that stands on it: one row, kept in memory, from the events of boards, columns and cards.
#[projection(name = "boards", memory)]
pub struct BoardView {
    /// The board's title.
    pub title: String,
    /// Its columns, from left to right.
    pub columns: Vec<ColumnView>,
}

/// A column of a [`BoardView`].
#[value]
pub struct ColumnView {
    /// The column's name.
    pub name: String,
    /// The most cards that may stand in it.
    pub limit: Option<u32>,
    /// The cards in it, the one that came last at the end.
    pub cards: Vec<CardView>,
}

/// A card of a [`BoardView`].
#[value]
pub struct CardView {
    /// The card.
    pub key: CardKey,
    /// The task.
    pub title: String,
    /// The person who does it.
    pub assignee: Option<Handle>,
}

#[projection]
impl BoardView {
    #[apply]
    fn opened(event: BoardOpened) -> Self {
        Self {
            title: event.title,
            columns: Vec::new(),
        }
    }

    #[apply]
    fn column_added(&mut self, event: ColumnAdded, _: &Meta<Board>) {
        self.columns.push(ColumnView {
            name: event.name,
            limit: None,
            cards: Vec::new(),
        });
    }

    #[apply(key = meta.id().board())]
    fn column_opened(&mut self, event: ColumnOpened, meta: &Meta<Column>) {
        self.limit(meta.id().name(), event.limit);
    }

    #[apply(key = meta.id().board())]
    fn limit_set(&mut self, event: LimitSet, meta: &Meta<Column>) {
        self.limit(meta.id().name(), event.limit);
    }

    #[apply(key = meta.id().board())]
    fn written(&mut self, event: CardWritten, meta: &Meta<Card>) {
        let card = CardView {
            key: meta.id().clone(),
            title: event.title,
            assignee: None,
        };
        self.put(&event.column, card);
    }

    #[apply(key = meta.id().board())]
    fn moved(&mut self, event: CardMoved, meta: &Meta<Card>) {
        if let Some(card) = self.take(meta.id()) {
            self.put(&event.to, card);
        }
    }

    #[apply(key = meta.id().board())]
    fn assigned(&mut self, event: CardAssigned, meta: &Meta<Card>) {
        let mut cards = self.columns.iter_mut().flat_map(|column| &mut column.cards);
        if let Some(card) = cards.find(|card| card.key == *meta.id()) {
            card.assignee = event.to;
        }
    }
}

impl BoardView {
    fn column(&mut self, name: &str) -> Option<&mut ColumnView> {
        self.columns.iter_mut().find(|column| column.name == name)
    }

    fn limit(&mut self, column: &str, limit: Option<u32>) {
        if let Some(column) = self.column(column) {
            column.limit = limit;
        }
    }

    fn put(&mut self, column: &str, card: CardView) {
        if let Some(column) = self.column(column) {
            column.cards.push(card);
        }
    }

    fn take(&mut self, key: &CardKey) -> Option<CardView> {
        self.columns.iter_mut().find_map(|column| {
            let place = column.cards.iter().position(|card| card.key == *key)?;
            Some(column.cards.remove(place))
        })
    }
}
