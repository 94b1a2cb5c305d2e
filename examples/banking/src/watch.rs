use std::fmt;
use std::io::ErrorKind;
use std::time::Duration;

use es_runtime::Recorded;
use es_runtime::prelude::*;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::Account;
use crate::account::AccountEvent;
use crate::error::BankError;
use crate::history::what;
use crate::report::{Report, print_line};

/// Something that has happened to an account.
struct Posting<'a>(&'a Recorded<AccountEvent>);

/// Shows what has happened since the watch of this name was last here; if it follows, also what happens then.
pub(crate) async fn watch(bank: &Runtime, name: String, follows: bool, json: bool) -> Result<(), BankError> {
    let until = bank.store().head().await?;
    let mut postings = bank
        .subscribe(&name)
        .aggregate::<Account>()
        .from_start()
        .start()
        .await?;
    loop {
        match timeout(Duration::from_millis(100), postings.next()).await {
            Ok(Ok(Some(posting))) => {
                // Shown first: whoever is killed in between sees it again.
                match print_line(&Posting(&posting), json) {
                    Ok(()) => drop(posting.ack_soon()),
                    // Whoever reads has seen enough.
                    Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
                    Err(error) => return Err(BankError::Output(error)),
                }
            }
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) => return Err(error.into()),
            Err(_) if follows => {}
            Err(_) => {
                let health = bank.health().await?;
                if health.subscriptions.iter().all(|watch| watch.position >= until) {
                    return Ok(());
                }
            }
        }
    }
}

impl Report for Posting<'_> {
    fn json(&self) -> Value {
        let Self(recorded) = self;
        json!({
            "position": recorded.position,
            "event": recorded.id,
            "account": recorded.stream.id(),
            "version": recorded.version,
            "what": what(&recorded.event),
            "reference": recorded.metadata.correlation_id(),
        })
    }
}

impl fmt::Display for Posting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(recorded) = self;
        let (position, account) = (recorded.position.0, recorded.stream.id());
        write!(f, "{position:>8}  {account:<10}  {}", what(&recorded.event))
    }
}
