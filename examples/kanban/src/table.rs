//! A board as a table of its columns.

use std::fmt;

use crate::{BoardKey, BoardView, CardView, ColumnView};

/// The width of a column.
const WIDTH: usize = 22;

/// A board, printed as a table.
pub(crate) struct Table<'a> {
    pub(crate) key: &'a BoardKey,
    pub(crate) board: &'a BoardView,
    /// The most cards of a column that are printed: those that came last.
    pub(crate) shown: usize,
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, board, shown } = self;
        let columns: Vec<_> = board.columns.iter().map(|column| lines(column, *shown)).collect();
        let rule = vec!["─".repeat(WIDTH); columns.len()].join("─┼─");
        writeln!(f, "{key}  {}", board.title)?;
        writeln!(f)?;
        let heads: Vec<_> = board.columns.iter().map(|column| cell(&head(column))).collect();
        writeln!(f, "{}", heads.join(" │ ").trim_end())?;
        writeln!(f, "{rule}")?;
        for line in 0..columns.iter().map(Vec::len).max().unwrap_or(0) {
            let cells: Vec<_> = columns
                .iter()
                .map(|lines| cell(lines.get(line).map_or("", String::as_str)))
                .collect();
            writeln!(f, "{}", cells.join(" │ ").trim_end())?;
        }
        Ok(())
    }
}

fn head(column: &ColumnView) -> String {
    let cards = column.cards.len();
    match column.limit {
        Some(limit) => format!("{} {cards}/{limit}", column.name),
        None => format!("{} {cards}", column.name),
    }
}

fn lines(column: &ColumnView, shown: usize) -> Vec<String> {
    let hidden = column.cards.len().saturating_sub(shown);
    let more = (hidden > 0).then(|| format!("… {hidden} more"));
    let cards = column.cards[hidden..].iter().flat_map(card);
    more.into_iter().chain(cards).collect()
}

fn card(card: &CardView) -> [String; 2] {
    let key = match &card.assignee {
        Some(assignee) => format!("{} ({assignee})", card.key),
        None => card.key.to_string(),
    };
    [key, format!("  {}", card.title)]
}

/// The text in the width of a column, cut off where it is longer.
fn cell(text: &str) -> String {
    if text.chars().count() <= WIDTH {
        return format!("{text:<WIDTH$}");
    }
    let cut: String = text.chars().take(WIDTH - 1).collect();
    format!("{cut}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(number: u32, title: &str, assignee: Option<&str>) -> CardView {
        CardView {
            key: format!("WEB-{number}").parse().unwrap(),
            title: title.to_owned(),
            assignee: assignee.map(|handle| handle.parse().unwrap()),
        }
    }

    #[test]
    fn a_board_is_printed_as_columns() {
        let column = |name: &str, limit, cards| ColumnView {
            name: name.to_owned(),
            limit,
            cards,
        };
        let doing = vec![card(2, "Write a title of many words", Some("ada"))];
        let done = (3..7).map(|number| card(number, "Done", None)).collect();
        let board = BoardView {
            title: "Shop".to_owned(),
            columns: vec![column("Doing", Some(4), doing), column("Done", None, done)],
        };
        let table = Table {
            key: &"WEB".parse().unwrap(),
            board: &board,
            shown: 1,
        };
        let expected = "\
WEB  Shop

Doing 1/4              │ Done 4
───────────────────────┼───────────────────────
WEB-2 (ada)            │ … 3 more
  Write a title of ma… │ WEB-6
                       │   Done
";
        assert_eq!(table.to_string(), expected);
    }
}
