//! One small event in several shapes. Those that may not come back unchanged from their stored form are read back when they are written.

use es_runtime::prelude::*;

/// So many commands, each of which stores one event. Nine of ten store one of that shape.
pub const COMMANDS: usize = 100_000;
const INSTANCES: usize = 10_000;

/// An aggregate whose event has these fields, and its commands.
macro_rules! shape {
    ($module:ident, { $($(#[$attribute:meta])* $field:ident: $type:ty = $value:expr,)+ }) => {
        pub mod $module {
            use super::*;

            #[event]
            pub struct Opened;

            #[event]
            pub struct Booked {
                $($(#[$attribute])* pub $field: $type,)+
            }

            #[command]
            pub struct Open;

            #[command]
            pub struct Book {
                pub amount: i64,
            }

            #[derive(Aggregate)]
            pub struct Ledger;

            #[aggregate]
            impl Ledger {
                #[handle]
                fn open(_: Open) -> Opened {
                    Opened
                }

                #[handle]
                fn book(&self, cmd: Book) -> Booked {
                    let amount = cmd.amount;
                    Booked { $($field: $value(amount),)+ }
                }

                #[apply]
                fn opened(_: Opened) -> Self {
                    Self
                }

                #[apply]
                fn booked(&mut self, _: Booked) {}
            }

            /// Sends the commands.
            pub async fn book(runtime: &Runtime) {
                let ids: Vec<Id<Ledger>> = (0..INSTANCES).map(|_| Id::new()).collect();
                for id in &ids {
                    runtime.execute(id, Open).await.expect("it is new");
                }
                for amount in (1..).take(COMMANDS / INSTANCES - 1) {
                    for id in &ids {
                        runtime.execute(id, Book { amount }).await.expect("it is open");
                    }
                }
            }
        }
    };
}

#[value]
pub struct More {
    pub memo: String,
}

#[value]
#[serde(tag = "kind")]
pub enum How {
    Cash { memo: String },
}

fn memo(_: i64) -> String {
    "rent of May".to_owned()
}

fn more(amount: i64) -> More {
    More { memo: memo(amount) }
}

fn cash(amount: i64) -> How {
    How::Cash { memo: memo(amount) }
}

fn as_float(amount: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "the amounts are small")]
    let amount = amount as f64;
    amount / 4.0
}

shape!(plain, { amount: i64 = i64::from, memo: String = memo, });
shape!(flattened, { amount: i64 = i64::from, #[serde(flatten)] more: More = more, });
shape!(tagged, { amount: i64 = i64::from, how: How = cash, });
shape!(wide, { amount: u128 = |amount: i64| u128::from(amount.unsigned_abs()), memo: String = memo, });
shape!(float, { amount: f64 = as_float, memo: String = memo, });
