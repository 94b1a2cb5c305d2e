//! Snapshots of each macro's output. After a change, run `UPDATE_SNAPSHOTS=1 cargo test -p es-macros` and read the
//! difference.

use std::fs;
use std::path::Path;

use super::expand;

#[test]
fn event() {
    check(
        "event",
        r#"name = "account-opened", validate"#,
        "pub struct Opened { pub owner: String }",
    );
}

#[test]
fn event_from_a_shape() {
    check_as(
        "event",
        "event_from_a_shape",
        r#"version = 2, from = OpenedV1, alias = "created""#,
        "pub struct Opened { pub owner: String }",
    );
}

#[test]
fn event_with_history() {
    check_as(
        "event",
        "event_with_history",
        "version = 2, removed(note: String, since = 2)",
        r#"
        #[serde(rename_all = "camelCase")]
        pub struct Deposited {
            #[event(renamed(from = "sum", since = 2), changed(since = 2, from = u32))]
            pub amount: u64,
            #[event(added(since = 2, default = |amount, note| format!("{amount}: {note}")))]
            #[serde(rename = "txt")]
            pub text: String,
        }
        "#,
    );
}

#[test]
fn entity() {
    check(
        "entity",
        "id = id, version = 2",
        "pub struct Environment { pub id: String, #[entity(added(since = 2, default = 1))] pub zone: u8 }",
    );
}

#[test]
fn message() {
    check(
        "message",
        r#"name = "com.bank.opened", version = 2"#,
        "pub struct Opened { pub owner: String }",
    );
}

#[test]
fn publication() {
    check(
        "publication",
        r#"topic = "bank.accounts", version = 2, source = "/bank", park"#,
        "pub struct Accounts;",
    );
}

#[test]
fn publication_block() {
    check_as(
        "publication",
        "publication_block",
        "",
        "
        impl Accounts {
            #[publish]
            fn opened(event: Opened, meta: &Meta<Account>) -> AccountOpened { AccountOpened { owner: event.owner } }

            #[publish(key = event.owner)]
            #[cfg(unix)]
            fn moved(event: events::Moved) -> (Told, Option<Vec<Told>>) { tell(event) }
        }
        ",
    );
}

#[test]
fn command() {
    check(
        "command",
        "validate",
        "#[derive(Eq, PartialEq)] pub struct Deposit { pub amount: i64 }",
    );
}

#[test]
fn value() {
    check("value", "", "pub enum Channel { Counter, Online }");
}

#[test]
fn derive_aggregate() {
    check(
        "derive_aggregate",
        "",
        r#"#[es(name = "account", id = Iban)] pub struct Account { balance: i64 }"#,
    );
}

#[test]
fn derive_aggregate_with_snapshots() {
    check_as(
        "derive_aggregate",
        "derive_aggregate_with_snapshots",
        "",
        r#"#[es(snapshot(every = 100, after = "2s", version = 3))] pub struct Board { name: String }"#,
    );
}

#[test]
fn aggregate() {
    check(
        "aggregate",
        "",
        r#"
        impl Account {
            #[handle]
            fn open(command: Open) -> Opened {
                Opened { owner: command.owner }
            }

            #[handle]
            #[cfg(feature = "deposits")]
            fn deposit(&self, command: Deposit, context: &Context) -> Result<Deposited, Refused> {
                Ok(Deposited { amount: command.amount })
            }

            #[apply]
            fn opened(_: Opened) -> Self {
                Account { balance: 0 }
            }

            #[retired]
            fn noted(_: Noted) {}

            #[apply]
            #[cfg(feature = "deposits")]
            fn deposited(&mut self, event: events::Deposited) {
                self.balance += event.amount;
            }
        }
        "#,
    );
}

#[test]
fn process_manager() {
    check(
        "process_manager",
        "id = Id<Order>, version = 2, from = PaymentV1",
        "pub enum Payment { Asked { cents: i64 }, Paid }",
    );
}

#[test]
fn process_manager_block() {
    check_as(
        "process_manager",
        "process_manager_block",
        "",
        r#"
        impl Payment {
            #[on]
            fn ordered(event: Ordered, todo: &mut Todo<Self>) -> Self {
                todo.send(event.account, Charge { cents: event.cents });
                todo.remind(HOUR, Late);
                Self::Asked { cents: event.cents }
            }

            #[on(key = moved.order)]
            #[cfg(feature = "moves")]
            fn moved(this: Option<Self>, moved: events::Moved, meta: &Meta<Desk>) -> Option<Self> {
                this
            }

            #[on]
            fn charged(&mut self, _: Done<Charge>) {}

            #[on]
            fn not_charged(self, _: Failed<Charge>) -> Option<Self> {
                None
            }

            #[on(Flag)]
            fn failed(&mut self, _: AnyFailed, todo: &mut Todo<Self>) {}

            #[on]
            fn late(&mut self, _: Due<Late>) {}
        }
        "#,
    );
}

#[test]
fn projection() {
    check(
        "projection",
        r#"name = "balances", version = 2, index = ["owner"], park"#,
        "pub struct Balance { pub owner: String, pub cents: i64 }",
    );
}

#[test]
fn projection_in_memory() {
    check_as(
        "projection",
        "projection_in_memory",
        "memory, park",
        "pub struct Rate { pub cents: i64 }",
    );
}

#[test]
fn projection_live() {
    check_as(
        "projection",
        "projection_live",
        "live",
        "pub struct Statement { pub lines: Vec<String> }",
    );
}

#[test]
fn projection_block() {
    check_as(
        "projection",
        "projection_block",
        "",
        r#"
        impl Balance {
            #[apply]
            fn opened(event: Opened) -> Self {
                Self { owner: event.owner, cents: 0 }
            }

            #[apply(keys = [received.from, received.to])]
            #[cfg(feature = "transfers")]
            fn received(&mut self, received: events::Received, meta: &Meta<Transfer>) {
                self.cents += event.amount;
            }

            #[apply(key = event.account)]
            fn closed(self, _: Closed) -> Option<Self> {
                None
            }
        }
        "#,
    );
}

#[test]
fn projection_block_of_shared_rows() {
    check_as(
        "projection",
        "projection_block_of_shared_rows",
        "",
        r"
        impl Channel {
            #[apply(key = event.channel)]
            fn applied(this: Option<Self>, event: Applied) -> Self {
                Self { open: this.map_or(0, |row| row.open) + 1 }
            }

            #[apply]
            fn any(this: Option<Self>, event: PermitEvent) -> Option<Self> {
                this
            }

            #[apply]
            fn others(&mut self, event: CardEvent, meta: &Meta<Card>) {}
        }
        ",
    );
}

#[test]
fn sql_projection() {
    check_as(
        "projection",
        "sql_projection",
        r#"name = "totals", segments = 4, schema = "totals.sql""#,
        "pub struct Totals;",
    );
}

#[test]
fn inline_projection() {
    check_as(
        "projection",
        "inline_projection",
        r#"name = "ledger", inline, schema = "ledger.sql""#,
        "pub struct Ledger;",
    );
}

#[test]
fn inline_projection_of_rows() {
    check_as(
        "projection",
        "inline_projection_of_rows",
        r#"name = "balances", inline, index = ["cents"]"#,
        "pub struct Balance { pub cents: i64 }",
    );
}

#[test]
fn sql_projection_block() {
    check_as(
        "projection",
        "sql_projection_block",
        "",
        r#"
        impl Totals {
            #[apply]
            async fn opened(tx: &mut PgTransaction<'_>, event: Opened) -> Result<()> {
                Ok(())
            }

            #[apply]
            #[cfg(feature = "transfers")]
            async fn received(tx: &mut PgTransaction<'_>, event: events::Received, meta: &Meta<Transfer>) -> Result<()> {
                Ok(())
            }
        }
        "#,
    );
}

fn check(name: &str, args: &str, item: &str) {
    check_as(name, name, args, item);
}

/// Compares what macro `name` writes with the snapshot `snapshot`.
fn check_as(name: &str, snapshot: &str, args: &str, item: &str) {
    let parse = |text: &str| text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    let expansion = expand(name, parse(args), parse(item));
    let file = syn::parse2(expansion).unwrap_or_else(|error| panic!("`{name}` writes no items: {error}"));
    let actual = prettyplease::unparse(&file);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/tests/snapshots/{snapshot}.rs"));
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, &actual).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    let expected = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(actual, expected, "the expansion of `{snapshot}` has changed");
}
