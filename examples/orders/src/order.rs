//! The order: what a customer wants, and what became of it.

use es_runtime::prelude::*;

use crate::{Article, OrderNumber};

/// Places an order.
#[command(validate)]
pub struct PlaceOrder {
    /// The customer's address for mail.
    pub customer: String,
    /// The article.
    pub article: Article,
    /// The number of pieces.
    pub quantity: u32,
    /// The price of all of them.
    pub cents: u64,
}

impl PlaceOrder {
    fn validate(&self) -> Result<(), Invalid> {
        if self.quantity == 0 {
            return Err(Invalid::new("quantity", "an order is for one piece at least"));
        }
        Ok(())
    }
}

/// Notes that the customer has got a confirmation, or cannot get one.
#[command]
pub struct NoteConfirmation {
    /// The reason for which the customer cannot get it.
    pub failed: Option<String>,
}

/// Completes an order: it was shipped.
#[command]
pub struct CompleteOrder;

/// Cancels an order.
#[command]
pub struct CancelOrder {
    /// The reason.
    pub why: String,
}

/// An order was placed.
#[event]
pub struct OrderPlaced {
    /// The customer's address for mail.
    pub customer: String,
    /// The article.
    pub article: Article,
    /// The number of pieces.
    pub quantity: u32,
    /// The price of all of them.
    pub cents: u64,
}

/// The customer has got a confirmation, or cannot get one.
#[event]
pub struct ConfirmationNoted {
    /// The reason for which the customer cannot get it.
    pub failed: Option<String>,
}

/// The order was shipped.
#[event]
pub struct OrderCompleted;

/// The order was cancelled.
#[event]
pub struct OrderCancelled {
    /// The reason.
    pub why: String,
}

/// An order does not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderRefused {
    /// The order is completed or cancelled.
    #[error("order {0} is closed")]
    Closed(OrderNumber),
}

/// An order.
#[derive(Debug, Aggregate)]
#[es(name = "order", id = OrderNumber)]
pub struct Order {
    is_open: bool,
    is_confirmed: bool,
}

#[aggregate]
impl Order {
    #[handle]
    fn place(cmd: PlaceOrder) -> OrderPlaced {
        OrderPlaced {
            customer: cmd.customer,
            article: cmd.article,
            quantity: cmd.quantity,
            cents: cmd.cents,
        }
    }

    /// Changes nothing the second time: whoever sends mails sends this after each.
    #[handle]
    fn note_confirmation(&self, cmd: NoteConfirmation) -> Option<ConfirmationNoted> {
        (!self.is_confirmed).then_some(ConfirmationNoted { failed: cmd.failed })
    }

    #[handle]
    fn complete(&self, _: CompleteOrder, context: &Context) -> Result<OrderCompleted, OrderRefused> {
        self.open(context)?;
        Ok(OrderCompleted)
    }

    #[handle]
    fn cancel(&self, cmd: CancelOrder, context: &Context) -> Result<OrderCancelled, OrderRefused> {
        self.open(context)?;
        Ok(OrderCancelled { why: cmd.why })
    }

    #[apply]
    fn placed(_: OrderPlaced) -> Self {
        Self {
            is_open: true,
            is_confirmed: false,
        }
    }

    #[apply]
    fn confirmation_noted(&mut self, _: ConfirmationNoted) {
        self.is_confirmed = true;
    }

    #[apply]
    fn completed(&mut self, _: OrderCompleted) {
        self.is_open = false;
    }

    #[apply]
    fn cancelled(&mut self, _: OrderCancelled) {
        self.is_open = false;
    }
}

impl Order {
    fn open(&self, context: &Context) -> Result<(), OrderRefused> {
        if self.is_open {
            Ok(())
        } else {
            Err(OrderRefused::Closed(context.id::<Self>()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed() -> OrderPlaced {
        OrderPlaced {
            customer: "ada@example.org".into(),
            article: "lamp".parse().unwrap(),
            quantity: 2,
            cents: 8_980,
        }
    }

    #[test]
    fn an_order_is_for_something() {
        Order::given(())
            .when(PlaceOrder {
                customer: "ada@example.org".into(),
                article: "lamp".parse().unwrap(),
                quantity: 0,
                cents: 0,
            })
            .then_invalid("quantity");
    }

    #[test]
    fn an_order_is_closed_once() {
        let number = OrderNumber::new(17);
        Order::given((placed(), OrderCompleted))
            .with_id(number)
            .when(CancelOrder { why: "too late".into() })
            .then_refused(OrderRefused::Closed(number));
    }

    #[test]
    fn a_confirmation_is_noted_once() {
        Order::given((placed(), ConfirmationNoted { failed: None }))
            .when(NoteConfirmation { failed: None })
            .then_nothing();
    }
}
