//! An aggregate that knows everything that has happened to it.

use es_runtime::prelude::*;

#[event]
pub(super) struct Opened {
    pub(super) balance: i64,
}

/// Money was moved, by a command or by a stranger.
#[event]
pub(super) struct Moved {
    pub(super) tag: u64,
    pub(super) amount: i64,
    /// The digest that its decision has seen.
    pub(super) seen: u64,
}

#[command]
pub(super) struct Open {
    pub(super) balance: i64,
}

/// Moves money, unless there is too little.
#[command]
pub(super) struct Move {
    pub(super) tag: u64,
    pub(super) amount: i64,
}

/// Moves nothing.
#[command]
pub(super) struct Look;

/// Panics.
#[command]
pub(super) struct Break;

/// Too little is there, at this version and with this digest.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("too little at version {version}: {seen}")]
pub(super) struct TooLittle {
    pub(super) version: u64,
    pub(super) seen: u64,
}

#[derive(Debug, Clone, PartialEq, Aggregate)]
#[es(name = "digested")]
pub(super) struct Ledger {
    pub(super) balance: i64,
    pub(super) digest: u64,
}

/// The digest with one more event.
pub(super) fn digest(before: u64, tag: u64) -> u64 {
    (before ^ tag).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
}

#[aggregate(vis = pub(super))]
impl Ledger {
    #[handle]
    fn open(command: Open) -> Opened {
        Opened {
            balance: command.balance,
        }
    }

    #[handle]
    fn change(&self, command: Move, context: &Context) -> Result<Moved, TooLittle> {
        let Move { tag, amount } = command;
        if self.balance + amount < 0 {
            return Err(TooLittle {
                version: context.version().0,
                seen: self.digest,
            });
        }
        let seen = self.digest;
        Ok(Moved { tag, amount, seen })
    }

    #[handle]
    fn look(&self, _: Look) {}

    #[handle]
    fn fall(&self, _: Break) {
        // Without the hook, which would print a trace each time.
        std::panic::resume_unwind(Box::new("the test wants it so"))
    }

    #[apply]
    fn opened(event: Opened) -> Self {
        Ledger {
            balance: event.balance,
            digest: 0,
        }
    }

    #[apply]
    fn moved(&mut self, event: Moved) {
        self.balance += event.amount;
        self.digest = digest(self.digest, event.tag);
    }
}
