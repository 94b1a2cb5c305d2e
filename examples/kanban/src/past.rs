//! A board as it was: folded from the events up to then, as no read model keeps the past.

use es_runtime::prelude::*;

use crate::{BoardKey, BoardView, CardView, ColumnView, KanbanError};

pub(crate) async fn board_at(
    runtime: &Runtime,
    key: &BoardKey,
    time: Timestamp,
) -> Result<Option<BoardView>, KanbanError> {
    let Some(board) = runtime.load(key).as_of(time).await? else {
        return Ok(None);
    };
    let mut columns = Vec::new();
    for name in &board.columns {
        let column = runtime.load(key.column(name)?).as_of(time).await?;
        let (limit, keys) = column.map_or_else(Default::default, |column| (column.state.limit, column.state.cards));
        let mut cards = Vec::new();
        for key in keys {
            if let Some(card) = runtime.load(&key).as_of(time).await? {
                cards.push(CardView {
                    key,
                    title: card.state.title,
                    assignee: card.state.assignee,
                });
            }
        }
        columns.push(ColumnView {
            name: name.clone(),
            limit,
            cards,
        });
    }
    Ok(Some(BoardView {
        title: board.state.title,
        columns,
    }))
}
