use es_runtime::prelude::*;

use crate::Article;
use crate::order::{ConfirmationNoted, OrderCancelled, OrderCompleted, OrderPlaced};
use crate::payment::{Payment, PaymentAccepted, PaymentDeclined, PaymentRefunded, PaymentRequested, PaymentWithdrawn};
use crate::shipment::{Shipment, ShipmentDispatched, ShipmentRejected, ShipmentRequested};
use crate::stock::{PiecesReleased, PiecesReserved};

/// An order with all that has happened to it, from the events of orders, stocks, payments and shipments.
#[projection(name = "orders", index = ["settled"])]
pub struct OrderView {
    /// The customer's address for mail.
    pub customer: String,
    /// The article.
    pub article: Article,
    /// The number of pieces.
    pub quantity: u32,
    /// The price of all of them.
    pub cents: u64,
    /// The things that have happened, in a word each.
    pub story: Vec<String>,
    /// The outcome; `None` while it is open.
    pub outcome: Option<String>,
    /// True once the customer has got a confirmation, or cannot get one.
    pub confirmed: bool,
    /// True if nothing more will happen to it.
    pub settled: bool,
}

#[projection]
impl OrderView {
    #[apply]
    fn placed(event: OrderPlaced) -> Self {
        Self {
            customer: event.customer,
            article: event.article,
            quantity: event.quantity,
            cents: event.cents,
            story: vec!["placed".to_owned()],
            outcome: None,
            confirmed: false,
            settled: false,
        }
    }

    #[apply]
    fn confirmation_noted(&mut self, event: ConfirmationNoted) {
        let word = if event.failed.is_some() {
            "not confirmed"
        } else {
            "confirmed"
        };
        self.tell(word);
        self.confirmed = true;
        self.settled = self.outcome.is_some();
    }

    #[apply]
    fn completed(&mut self, _: OrderCompleted) {
        self.close("completed".to_owned());
    }

    #[apply]
    fn cancelled(&mut self, event: OrderCancelled) {
        // Without the number of pieces that were left.
        let why = event.why.split(':').next().unwrap_or_default();
        self.close(format!("cancelled: {why}"));
    }

    #[apply(key = event.order)]
    fn reserved(&mut self, _: PiecesReserved) {
        self.tell("reserved");
    }

    #[apply(key = event.order)]
    fn released(&mut self, _: PiecesReleased) {
        self.tell("released");
    }

    #[apply(key = meta.id().order())]
    fn payment_requested(&mut self, _: PaymentRequested, _: &Meta<Payment>) {
        self.tell("billed");
    }

    #[apply(key = meta.id().order())]
    fn paid(&mut self, _: PaymentAccepted, _: &Meta<Payment>) {
        self.tell("paid");
    }

    #[apply(key = meta.id().order())]
    fn declined(&mut self, _: PaymentDeclined, _: &Meta<Payment>) {
        self.tell("declined");
    }

    #[apply(key = meta.id().order())]
    fn withdrawn(&mut self, _: PaymentWithdrawn, _: &Meta<Payment>) {
        self.tell("overdue");
    }

    #[apply(key = meta.id().order())]
    fn refunded(&mut self, _: PaymentRefunded, _: &Meta<Payment>) {
        self.tell("refunded");
    }

    #[apply(key = meta.id().order())]
    fn shipment_requested(&mut self, _: ShipmentRequested, _: &Meta<Shipment>) {
        self.tell("packed");
    }

    #[apply(key = meta.id().order())]
    fn dispatched(&mut self, _: ShipmentDispatched, _: &Meta<Shipment>) {
        self.tell("shipped");
    }

    #[apply(key = meta.id().order())]
    fn rejected(&mut self, _: ShipmentRejected, _: &Meta<Shipment>) {
        self.tell("sent back");
    }
}

impl OrderView {
    fn tell(&mut self, word: &str) {
        self.story.push(word.to_owned());
    }

    fn close(&mut self, outcome: String) {
        self.outcome = Some(outcome);
        self.settled = self.confirmed;
    }
}
