//! The confirmation by e-mail: at least once, under an id that tells a repeated one.

use std::net::SocketAddr;
use std::time::{Duration, UNIX_EPOCH};

use es_runtime::prelude::*;
use es_runtime::subscription::SubscriptionError;
use lettre::message::Mailbox;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

use crate::OrderNumber;
use crate::order::{NoteConfirmation, OrderPlaced};

type Smtp = AsyncSmtpTransport<Tokio1Executor>;

/// Has a confirmation sent for each order that is placed.
pub(crate) async fn start(runtime: &Runtime, server: SocketAddr) -> Result<(), SubscriptionError> {
    let smtp = Smtp::builder_dangerous(server.ip().to_string())
        .port(server.port())
        .timeout(Some(Duration::from_secs(10)))
        .build();
    let sender = runtime.clone();
    let placed = runtime.subscribe("confirmations").event::<OrderPlaced>().from_start();
    placed
        .handle(move |placed| confirm(sender.clone(), smtp.clone(), placed))
        .at_once(8)
        .start()
        .await?;
    Ok(())
}

/// Sends the mail, and then notes that. If the process is killed between the two, the next one sends the same mail again, under the
/// same id.
async fn confirm(runtime: Runtime, smtp: Smtp, placed: Recorded<OrderPlaced>) -> Result<()> {
    let order: OrderNumber = placed.stream.id().parse()?;
    let failed = match placed.event.customer.parse() {
        Err(error) => Some(format!("{error}")),
        Ok(to) => match smtp.send(message(order, to, &placed)?).await {
            Ok(_) => None,
            // No attempt will do: there is no such mailbox.
            Err(error) if error.is_permanent() => Some(error.to_string()),
            // The server is away or busy: an error has the runtime try again.
            Err(error) => return Err(error.into()),
        },
    };
    runtime.execute(order, NoteConfirmation { failed }).await?;
    Ok(())
}

/// The same bytes each time: the id and the date are those of the event.
fn message(order: OrderNumber, to: Mailbox, placed: &Recorded<OrderPlaced>) -> Result<Message> {
    let OrderPlaced {
        article,
        quantity,
        cents,
        ..
    } = &placed.event;
    let micros = u64::try_from(placed.recorded_at.as_micros())?;
    let message = Message::builder()
        .message_id(Some(format!("<{}@orders.example>", placed.id)))
        .date(UNIX_EPOCH + Duration::from_micros(micros))
        .from("Shop <shop@orders.example>".parse()?)
        .to(to)
        .subject(format!("Your order {order}"))
        .body(format!(
            "Thank you for your order {order}: {quantity} x {article}, {}.{:02} in all.\n",
            cents / 100,
            cents % 100
        ))?;
    Ok(message)
}
