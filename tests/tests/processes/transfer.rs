//! The transfer of the guide: with its macro, in less than 45 lines.

use std::time::Duration;

use es_runtime::prelude::*;
use es_tests::bank::{Account, Deposit, InsufficientFunds, Withdraw};

use super::by_hand::{Cancelled, Requested, TransferRequest};

#[value]
pub(crate) struct Late;

#[process_manager(id = Id<TransferRequest>)]
pub(crate) struct Transfer {
    from: Id<Account>,
    to: Id<Account>,
    cents: i64,
}

#[process_manager]
impl Transfer {
    #[on]
    fn requested(event: Requested, todo: &mut Todo<Self>) -> Self {
        let Requested { from, to, cents } = event;
        todo.send(from, Withdraw { amount: cents });
        todo.remind(Duration::from_secs(3600), Late);
        Transfer { from, to, cents }
    }

    #[on]
    fn withdrawn(&mut self, _: Done<Withdraw>, todo: &mut Todo<Self>) {
        todo.send(self.to, Deposit { amount: self.cents });
    }

    #[on]
    fn not_withdrawn(self, _: Failed<Withdraw>) -> Option<Self> {
        None
    }

    #[on]
    fn deposited(self, _: Done<Deposit>) -> Option<Self> {
        None
    }

    #[on]
    fn not_deposited(&mut self, _: Failed<Deposit>, todo: &mut Todo<Self>) {
        todo.send(self.from, Deposit { amount: self.cents });
    }

    #[on]
    fn late(&mut self, _: Due<Late>) {}

    #[on]
    fn cancelled(self, _: Cancelled, _: &Meta<TransferRequest>) -> Option<Self> {
        None
    }
}

#[test]
fn what_the_macro_writes_reacts_as_the_methods_say() {
    let (alice, bob, cents) = (Id::new(), Id::new(), 30);
    let given = || {
        let requested = Requested {
            from: alice,
            to: bob,
            cents,
        };
        let sent = Transfer::given(requested).then_sends(alice, Withdraw { amount: 30 });
        sent.then_reminds(Late, Duration::from_secs(3600))
    };
    given()
        .when_done::<Withdraw>()
        .then_sends(bob, Deposit { amount: 30 })
        .when_failed::<Deposit>(es_runtime::process::Why::NotFound)
        .then_sends(alice, Deposit { amount: 30 })
        .when_done::<Deposit>()
        .then_ended();
    let refusal = InsufficientFunds { balance: 3 };
    given()
        .when_refused(alice, Withdraw { amount: 30 }, refusal)
        .then_ended();
    given().when_due(Late).then_nothing().when(Cancelled).then_ended();
}

/// Knows nothing but that it runs.
#[process_manager(id = Id<TransferRequest>)]
struct Bare;

#[process_manager]
impl Bare {
    #[on]
    fn requested(_: Requested) -> Self {
        Bare
    }

    #[on]
    fn cancelled(self, _: Cancelled) -> Option<Self> {
        None
    }
}

#[test]
fn a_state_without_fields_is_not_the_end() {
    let (from, to, cents) = (Id::new(), Id::new(), 1);
    Bare::given(Requested { from, to, cents })
        .then_state(|state| assert_eq!(*state, Bare))
        .when(Cancelled)
        .then_ended();
}

/// States as an enum, a failure that is heard for several commands, a key of its own, and an instance that is begun or changed.
mod of_several_kinds {
    use super::*;

    #[event]
    pub(crate) struct Counted {
        pub(crate) shop: String,
        pub(crate) account: Id<Account>,
        pub(crate) cents: i64,
    }

    #[derive(Aggregate)]
    #[es(name = "till")]
    pub(crate) struct Till;

    #[command]
    pub(crate) struct Count {
        pub(crate) account: Id<Account>,
    }

    #[aggregate]
    impl Till {
        #[handle]
        fn count(cmd: Count) -> Counted {
            Counted {
                shop: "corner".into(),
                account: cmd.account,
                cents: 1,
            }
        }

        #[apply]
        fn counted(_: Counted) -> Self {
            Till
        }
    }

    #[process_manager(name = "takings", id = String)]
    pub(crate) enum Takings {
        Collecting { cents: i64 },
        Paid { failures: Vec<String> },
    }

    #[process_manager]
    impl Takings {
        #[on(key = event.shop)]
        fn counted(this: Option<Self>, event: Counted, todo: &mut Todo<Self>) -> Option<Self> {
            match this {
                None if event.cents == 0 => None,
                None => Some(Self::Collecting { cents: event.cents }),
                Some(Self::Collecting { cents }) => {
                    todo.send(
                        event.account,
                        Deposit {
                            amount: cents + event.cents,
                        },
                    );
                    todo.send(event.account, Withdraw { amount: 1 });
                    Some(Self::Paid { failures: Vec::new() })
                }
                Some(Self::Paid { .. }) => None,
            }
        }

        #[on]
        fn deposited(&mut self, _: Done<Deposit>) {}

        #[on(Withdraw)]
        fn failed(&mut self, failed: AnyFailed) {
            if let Self::Paid { failures } = self {
                failures.push(format!("{}: {}", failed.command, failed.why));
            }
        }
    }

    #[test]
    fn one_method_hears_of_several_failures_and_begins_or_changes() {
        let account = Id::new();
        let counted = |cents| Counted {
            shop: "corner".into(),
            account,
            cents,
        };
        Takings::given(counted(0)).then_ended();
        Takings::given(counted(3))
            .when(counted(4))
            .then_sends(account, Deposit { amount: 7 })
            .then_sends(account, Withdraw { amount: 1 })
            .when_failed::<Deposit>(es_runtime::process::Why::NotFound)
            .when_refused(account, Withdraw { amount: 1 }, InsufficientFunds { balance: 0 })
            .then_state(|takings| {
                let failures = vec![
                    "deposit: the aggregate does not exist".to_owned(),
                    "withdraw: insufficient funds: the balance is 0".to_owned(),
                ];
                assert_eq!(*takings, Takings::Paid { failures });
            })
            .when(counted(1))
            .then_ended();
    }
}
