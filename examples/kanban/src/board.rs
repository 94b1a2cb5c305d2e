//! The board: its columns, and the numbers of its cards.

use es_runtime::prelude::*;

use crate::BoardKey;

/// Opens a board.
#[command(validate)]
pub struct OpenBoard {
    /// The board's title.
    pub title: String,
}

impl OpenBoard {
    fn validate(&self) -> Result<(), Invalid> {
        let is_blank = self.title.trim().is_empty();
        if is_blank {
            Err(Invalid::new("title", "a board needs a title"))
        } else {
            Ok(())
        }
    }
}

/// Puts a column to the right of the others.
#[command]
pub struct AddColumn {
    /// The column's name.
    pub name: String,
}

/// Takes the next number for a card.
#[command]
pub struct TakeNumber {}

/// A board was opened.
#[event]
pub struct BoardOpened {
    /// The board's title.
    pub title: String,
}

/// A column was put to the right of the others.
#[event]
pub struct ColumnAdded {
    /// The column's name.
    pub name: String,
}

/// A number was given to a card.
#[event]
pub struct NumberTaken {
    /// The number.
    pub number: u32,
}

/// A board does not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BoardRefused {
    /// The board has a column of this name.
    #[error("there is a column `{0}` already")]
    SameColumn(String),
}

/// A board.
#[value]
#[derive(Aggregate)]
#[es(name = "board", id = BoardKey)]
pub struct Board {
    /// The board's title.
    pub title: String,
    /// The names of its columns, from left to right.
    pub columns: Vec<String>,
    /// The number of cards that it has ever had.
    pub cards: u32,
}

#[aggregate]
impl Board {
    #[handle]
    fn open(cmd: OpenBoard) -> BoardOpened {
        BoardOpened { title: cmd.title }
    }

    #[handle]
    fn add_column(&self, cmd: AddColumn) -> Result<ColumnAdded, BoardRefused> {
        if self.columns.contains(&cmd.name) {
            return Err(BoardRefused::SameColumn(cmd.name));
        }
        Ok(ColumnAdded { name: cmd.name })
    }

    #[handle]
    fn take_number(&self, _: TakeNumber) -> NumberTaken {
        NumberTaken { number: self.cards + 1 }
    }

    #[apply]
    fn opened(event: BoardOpened) -> Self {
        Self {
            title: event.title,
            columns: Vec::new(),
            cards: 0,
        }
    }

    #[apply]
    fn column_added(&mut self, event: ColumnAdded) {
        self.columns.push(event.name);
    }

    #[apply]
    fn number_taken(&mut self, event: NumberTaken) {
        self.cards = event.number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened() -> BoardOpened {
        BoardOpened { title: "Shop".into() }
    }

    fn doing() -> ColumnAdded {
        ColumnAdded { name: "Doing".into() }
    }

    #[test]
    fn a_board_needs_a_title() {
        Board::given(())
            .when(OpenBoard { title: " ".into() })
            .then_invalid("title");
    }

    #[test]
    fn a_column_stands_on_a_board_once() {
        Board::given((opened(), doing()))
            .when(AddColumn { name: "Doing".into() })
            .then_refused(BoardRefused::SameColumn("Doing".into()));
    }

    #[test]
    fn no_two_cards_have_one_number() {
        Board::given((opened(), NumberTaken { number: 1 }))
            .when(TakeNumber {})
            .then(NumberTaken { number: 2 });
    }
}
