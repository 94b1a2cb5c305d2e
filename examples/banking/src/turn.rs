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

    /// Returns the number of accounts kept.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(turns: &mut Turns, account: &str) -> Turn {
        turns.next(vec![account.parse().unwrap()])
    }

    #[tokio::test]
    async fn another_account_does_not_wait() {
        let mut turns = Turns::default();
        let _first = turn(&mut turns, "ACC-000001");
        assert!(turn(&mut turns, "ACC-000002").comes().await);
    }

    #[tokio::test]
    async fn what_failed_stops_what_comes_after_it() {
        let mut turns = Turns::default();
        turn(&mut turns, "ACC-000001").done();
        let mut second = turn(&mut turns, "ACC-000001");
        assert!(second.comes().await);
        drop(second);
        turns.forget_done();
        assert!(!turn(&mut turns, "ACC-000001").comes().await);
    }

    #[tokio::test]
    async fn what_is_done_is_forgotten_and_what_is_not_is_kept() {
        let mut turns = Turns::default();
        turn(&mut turns, "ACC-000001").done();
        let waiting = turn(&mut turns, "ACC-000002");
        turns.forget_done();
        assert_eq!(turns.len(), 1);
        waiting.done();
        turns.forget_done();
        assert_eq!(turns.len(), 0);
    }
}
