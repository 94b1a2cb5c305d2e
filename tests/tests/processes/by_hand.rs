//! A process manager without its macro, and the harness.

use std::time::Duration;

use es_runtime::Stored;
use es_runtime::prelude::*;
use es_runtime::process::{HearsFailure, HearsTimer, ProcessManager, ProcessState, Reactions, Why};
use es_tests::bank::{Account, Deposit, InsufficientFunds, Withdraw};
use serde::{Deserialize, Serialize};

/// Asks for a transfer.
#[event]
pub(crate) struct Requested {
    pub(crate) from: Id<Account>,
    pub(crate) to: Id<Account>,
    pub(crate) cents: i64,
}

/// Asks for it no more.
#[event]
pub(crate) struct Cancelled;

#[command]
pub(crate) struct Request {
    pub(crate) from: Id<Account>,
    pub(crate) to: Id<Account>,
    pub(crate) cents: i64,
}

#[command]
pub(crate) struct Cancel;

/// The wish of a customer.
#[derive(Debug, Aggregate)]
#[es(name = "request")]
pub(crate) struct TransferRequest;

#[aggregate]
impl TransferRequest {
    #[handle]
    fn request(cmd: Request) -> Requested {
        let Request { from, to, cents } = cmd;
        Requested { from, to, cents }
    }

    #[handle]
    fn cancel(&self, _: Cancel) -> Cancelled {
        Cancelled
    }

    #[apply]
    fn requested(_: Requested) -> Self {
        TransferRequest
    }

    #[apply]
    fn cancelled(&mut self, _: Cancelled) {}
}

/// Moves money from one account to another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Transfer {
    pub(crate) from: Id<Account>,
    pub(crate) to: Id<Account>,
    pub(crate) cents: i64,
    pub(crate) reminded: bool,
}

/// It takes long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Late;

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

impl Stored for Transfer {
    const NAME: &'static str = "transfer";
}

impl ProcessState for Transfer {
    type Id = Id<TransferRequest>;
}

impl ProcessManager for Transfer {
    fn reactions(on: &mut Reactions<Self>) {
        on.begins::<Requested>(
            |_, meta| *meta.id(),
            |(), event, _, todo| {
                let Requested { from, to, cents } = event;
                todo.send(from, Withdraw { amount: cents });
                todo.remind(HOUR, Late);
                let reminded = false;
                Some(Self {
                    from,
                    to,
                    cents,
                    reminded,
                })
            },
        );
        on.changes::<Cancelled>(|_, meta| *meta.id(), |_, _, _, _| None);
        on.answers::<Withdraw>(|this, _, todo| {
            todo.send(this.to, Deposit { amount: this.cents });
            Some(this)
        });
        on.answers::<Deposit>(|_, _, _| None);
        on.timer::<Late>();
    }
}

impl HearsFailure<Withdraw> for Transfer {
    fn failed(self, _: Failed<Withdraw>, _: &mut Todo<Self>) -> Option<Self> {
        None
    }
}

impl HearsFailure<Deposit> for Transfer {
    fn failed(self, failed: Failed<Deposit>, todo: &mut Todo<Self>) -> Option<Self> {
        match failed.why {
            // Nobody to give it back to.
            _ if failed.command.amount <= 0 => None,
            _ => {
                todo.send(self.from, Deposit { amount: self.cents });
                Some(self)
            }
        }
    }
}

impl HearsTimer<Late> for Transfer {
    const TIMER: &'static str = "late";

    fn due(mut self, _: Due<Late>, _: &mut Todo<Self>) -> Option<Self> {
        self.reminded = true;
        Some(self)
    }
}

fn accounts() -> (Id<Account>, Id<Account>, Requested) {
    let (from, to) = (Id::new(), Id::new());
    (from, to, Requested { from, to, cents: 30 })
}

#[test]
fn commands_are_sent_one_after_the_other_and_the_last_answer_ends_it() {
    let (alice, bob, requested) = accounts();
    Transfer::given(requested)
        .then_sends(alice, Withdraw { amount: 30 })
        .then_reminds(Late, HOUR)
        .when_done::<Withdraw>()
        .then_sends(bob, Deposit { amount: 30 })
        .when_done::<Deposit>()
        .then_ended();
}

#[test]
fn a_refusal_is_heard_with_its_type() {
    let (alice, bob, requested) = accounts();
    let refusal = InsufficientFunds { balance: 10 };
    Transfer::given(requested.clone())
        .then_sends(alice, Withdraw { amount: 30 })
        .then_reminds(Late, HOUR)
        .when_refused(alice, Withdraw { amount: 30 }, refusal)
        .then_ended();
    Transfer::given(requested)
        .then_sends(alice, Withdraw { amount: 30 })
        .then_reminds(Late, HOUR)
        .when_done::<Withdraw>()
        .then_sends(bob, Deposit { amount: 30 })
        .when_failed::<Deposit>(Why::NotFound)
        .then_sends(alice, Deposit { amount: 30 })
        .when_done::<Deposit>()
        .then_ended();
}

#[test]
fn a_timer_is_heard_once() {
    let (alice, _, requested) = accounts();
    let reminded = Transfer::given(requested)
        .then_sends(alice, Withdraw { amount: 30 })
        .then_reminds(Late, HOUR)
        .when_due(Late)
        .then_nothing()
        .then_state(|transfer| assert!(transfer.reminded));
    fails("no timer is set with Late: none is set", || {
        reminded.when_due(Late);
    });
}

#[test]
fn an_event_for_no_instance_does_nothing_and_one_that_begins_again_is_a_mistake() {
    let (alice, _, requested) = accounts();
    let ended = Transfer::given(requested.clone())
        .then_sends(alice, Withdraw { amount: 30 })
        .then_reminds(Late, HOUR)
        .when(Cancelled)
        .then_ended()
        .when(Cancelled)
        .then_ended();
    let anew = ended
        .when(requested.clone())
        .then_sends(alice, Withdraw { amount: 30 })
        .then_reminds(Late, HOUR);
    fails(
        "event `requested` begins an instance of process manager `transfer`",
        || {
            anew.when(requested);
        },
    );
}

#[test]
fn what_a_test_expects_otherwise_is_shown() {
    let (alice, bob, requested) = accounts();
    let given = || Transfer::given(requested.clone());
    fails("+         amount: 30,", || {
        given().then_sends(alice, Withdraw { amount: 31 });
    });
    fails(&format!("account/{bob}"), || {
        given().then_sends(bob, Withdraw { amount: 30 });
    });
    fails("but sends `withdraw` with {\"amount\":30}", || {
        given().then_sends(alice, Deposit { amount: 30 });
    });
    fails("`transfer` also sends `withdraw`", || {
        given().when_done::<Withdraw>();
    });
    fails("`transfer` also sets timer `late` with null, due after 3600s", || {
        given().then_sends(alice, Withdraw { amount: 30 }).then_nothing();
    });
    let mentioned = || {
        let sent = given().then_sends(alice, Withdraw { amount: 30 });
        sent.then_reminds(Late, HOUR)
    };
    fails("but sends nothing", || {
        mentioned().then_sends(alice, Withdraw { amount: 30 });
    });
    fails("+     3600s", || {
        given().then_reminds(Late, HOUR * 2);
    });
    fails("but sets none", || {
        mentioned().then_reminds(Late, HOUR);
    });
    fails("was expected to have ended, but runs with", || {
        mentioned().then_ended();
    });
    fails("is answered before any `deposit`", || {
        mentioned().when_done::<Deposit>();
    });
    fails("no command waits for an answer", || {
        mentioned().when(Cancelled).when_done::<Withdraw>();
    });
    fails("no instance of `transfer` runs", || {
        mentioned().when(Cancelled).then_state(|_| ());
    });
    fails("is for instance", || {
        mentioned().when_from(Id::<TransferRequest>::new(), Cancelled);
    });
}

/// A beginning that ends at once, with work that nobody would hear of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Hasty;

impl Stored for Hasty {
    const NAME: &'static str = "hasty";
}

impl ProcessState for Hasty {
    type Id = Id<TransferRequest>;
}

impl ProcessManager for Hasty {
    fn reactions(on: &mut Reactions<Self>) {
        on.begins::<Requested>(
            |_, meta| *meta.id(),
            |(), event, _, todo| {
                todo.send(event.from, Withdraw { amount: event.cents });
                None
            },
        );
        on.answers::<Withdraw>(|this, _, _| Some(this));
    }
}

impl HearsFailure<Withdraw> for Hasty {
    fn failed(self, _: Failed<Withdraw>, _: &mut Todo<Self>) -> Option<Self> {
        None
    }
}

#[test]
fn an_instance_does_not_end_with_a_command_whose_answer_nobody_hears() {
    fails("ends the instance and sends a command in the same step", || {
        Hasty::given(accounts().2);
    });
    fails("process manager `hasty` does not hear event `cancelled`", || {
        Hasty::given(Cancelled);
    });
}

/// The call panics with a message that says so.
fn fails(message: &str, call: impl FnOnce()) {
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).expect_err(message);
    let text = panic.downcast_ref::<String>().map_or("", |text| text.as_str());
    assert!(text.contains(message), "expected {message:?} in: {text}");
}
