//! The fulfilment of an order: its pieces are kept, it is paid, it is shipped. If one of these fails, what was done before is undone.

use std::time::Duration;

use es_runtime::prelude::*;

use crate::order::{CancelOrder, CompleteOrder, OrderPlaced};
use crate::payment::{Payment, PaymentAccepted, PaymentDeclined, RefundPayment, RequestPayment, WithdrawPayment};
use crate::shipment::{RequestShipment, Shipment, ShipmentDispatched, ShipmentRejected};
use crate::stock::{ReleasePieces, ReservePieces};
use crate::{Article, OrderNumber};

/// The time within which an order must be paid. A shop would say a week.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// The order was not paid in time, if it is not paid by now.
#[value]
pub struct PaymentOverdue;

/// The fulfilment of an order.
#[process_manager(id = OrderNumber)]
pub struct Fulfilment {
    /// The order.
    pub order: OrderNumber,
    /// The article.
    pub article: Article,
    /// The number of pieces.
    pub quantity: u32,
    /// The price of all of them.
    pub cents: u64,
    /// The thing that it waits for.
    pub stage: Stage,
}

/// The thing that the fulfilment of an order waits for.
#[value]
#[derive(Copy, Eq)]
pub enum Stage {
    /// That its pieces are kept.
    Reserving,
    /// That it is paid.
    Paying,
    /// That it is shipped.
    Shipping,
    /// That it is closed.
    Closing,
}

#[process_manager]
impl Fulfilment {
    #[on]
    fn placed(event: OrderPlaced, meta: &Meta<crate::order::Order>, todo: &mut Todo<Self>) -> Self {
        let OrderPlaced {
            article,
            quantity,
            cents,
            ..
        } = event;
        let order = *meta.id();
        todo.send(&article, ReservePieces { order, quantity });
        Self {
            order,
            article,
            quantity,
            cents,
            stage: Stage::Reserving,
        }
    }

    #[on]
    fn reserved(&mut self, _: Done<ReservePieces>, todo: &mut Todo<Self>) {
        self.stage = Stage::Paying;
        todo.send(self.order.payment(), RequestPayment { cents: self.cents });
        todo.remind(PATIENCE, PaymentOverdue);
    }

    #[on]
    fn not_reserved(&mut self, failed: Failed<ReservePieces>, todo: &mut Todo<Self>) {
        self.cancel(failed.why.to_string(), todo);
    }

    #[on(key = meta.id().order())]
    fn paid(&mut self, _: PaymentAccepted, _: &Meta<Payment>, todo: &mut Todo<Self>) {
        self.stage = Stage::Shipping;
        let (article, quantity) = (self.article.clone(), self.quantity);
        todo.send(self.order.shipment(), RequestShipment { article, quantity });
    }

    #[on(key = meta.id().order())]
    fn not_paid(&mut self, event: PaymentDeclined, _: &Meta<Payment>, todo: &mut Todo<Self>) {
        todo.send(&self.article, ReleasePieces { order: self.order });
        self.cancel(event.why, todo);
    }

    #[on]
    fn overdue(&mut self, _: Due<PaymentOverdue>, todo: &mut Todo<Self>) {
        if self.stage == Stage::Paying {
            todo.send(self.order.payment(), WithdrawPayment);
        }
    }

    #[on]
    fn withdrawn(&mut self, _: Done<WithdrawPayment>, todo: &mut Todo<Self>) {
        todo.send(&self.article, ReleasePieces { order: self.order });
        self.cancel("not paid in time".to_owned(), todo);
    }

    /// The bank was faster: its answer is an event that comes next.
    #[on]
    fn not_withdrawn(&mut self, _: Failed<WithdrawPayment>) {}

    #[on(key = meta.id().order())]
    fn shipped(&mut self, _: ShipmentDispatched, _: &Meta<Shipment>, todo: &mut Todo<Self>) {
        self.stage = Stage::Closing;
        todo.send(self.order, CompleteOrder);
    }

    #[on(key = meta.id().order())]
    fn not_shipped(&mut self, event: ShipmentRejected, _: &Meta<Shipment>, todo: &mut Todo<Self>) {
        todo.send(self.order.payment(), RefundPayment);
        todo.send(&self.article, ReleasePieces { order: self.order });
        self.cancel(event.why, todo);
    }

    #[on]
    fn completed(self, _: Done<CompleteOrder>) -> Option<Self> {
        None
    }

    #[on]
    fn cancelled(self, _: Done<CancelOrder>) -> Option<Self> {
        None
    }

    /// None of these fails, as long as nobody else sends them. If one does, the fulfilment stays: `list().stuck_for(…)` shows it.
    #[on(RequestPayment, RequestShipment, RefundPayment, ReleasePieces)]
    fn failed(&mut self, _: AnyFailed) {}
}

impl Fulfilment {
    fn cancel(&mut self, why: String, todo: &mut Todo<Self>) {
        self.stage = Stage::Closing;
        todo.send(self.order, CancelOrder { why });
    }
}

#[cfg(test)]
mod tests {
    use es_runtime::testing::ProcessScenario;

    use super::*;
    use crate::stock::StockRefused;

    const ORDER: OrderNumber = OrderNumber::new(17);

    fn lamp() -> Article {
        "lamp".parse().unwrap()
    }

    fn cancel(why: &str) -> CancelOrder {
        CancelOrder { why: why.to_owned() }
    }

    fn placed() -> ProcessScenario<Fulfilment> {
        let event = OrderPlaced {
            customer: "ada@example.org".into(),
            article: lamp(),
            quantity: 2,
            cents: 8_980,
        };
        let (order, quantity) = (ORDER, 2);
        Fulfilment::given_from(ORDER, event).then_sends(lamp(), ReservePieces { order, quantity })
    }

    fn asked() -> ProcessScenario<Fulfilment> {
        placed()
            .when_done::<ReservePieces>()
            .then_sends(ORDER.payment(), RequestPayment { cents: 8_980 })
            .then_reminds(PaymentOverdue, PATIENCE)
            .when_done::<RequestPayment>()
    }

    fn paid() -> ProcessScenario<Fulfilment> {
        let (article, quantity) = (lamp(), 2);
        asked()
            .when_from(ORDER.payment(), PaymentAccepted)
            .then_sends(ORDER.shipment(), RequestShipment { article, quantity })
            .when_done::<RequestShipment>()
    }

    #[test]
    fn an_order_is_reserved_paid_and_shipped() {
        let parcel = "C-1".to_owned();
        paid()
            .when_from(ORDER.shipment(), ShipmentDispatched { parcel })
            .then_sends(ORDER, CompleteOrder)
            .when_done::<CompleteOrder>()
            .then_ended();
    }

    #[test]
    fn an_order_that_is_sold_out_is_cancelled() {
        let (order, quantity, article, left) = (ORDER, 2, lamp(), 1);
        placed()
            .when_refused(
                lamp(),
                ReservePieces { order, quantity },
                StockRefused::SoldOut { article, left },
            )
            .then_sends(ORDER, cancel("sold out: 1 of lamp left"))
            .when_done::<CancelOrder>()
            .then_ended();
    }

    #[test]
    fn an_order_that_the_bank_declines_gives_its_pieces_back() {
        let why = "no money".to_owned();
        asked()
            .when_from(ORDER.payment(), PaymentDeclined { why })
            .then_sends(lamp(), ReleasePieces { order: ORDER })
            .then_sends(ORDER, cancel("no money"))
            .when_done::<ReleasePieces>()
            .when_due(PaymentOverdue)
            .then_nothing()
            .when_done::<CancelOrder>()
            .then_ended();
    }

    #[test]
    fn an_order_that_is_not_paid_in_time_is_cancelled() {
        asked()
            .when_due(PaymentOverdue)
            .then_sends(ORDER.payment(), WithdrawPayment)
            .when_done::<WithdrawPayment>()
            .then_sends(lamp(), ReleasePieces { order: ORDER })
            .then_sends(ORDER, cancel("not paid in time"))
            .when_done::<ReleasePieces>()
            .when_done::<CancelOrder>()
            .then_ended();
    }

    #[test]
    fn a_payment_that_comes_with_the_time_out_counts() {
        let (article, quantity) = (lamp(), 2);
        let refused = crate::payment::PaymentRefused {
            payment: ORDER.payment(),
            status: crate::payment::PaymentStatus::Accepted,
        };
        asked()
            .when_due(PaymentOverdue)
            .then_sends(ORDER.payment(), WithdrawPayment)
            .when_refused(ORDER.payment(), WithdrawPayment, refused)
            .then_nothing()
            .when_from(ORDER.payment(), PaymentAccepted)
            .then_sends(ORDER.shipment(), RequestShipment { article, quantity });
    }

    #[test]
    fn an_order_that_cannot_be_shipped_is_paid_back() {
        let why = "no such street".to_owned();
        paid()
            .when_from(ORDER.shipment(), ShipmentRejected { why })
            .then_sends(ORDER.payment(), RefundPayment)
            .then_sends(lamp(), ReleasePieces { order: ORDER })
            .then_sends(ORDER, cancel("no such street"))
            .when_done::<RefundPayment>()
            .when_done::<ReleasePieces>()
            .when_done::<CancelOrder>()
            .then_ended();
    }
}
