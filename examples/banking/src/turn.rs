use std::collections::HashMap;

use tokio::sync::oneshot::{self, Receiver, Sender, error::TryRecvError};

use crate::AccountNumber;

/// Puts lines that concern the same account in a row, while others go on at the same time.
#[derive(Default)]
pub(crate) struct Turns {
    /// Of each account, the end of the last line that concerns it.
    last: HashMap<AccountNumber, Receiver<()>>,
}

/// The place of a line in the rows of its accounts.
pub(crate) struct Turn {
    before: Vec<Receiver<()>>,
    after: Vec<Sender<()>>,
}

impl Turns {
    /// The turn of a line that comes after all those before.
    pub(crate) fn next(&mut self, accounts: Vec<AccountNumber>) -> Turn {
        let mut turn = Turn {
            before: Vec::new(),
            after: Vec::new(),
        };
        for account in accounts {
            let (done, end) = oneshot::channel();
            turn.before.extend(self.last.insert(account, end));
            turn.after.push(done);
        }
        turn
    }

    /// How many accounts are kept.
    pub(crate) fn len(&self) -> usize {
        self.last.len()
    }

    /// Forgets accounts whose last line is done.
    pub(crate) fn forget_done(&mut self) {
        self.last.retain(|_, end| match end.try_recv() {
            Ok(()) => false,
            Err(TryRecvError::Empty) => true,
            Err(TryRecvError::Closed) => {
                // It failed, and must stop the next one too; but a receiver that has told so cannot be awaited.
                *end = oneshot::channel().1;
                true
            }
        });
    }
}

impl Turn {
    /// Waits for the lines before. Returns whether all of them are done: if one failed, this line's turn never comes.
    pub(crate) async fn comes(&mut self) -> bool {
        for end in self.before.drain(..) {
            if end.await.is_err() {
                return false;
            }
        }
        true
    }

    /// Lets the next lines go on. Dropping the turn instead stops them.
    pub(crate) fn done(self) {
        for done in self.after {
            // Nobody waits if this was the account's last line.
            let _ = done.send(());
        }
    }
}
