//! The outcomes of the orders, and the story of each.

use std::collections::BTreeMap;
use std::fmt;

use crate::{OrderNumber, OrderView};

/// The orders, printed as a table of outcomes and a line for each.
pub(crate) struct Table<'a> {
    pub(crate) orders: &'a [(OrderNumber, OrderView)],
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut outcomes: BTreeMap<&str, (usize, u64)> = BTreeMap::new();
        for (_, order) in self.orders {
            let (orders, cents) = outcomes.entry(order.outcome.as_deref().unwrap_or("open")).or_default();
            *orders += 1;
            *cents += order.cents;
        }
        writeln!(f, "{:<30} {:>6} {:>12}", "outcome", "orders", "worth")?;
        for (outcome, (orders, cents)) in &outcomes {
            writeln!(f, "{outcome:<30} {orders:>6} {:>12}", money(*cents))?;
        }
        writeln!(f)?;
        for (number, order) in self.orders {
            let (number, worth) = (number.to_string(), money(order.cents));
            let (quantity, article) = (order.quantity, &order.article);
            writeln!(
                f,
                "{number:<6} {quantity} {article:<6} {worth:>8}  {}",
                order.story.join(", ")
            )?;
        }
        Ok(())
    }
}

fn money(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_counted_and_stories_told() {
        let order = |cents, outcome: &str, story: &[&str]| OrderView {
            customer: "ada@example.org".into(),
            article: "lamp".parse().unwrap(),
            quantity: 2,
            cents,
            story: story.iter().map(ToString::to_string).collect(),
            outcome: Some(outcome.into()),
            confirmed: true,
            settled: true,
        };
        let orders = [
            (OrderNumber::new(1), order(8_980, "completed", &["placed", "paid"])),
            (OrderNumber::new(2), order(8_980, "cancelled: sold out", &["placed"])),
            (OrderNumber::new(3), order(4, "completed", &["placed"])),
        ];
        let expected = "\
outcome                        orders        worth
cancelled: sold out                 1        89.80
completed                           2        89.84

O-1    2 lamp      89.80  placed, paid
O-2    2 lamp      89.80  placed
O-3    2 lamp       0.04  placed
";
        assert_eq!(Table { orders: &orders }.to_string(), expected);
    }
}
