use std::path::Path;

use es_runtime::prelude::*;
use es_runtime::{AnyRefusal, Builder, Clock, Key as _, Receipt};
use es_sqlite::SqliteStore;

use crate::board::{AddColumn, Board, OpenBoard, TakeNumber};
use crate::card::{AssignCard, Card, MoveCard, WriteCard};
use crate::column::{Column, OpenColumn, PutCard, TakeCard};
use crate::past::board_at;
use crate::settings::Settings;
use crate::{BoardKey, BoardView, CardKey, ColumnKey, Handle, KanbanError};

/// The boards of one file, and the requests of people to them.
///
/// Each request has a name: sent again under it, it is not done again.
pub struct Team {
    pub(crate) runtime: Runtime,
    /// The settings, which have no history.
    pub settings: Settings,
}

/// A column of a new board.
#[derive(Debug, Clone, Copy)]
pub struct NewColumn<'a> {
    /// Its name.
    pub name: &'a str,
    /// The most cards that may stand in it.
    pub limit: Option<u32>,
}

/// Everything that the boards have, with all of them in memory once it is started.
pub(crate) fn builder(store: SqliteStore) -> Builder<SqliteStore> {
    Runtime::builder(store)
        .aggregate::<Board>()
        .aggregate::<Column>()
        .aggregate::<Card>()
        .preload::<Board>()
        .preload::<Column>()
        .preload::<Card>()
        .projection::<BoardView>()
}

impl Team {
    /// Opens `file`, with every board, column and card in memory before it returns.
    pub async fn open(file: &Path, clock: impl Clock + Clone) -> Result<Self, KanbanError> {
        let store = SqliteStore::options().clock(clock.clone()).open(file).await?;
        let settings = Settings::restore(store.clone()).await?;
        let runtime = builder(store).clock(clock).start().await?;
        Ok(Self { runtime, settings })
    }

    /// Opens a board with its columns.
    pub async fn open_board(
        &self,
        board: &BoardKey,
        title: &str,
        columns: &[NewColumn<'_>],
        request: &str,
    ) -> Result<(), KanbanError> {
        let mut keys = Vec::new();
        for column in columns {
            keys.push((board.column(column.name)?, column.limit));
        }
        let opened = self.runtime.atomically(async |tx| {
            let title = title.to_owned();
            tx.execute(board, OpenBoard { title }).await?;
            for (column, limit) in &keys {
                let name = column.name().to_owned();
                tx.execute(board, AddColumn { name }).await?;
                tx.execute(column, OpenColumn { limit: *limit }).await?;
            }
            Ok(())
        });
        opened.idempotency_key(request).await?;
        Ok(())
    }

    /// Writes a card with the next number of the board, and puts it into `column`.
    pub async fn write_card(&self, column: &ColumnKey, title: &str, request: &str) -> Result<CardKey, KanbanError> {
        let board = column.board();
        let written = self.runtime.atomically(async |tx| {
            tx.execute(board, TakeNumber {}).await?;
            let number = tx.load(board).await.map_or(0, |board| board.cards);
            let card = board.card(number);
            let (title, name) = (title.to_owned(), column.name().to_owned());
            tx.execute(&card, WriteCard { title, column: name }).await?;
            tx.execute(column, PutCard { card }).await
        });
        let receipts = written.idempotency_key(request).await?;
        let mut streams = receipts.iter().map(|receipt| &receipt.stream);
        let card = streams.find(|stream| stream.category() == Card::NAME);
        Ok(card.map_or("", |stream| stream.id()).parse()?)
    }

    /// Moves a card to a column of its board: out of the one, into the other, or neither.
    pub async fn move_card(&self, card: &CardKey, to: &ColumnKey, request: &str) -> Result<Vec<Receipt>, KanbanError> {
        let moved = self.runtime.atomically(async |tx| {
            let from = tx.load(card).await.map(|card| card.state.column);
            let name = to.name().to_owned();
            tx.execute(card, MoveCard { to: name }).await?;
            if let Some(Ok(from)) = from.map(|from| card.board().column(&from)) {
                let card = card.clone();
                tx.execute(&from, TakeCard { card }).await?;
            }
            let card = card.clone();
            tx.execute(to, PutCard { card }).await
        });
        Ok(moved.idempotency_key(request).await?)
    }

    /// Gives a card to somebody, or to nobody.
    pub async fn assign(&self, card: &CardKey, to: Option<Handle>, request: &str) -> Result<(), KanbanError> {
        if let Some(nobody) = to.as_ref().filter(|handle| !self.settings.knows(handle)) {
            return Err(KanbanError::Nobody(nobody.clone()));
        }
        let assigned = self
            .runtime
            .execute(card, AssignCard { to })
            .idempotency_key(request)
            .await;
        match assigned {
            Ok(_) => Ok(()),
            Err(error) => Err(error.map_refused(AnyRefusal::new).into()),
        }
    }

    /// The board as it is: a row in memory.
    pub async fn board(&self, board: &BoardKey) -> Result<BoardView, KanbanError> {
        let head = self.runtime.store().head().await?;
        let row = self.runtime.get::<BoardView>(board).after(head).await?;
        row.map(|row| row.row)
            .ok_or_else(|| KanbanError::Missing(board.stream_id()))
    }

    /// The board as it was, from snapshots and the events behind them.
    pub async fn board_at(&self, board: &BoardKey, time: Timestamp) -> Result<BoardView, KanbanError> {
        let then = board_at(&self.runtime, board, time).await?;
        then.ok_or_else(|| KanbanError::NoBoardThen(board.clone()))
    }

    /// Closes the file.
    pub async fn close(self) -> Result<(), KanbanError> {
        self.runtime.shutdown().await?;
        Ok(())
    }
}
