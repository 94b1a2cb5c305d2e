//! The bank and the carrier: services outside, which answer by a command. Here they are played, so that all goes wrong that can.

use std::time::Duration;

use es_runtime::ExecuteError;
use es_runtime::prelude::*;
use es_runtime::subscription::SubscriptionError;

use crate::fulfilment::PATIENCE;
use crate::payment::{AcceptPayment, DeclinePayment, PaymentRequested};
use crate::shipment::{DispatchShipment, RejectShipment, ShipmentRequested};
use crate::{PaymentNumber, ShipmentNumber};

/// Has both of them asked.
pub(crate) async fn start(runtime: &Runtime) -> Result<(), SubscriptionError> {
    let bank = runtime.clone();
    let requested = runtime.subscribe("bank").event::<PaymentRequested>().from_start();
    requested
        .handle(move |requested| ask_bank(bank.clone(), requested))
        .at_once(64)
        .start()
        .await?;
    let carrier = runtime.clone();
    let requested = runtime.subscribe("carrier").event::<ShipmentRequested>().from_start();
    requested
        .handle(move |requested| ask_carrier(carrier.clone(), requested))
        .at_once(64)
        .start()
        .await?;
    Ok(())
}

/// Asks the bank, and passes its answer on. The id of the event is the key of both: asked again after a kill, a bank knows what it has
/// done, and the payment takes the answer once.
async fn ask_bank(runtime: Runtime, requested: Recorded<PaymentRequested>) -> Result<()> {
    let payment: PaymentNumber = requested.stream.id().parse()?;
    let key = requested.id.to_string();
    let answered = match bank(payment.order().number()).await {
        Bank::Silent => return Ok(()),
        Bank::Accepts => runtime.execute(payment, AcceptPayment).idempotency_key(key).await,
        Bank::Declines(why) => {
            let why = why.to_owned();
            runtime
                .execute(payment, DeclinePayment { why })
                .idempotency_key(key)
                .await
        }
    };
    answered.map(drop).or_else(once)
}

async fn ask_carrier(runtime: Runtime, requested: Recorded<ShipmentRequested>) -> Result<()> {
    let shipment: ShipmentNumber = requested.stream.id().parse()?;
    let key = requested.id.to_string();
    let number = shipment.order().number();
    let answered = if number % 13 == 5 {
        let why = "no such street".to_owned();
        runtime
            .execute(shipment, RejectShipment { why })
            .idempotency_key(key)
            .await
    } else {
        let parcel = format!("C-{}", 70_000 + number);
        runtime
            .execute(shipment, DispatchShipment { parcel })
            .idempotency_key(key)
            .await
    };
    answered.map(drop).or_else(once)
}

/// A refusal ends it: there is an answer already, or nobody waits for one. Everything else is tried again.
fn once<R: std::error::Error + Send + Sync + 'static>(error: ExecuteError<R>) -> Result<()> {
    match error {
        ExecuteError::Refused(_) => Ok(()),
        error => Err(error.into()),
    }
}

enum Bank {
    Accepts,
    Declines(&'static str),
    Silent,
}

async fn bank(number: u32) -> Bank {
    match number % 10 {
        3 => Bank::Declines("the bank declines"),
        7 => Bank::Silent,
        9 => {
            // Too late: the payment is withdrawn by then.
            tokio::time::sleep(PATIENCE * 2).await;
            Bank::Accepts
        }
        6 => {
            // About when it is withdrawn.
            tokio::time::sleep(PATIENCE).await;
            Bank::Accepts
        }
        _ => {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Bank::Accepts
        }
    }
}
