//! The stock of an article: the pieces that are there, and for which orders they are kept.

use std::collections::BTreeMap;

use es_runtime::prelude::*;

use crate::{Article, OrderNumber};

/// Opens the stock of an article.
#[command]
pub struct OpenStock {
    /// The number of pieces.
    pub quantity: u32,
}

/// Keeps pieces for an order.
#[command]
pub struct ReservePieces {
    /// The order.
    pub order: OrderNumber,
    /// The number of pieces.
    pub quantity: u32,
}

/// Gives back what is kept for an order.
#[command]
pub struct ReleasePieces {
    /// The order.
    pub order: OrderNumber,
}

/// The stock of an article was opened.
#[event]
pub struct StockOpened {
    /// The number of pieces.
    pub quantity: u32,
}

/// Pieces are kept for an order.
#[event]
pub struct PiecesReserved {
    /// The order.
    pub order: OrderNumber,
    /// The number of pieces.
    pub quantity: u32,
}

/// Pieces are not kept for an order any more.
#[event]
pub struct PiecesReleased {
    /// The order.
    pub order: OrderNumber,
    /// The number of pieces.
    pub quantity: u32,
}

/// A stock does not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StockRefused {
    /// There are not enough pieces.
    #[error("sold out: {left} of {article} left")]
    SoldOut {
        /// The article.
        article: Article,
        /// The number of pieces that are left.
        left: u32,
    },
    /// Nothing is kept for the order.
    #[error("nothing is kept for {0}")]
    NotReserved(OrderNumber),
}

/// The stock of an article.
#[derive(Debug, Aggregate)]
#[es(name = "stock", id = Article)]
pub struct Stock {
    left: u32,
    reserved: BTreeMap<OrderNumber, u32>,
}

#[aggregate]
impl Stock {
    #[handle]
    fn open(cmd: OpenStock) -> StockOpened {
        StockOpened { quantity: cmd.quantity }
    }

    #[handle]
    fn reserve(&self, cmd: ReservePieces, context: &Context) -> Result<PiecesReserved, StockRefused> {
        if cmd.quantity > self.left {
            let (article, left) = (context.id::<Self>(), self.left);
            return Err(StockRefused::SoldOut { article, left });
        }
        Ok(PiecesReserved {
            order: cmd.order,
            quantity: cmd.quantity,
        })
    }

    #[handle]
    fn release(&self, cmd: ReleasePieces) -> Result<PiecesReleased, StockRefused> {
        let order = cmd.order;
        let reserved = self.reserved.get(&order).ok_or(StockRefused::NotReserved(order))?;
        Ok(PiecesReleased {
            order,
            quantity: *reserved,
        })
    }

    #[apply]
    fn opened(event: StockOpened) -> Self {
        Self {
            left: event.quantity,
            reserved: BTreeMap::new(),
        }
    }

    #[apply]
    fn pieces_reserved(&mut self, event: PiecesReserved) {
        self.left -= event.quantity;
        *self.reserved.entry(event.order).or_default() += event.quantity;
    }

    #[apply]
    fn pieces_released(&mut self, event: PiecesReleased) {
        self.left += event.quantity;
        self.reserved.remove(&event.order);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: OrderNumber = OrderNumber::new(17);

    #[test]
    fn no_more_is_kept_than_is_there() {
        let opened = StockOpened { quantity: 3 };
        let kept = |quantity| PiecesReserved { order: ORDER, quantity };
        let stock = || Stock::given((opened.clone(), kept(2))).with_id("lamp".parse().unwrap());
        let reserve = |quantity| ReservePieces {
            order: OrderNumber::new(18),
            quantity,
        };
        stock().when(reserve(1)).then(PiecesReserved {
            order: OrderNumber::new(18),
            quantity: 1,
        });
        stock().when(reserve(2)).then_refused(StockRefused::SoldOut {
            article: "lamp".parse().unwrap(),
            left: 1,
        });
    }

    #[test]
    fn what_is_given_back_is_there_again() {
        let events = (
            StockOpened { quantity: 3 },
            PiecesReserved {
                order: ORDER,
                quantity: 3,
            },
        );
        Stock::given(events)
            .when(ReleasePieces { order: ORDER })
            .then(PiecesReleased {
                order: ORDER,
                quantity: 3,
            })
            .then_state(|stock| assert_eq!(stock.left, 3));
        Stock::given(StockOpened { quantity: 3 })
            .when(ReleasePieces { order: ORDER })
            .then_refused(StockRefused::NotReserved(ORDER));
    }
}
