//! The shipment of an order, which a carrier takes or does not.

use es_runtime::prelude::*;

use crate::{Article, ShipmentNumber};

/// Asks for a shipment.
#[command]
pub struct RequestShipment {
    /// The article.
    pub article: Article,
    /// The number of pieces.
    pub quantity: u32,
}

/// The carrier has taken it.
#[command]
pub struct DispatchShipment {
    /// The carrier's name for it.
    pub parcel: String,
}

/// The carrier does not take it.
#[command]
pub struct RejectShipment {
    /// The reason.
    pub why: String,
}

/// A shipment was asked for.
#[event]
pub struct ShipmentRequested {
    /// The article.
    pub article: Article,
    /// The number of pieces.
    pub quantity: u32,
}

/// The carrier has taken the shipment.
#[event]
pub struct ShipmentDispatched {
    /// The carrier's name for it.
    pub parcel: String,
}

/// The carrier does not take the shipment.
#[event]
pub struct ShipmentRejected {
    /// The reason.
    pub why: String,
}

/// A shipment does not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShipmentRefused {
    /// The carrier has answered before.
    #[error("shipment {0} was answered before")]
    Answered(ShipmentNumber),
}

/// A shipment.
#[derive(Debug, Aggregate)]
#[es(name = "shipment", id = ShipmentNumber)]
pub struct Shipment {
    is_answered: bool,
}

#[aggregate]
impl Shipment {
    #[handle]
    fn request(cmd: RequestShipment) -> ShipmentRequested {
        ShipmentRequested {
            article: cmd.article,
            quantity: cmd.quantity,
        }
    }

    #[handle]
    fn dispatch(&self, cmd: DispatchShipment, context: &Context) -> Result<ShipmentDispatched, ShipmentRefused> {
        self.waits(context)?;
        Ok(ShipmentDispatched { parcel: cmd.parcel })
    }

    #[handle]
    fn reject(&self, cmd: RejectShipment, context: &Context) -> Result<ShipmentRejected, ShipmentRefused> {
        self.waits(context)?;
        Ok(ShipmentRejected { why: cmd.why })
    }

    #[apply]
    fn requested(_: ShipmentRequested) -> Self {
        Self { is_answered: false }
    }

    #[apply]
    fn dispatched(&mut self, _: ShipmentDispatched) {
        self.is_answered = true;
    }

    #[apply]
    fn rejected(&mut self, _: ShipmentRejected) {
        self.is_answered = true;
    }
}

impl Shipment {
    fn waits(&self, context: &Context) -> Result<(), ShipmentRefused> {
        if self.is_answered {
            return Err(ShipmentRefused::Answered(context.id::<Self>()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OrderNumber;

    #[test]
    fn a_shipment_is_answered_once() {
        let number = OrderNumber::new(17).shipment();
        let requested = ShipmentRequested {
            article: "lamp".parse().unwrap(),
            quantity: 2,
        };
        let dispatched = ShipmentDispatched { parcel: "C-1".into() };
        Shipment::given((requested, dispatched))
            .with_id(number)
            .when(RejectShipment { why: "lost".into() })
            .then_refused(ShipmentRefused::Answered(number));
    }
}
