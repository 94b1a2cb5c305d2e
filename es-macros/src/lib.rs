//! The procedural macros of `es-runtime`, which re-exports them.

mod aggregate;
mod args;
mod checks;
mod command;
mod companions;
mod derive_aggregate;
mod derives;
mod entity;
mod errors;
mod event;
mod fields;
mod helper;
mod impl_block;
mod local;
mod message;
mod on_failure;
mod plain;
mod process_manager;
mod projection;
mod publication;
mod runtime;
mod shape;
mod stored;
mod stored_name;
#[cfg(test)]
mod tests;
mod value;

use proc_macro::TokenStream;

/// Makes a struct an event: an immutable fact, stored under a name.
///
/// ```
/// # use es_runtime::prelude::*;
/// #[event]
/// pub struct Opened {
///     pub owner: String,
/// }
///
/// #[event(name = "account.closed")]
/// pub struct Closed;
/// ```
///
/// | Argument | Meaning | Default |
/// | --- | --- | --- |
/// | `name = "…"` | the name that is stored | the struct's in snake case |
/// | `alias = "…"` | a name that it had before, which is read and no longer written; may be repeated | none |
/// | `version = n` | the version of the shape that is stored | 1 |
/// | `from = OpenedV1` | the struct of the version before, from which `From` leads here | none |
/// | `try_from = OpenedV1` | the same for a step that can fail, by `TryFrom` | none |
/// | `removed(note: String, since = n)` | a field that the struct had before version n; may be repeated | none |
/// | `validate` | calls the method `validate` of the struct, `fn validate(&self) -> Result<(), Invalid>`, before it is appended; not when it is read | no check |
/// | `validate = path` | calls this function with `&self` | |
/// | `garde` | checks the rules of `#[derive(garde::Validate)]`, with the feature `garde` of es-runtime | no check |
/// | `crate = path` | where `es-runtime` is | `::es_runtime` |
///
/// Implements `Event`, and derives `Debug`, `Clone`, `PartialEq` and serde's traits unless a derive *below* does. Put
/// `#[event]` first: a derive above it has run already, is not seen, and conflicts.
///
/// # Older shapes
///
/// Stored events stay as they are. A change of a field's name, type or meaning is a new version, which says how to read
/// the versions before it: every version from 2 on is accounted for, or the struct does not compile. An event is
/// decoded straight into the struct of the version under which it is stored, and then taken from one version to the
/// next. A step that panics, or a `TryFrom` that fails, is an error that names the event with its place (a panic,
/// unless the program is built to abort on it).
///
/// With a struct for each version, the name is that of the newest one and the steps are plain Rust:
///
/// ```
/// # use es_runtime::prelude::*;
/// # use es_runtime::Stored;
/// #[event(version = 2, from = OpenedV1)]
/// pub struct Opened {
///     pub owners: Vec<String>,
/// }
///
/// #[event(name = "opened")]
/// pub struct OpenedV1 {
///     pub owner: String,
/// }
///
/// impl From<OpenedV1> for Opened {
///     fn from(old: OpenedV1) -> Self {
///         Self { owners: vec![old.owner] }
///     }
/// }
///
/// let old = Opened::decode(1, br#"{"owner": "Alice"}"#)?;
/// assert_eq!(old, Opened { owners: vec!["Alice".into()] });
/// # Ok::<(), es_runtime::DecodeError>(())
/// ```
///
/// Fields describe smaller changes, back to version 1, and need no struct:
///
/// ```
/// # use es_runtime::prelude::*;
/// # use es_runtime::Stored;
/// #[event(version = 3, removed(note: String, since = 3))]
/// pub struct Deposited {
///     #[event(renamed(from = "sum", since = 2), changed(since = 3, from = u32))]
///     pub amount: u64,
///     #[event(added(since = 2, default = Channel::Counter))]
///     pub channel: Channel,
///     #[event(added(since = 3, default = |amount, note| format!("{amount} cents: {note}")))]
///     pub text: String,
/// }
///
/// #[value]
/// pub enum Channel {
///     Counter,
///     Online,
/// }
///
/// let old = Deposited::decode(1, br#"{"sum": 5, "note": "cash"}"#)?;
/// assert_eq!(old, Deposited { amount: 5, channel: Channel::Counter, text: "5 cents: cash".into() });
/// # Ok::<(), es_runtime::DecodeError>(())
/// ```
///
/// | Before a field, in `#[event(…)]` | Meaning |
/// | --- | --- |
/// | `added(since = n, default = …)` | not there before version n; the value for older events, or a closure that gets fields by reference: those that were there before, by their names in version n or, if they are removed in it, by their last |
/// | `renamed(from = "…", since = n)` | stored under this name before version n; may be repeated |
/// | `changed(since = n, from = Type)` | of this type before version n, from which `From` leads to the next; may be repeated |
/// | `changed(since = n, from = Type, with = path)` | the same with a function in the place of `From` |
///
/// In `removed(…)` they tell what happened to the field before: `removed(fee: u8, since = 3, added(since = 2, default = 0))`.
/// The older shapes have the `#[serde(…)]` of the struct and of the fields, with two exceptions: a field has no `rename` and no
/// `alias` in the versions in which it had another name, and nothing of the form `with = "…"` in those in which it was of another
/// type. For a tuple struct, or with serde's own `from`, keep the old struct.
///
/// A struct has either `from` or a history; the struct named in `from` may have a history of its own.
///
/// # Writing older shapes
///
/// `Stored::encode_as` writes an event as an older version, for builds that do not know the current one, as far back as each
/// step has a way back: for `from`, an `impl From<Opened> for OpenedV1`; what was `added` is left out, `renamed` takes the
/// old name, `changed` without `with` needs `From` in the other direction; from `removed`, and from `changed` by a function, there is
/// none.
#[proc_macro_attribute]
pub fn event(args: TokenStream, item: TokenStream) -> TokenStream {
    event::attribute(args.into(), &item.into()).into()
}

/// Makes a struct an entity: something of which only the latest state is kept, under a name and its id.
///
/// ```
/// # use es_runtime::prelude::*;
/// #[entity(name = "environment", id = id, version = 2)]
/// pub struct Environment {
///     pub id: String,
///     #[entity(added(since = 2, default = "eu".to_owned()))]
///     pub region: String,
/// }
/// ```
///
/// | Argument | Meaning | Default |
/// | --- | --- | --- |
/// | `id = field` | the field that tells entities apart; its text is stored, so that its type needs `Display` and `FromStr`, and `Ord` | none: it is needed |
/// | `name = "…"`, `alias = "…"`, `version = n`, `from = …`, `try_from = …`, `removed(…)`, `crate = path` | as for [`#[event]`](macro@event) | |
///
/// Implements `Stored` and `state::Entity`, and derives what [`#[event]`](macro@event) does. Fields have their history in
/// `#[entity(…)]`, as those of an event in `#[event(…)]`.
#[proc_macro_attribute]
pub fn entity(args: TokenStream, item: TokenStream) -> TokenStream {
    entity::attribute(args.into(), &item.into()).into()
}

/// Makes a struct a command: a request addressed to one aggregate instance.
///
/// ```
/// # use es_runtime::prelude::*;
/// #[command(validate)]
/// pub struct Deposit {
///     pub amount: i64,
/// }
///
/// impl Deposit {
///     fn validate(&self) -> Result<(), Invalid> {
///         if self.amount > 0 { Ok(()) } else { Err(Invalid::new("amount", "must be positive")) }
///     }
/// }
/// ```
///
/// | Argument | Meaning | Default |
/// | --- | --- | --- |
/// | `name = "…"` | the name for traces and for commands that arrive as data | the struct's in snake case |
/// | `validate` | calls the method `validate` of the struct before anything is loaded | no check |
/// | `validate = path` | calls this function with `&self` | |
/// | `garde` | checks the rules of `#[derive(garde::Validate)]`, with the feature `garde` of es-runtime | no check |
/// | `crate = path` | where `es-runtime` is | `::es_runtime` |
///
/// Implements `Command`, and derives what [`#[event]`](macro@event) does.
#[proc_macro_attribute]
pub fn command(args: TokenStream, item: TokenStream) -> TokenStream {
    command::attribute(args.into(), &item.into()).into()
}

/// Gives a struct or enum that is a field of events and commands what they need of it: the derives of
/// [`#[event]`](macro@event), and, for the fingerprint of a state that holds it, that of its fields.
///
/// ```
/// # use es_runtime::prelude::*;
/// #[value]
/// pub enum Channel {
///     Counter,
///     Online { device: String },
/// }
/// ```
///
/// Its only argument is `crate = path`.
#[proc_macro_attribute]
pub fn value(args: TokenStream, item: TokenStream) -> TokenStream {
    value::attribute(args.into(), &item.into()).into()
}

/// Stands for the derive of a schema where there is none: it takes the attributes, and writes nothing.
#[doc(hidden)]
#[proc_macro_derive(NoSchema, attributes(schemars))]
pub fn no_schema(_: TokenStream) -> TokenStream {
    TokenStream::new()
}

/// Names an aggregate and its id.
///
/// ```
/// # use es_runtime::prelude::*;
/// #[derive(Aggregate)]
/// #[es(name = "account")]
/// pub struct Account {
///     balance: i64,
/// }
///
/// #[derive(Aggregate)]
/// #[es(id = u64)]
/// pub struct Invoice;
///
/// let key = KeyOf::<Invoice>::new(42_u64);
/// ```
///
/// | Argument | Meaning | Default |
/// | --- | --- | --- |
/// | `name = "…"` | the category of its streams | the type's in snake case |
/// | `id = Type` | a natural key | `Id<Self>` |
/// | `foreign` | the key's type is of another crate, or of several aggregates | types of std and longer paths |
/// | `snapshot(…)` | keeps states, so that fewer events are replayed: `every = n` events, `after = "50ms"` of replay, `version = n` voids those kept under another one; `snapshot` alone writes them by hand only. The state needs `#[value]`, above the derive | none |
/// | `crate = path` | where `es-runtime` is | `::es_runtime` |
///
/// A key type of your own is made the `Key` of the aggregate, so that `runtime.load(iban)` needs no more. One that is
/// `foreign` cannot be: wrap it, `KeyOf::<Account>::new(iban)`.
#[proc_macro_derive(Aggregate, attributes(es))]
pub fn derive_aggregate(item: TokenStream) -> TokenStream {
    derive_aggregate::derive(item.into()).into()
}

/// Goes on the impl block of an aggregate, whose methods with [`#[handle]`](macro@handle) and [`#[apply]`](macro@apply) are
/// the list of its commands and events. Events that are only read have a [`#[retired]`](macro@retired) method.
///
/// ```
/// # use es_runtime::prelude::*;
/// # #[event] pub struct Opened;
/// # #[event] pub struct Deposited { pub amount: i64 }
/// # #[command] pub struct Open;
/// # #[command] pub struct Deposit { pub amount: i64 }
/// # #[derive(Debug, thiserror::Error)]
/// # #[error("the amount must be positive")]
/// # pub struct NotPositive;
/// # #[derive(Aggregate)] pub struct Account { balance: i64 }
/// #[aggregate]
/// impl Account {
///     #[handle]
///     fn open(_: Open) -> Opened {
///         Opened
///     }
///
///     #[handle]
///     fn deposit(&self, command: Deposit) -> Result<Deposited, NotPositive> {
///         if command.amount > 0 { Ok(Deposited { amount: command.amount }) } else { Err(NotPositive) }
///     }
///
///     #[apply]
///     fn opened(_: Opened) -> Self {
///         Self { balance: 0 }
///     }
///
///     #[apply]
///     fn deposited(&mut self, event: Deposited) {
///         self.balance += event.amount;
///     }
/// }
///
/// let event = AccountEvent::from(Deposited { amount: 5 });
/// ```
///
/// Generates the enums `AccountEvent` and `AccountCommand`, which are `pub` unless `vis = …` says otherwise, as the block does
/// not show how visible the aggregate is. The second is read as `{"deposit": {"amount": 5}}` and can be executed like any
/// command. Other methods may stand between, an aggregate has one such block, and `#[cfg(…)]` on a method holds for all that
/// is generated from it.
///
/// | Argument | Meaning | Default |
/// | --- | --- | --- |
/// | `vis = pub(crate)` | the visibility of the two enums | `pub` |
/// | `crate = path` | where `es-runtime` is | `::es_runtime` |
#[proc_macro_attribute]
pub fn aggregate(args: TokenStream, item: TokenStream) -> TokenStream {
    aggregate::attribute(args.into(), item.into()).into()
}

/// Marks a method of an [`#[aggregate]`](macro@aggregate) block that decides a command.
///
/// The parameter in the receiver's place says what the stream must be: none if the command creates the aggregate,
/// `&self` if the command needs an existing one, `this: Option<&Self>` for either. The command comes by value, then
/// `&Context` if the decision needs it.
///
/// Returns an event, an `Option`, a tuple, an array or a `Vec` of events, `()`, or a `Result` of one of these and an error. Pure
/// and synchronous, because it is run again on a conflict.
#[proc_macro_attribute]
pub fn handle(args: TokenStream, item: TokenStream) -> TokenStream {
    helper::attribute("handle", args.into(), &item.into()).into()
}

/// A read model: goes on the struct, which is a row of it, and on its impl block, whose [`#[apply]`](macro@apply) methods are the
/// list of its events.
///
/// ```
/// # use es_runtime::prelude::*;
/// # #[event] pub struct Opened { pub owner: String }
/// # #[event] pub struct Deposited { pub amount: i64 }
/// # #[event] pub struct Closed;
/// # #[command] pub struct Open;
/// # #[derive(Aggregate)] pub struct Account;
/// # #[aggregate]
/// # impl Account {
/// #     #[handle] fn open(_: Open) -> Opened { Opened { owner: String::new() } }
/// #     #[apply] fn opened(_: Opened) -> Self { Self }
/// #     #[apply] fn deposited(&mut self, _: Deposited) {}
/// #     #[apply] fn closed(&mut self, _: Closed) {}
/// # }
/// #[projection(name = "balances", index = ["owner"])]
/// pub struct Balance {
///     pub owner: String,
///     pub cents: i64,
/// }
///
/// #[projection]
/// impl Balance {
///     #[apply]
///     fn opened(event: Opened) -> Self {
///         Self { owner: event.owner, cents: 0 }
///     }
///
///     #[apply]
///     fn deposited(&mut self, event: Deposited) {
///         self.cents += event.amount;
///     }
///
///     #[apply]
///     fn closed(self, _: Closed) -> Option<Self> {
///         None
///     }
/// }
/// ```
///
/// On the struct:
///
/// | Argument | Meaning | Default |
/// | --- | --- | --- |
/// | `name = "…"` | the name of its table, its checkpoint and its lease | the struct's in snake case |
/// | `version = n` | raise it to rebuild the rows, in a table of their own, next to those of the version before | 1 |
/// | `segments = n` | divides its streams among `n` readers, up to 64, which run at the same time in any of the processes: each row's key is then the id of the event's stream, without `key` and `keys`; another number needs another version | 1 |
/// | `index = ["…"]` | the fields by which rows are found or ordered fast: names, with `.` between those of nested fields | none |
/// | `schema = "….sql"` | the file that creates its tables, from the source file: it has no rows, and its methods take the store's transaction first | it has rows |
/// | `inline` | its rows, or with `schema` its tables, change in the transaction of each append, which is refused if an event cannot be applied; without `segments`, `park` and `park_alone` | after it |
/// | `park` | parks an event that it cannot apply, with later events for the same row, and continues | stops there |
/// | `park_alone` | parks only that event | stops there |
/// | `memory` | keeps the rows in the memory of each process, which folds them again when it starts; without `version`, `segments` and `index` | in the store |
/// | `live` | keeps no rows: they are folded when they are asked for; without `version`, `segments`, `index`, `park` and `park_alone` | |
/// | `crate = path` | where `es-runtime` is | `::es_runtime` |
///
/// With `schema`, the struct has no fields, and a method is `fn(&mut SqliteTransaction<'_>, Event) -> Result<()>` on SQLite and
/// `async fn(&mut PgTransaction<'_>, Event) -> Result<()>` on PostgreSQL, each with `&Meta<…>` behind the event if it needs that; with
/// `inline` it is `&InlineMeta<…>`, which knows neither the position nor the time of recording.
///
/// It derives what [`#[event]`](macro@event) does, and goes first as well. The impl block takes `crate = path` only.
#[proc_macro_attribute]
pub fn projection(args: TokenStream, item: TokenStream) -> TokenStream {
    projection::attribute(args.into(), item.into()).into()
}

/// Marks a method of an [`#[aggregate]`](macro@aggregate) block that folds an event into the state, or one of a
/// [`#[projection]`](macro@projection) block that folds it into a row.
///
/// Without a receiver it returns `Self`, for the event that creates the aggregate or the row; with `&mut self` it changes it. The
/// event comes by value. It cannot fail: what has happened has happened.
///
/// That of a projection may also take `self` and return `Option<Self>`, where `None` deletes the row, or `this: Option<Self>` and
/// return `Self` or `Option<Self>`, to make the row or change it. In the place of an event it may take the enum of an aggregate's events,
/// such as `AccountEvent`: every event that has no method of its own in the block. Behind the event it may take `&Meta<…>`, with the
/// aggregate of the event. The row's key is the id of the event's stream, unless `#[apply(key = event.to)]`
/// says otherwise; `#[apply(keys = [event.from, event.to])]` applies the event to several rows. The expressions know the parameters
/// of the method, by reference.
#[proc_macro_attribute]
pub fn apply(args: TokenStream, item: TokenStream) -> TokenStream {
    helper::attribute("apply", args.into(), &item.into()).into()
}

/// Marks a method of an [`#[aggregate]`](macro@aggregate) block for an event that is read and no longer written: it says what
/// the event is read as.
///
/// ```
/// # use es_runtime::prelude::*;
/// # #[event] pub struct Opened { pub owner: String }
/// # #[event] pub struct Deposited { pub amount: i64 }
/// # #[command] pub struct Open { pub owner: String }
/// # #[derive(Aggregate)] pub struct Account { balance: i64 }
/// /// Nobody reads notes any more.
/// #[event]
/// pub struct Noted {
///     pub note: String,
/// }
///
/// /// Became two events.
/// #[event]
/// pub struct OpenedWithDeposit {
///     pub owner: String,
///     pub amount: i64,
/// }
///
/// #[aggregate]
/// impl Account {
///     #[retired]
///     fn noted(_: Noted) {}
///
///     #[retired]
///     fn opened_with_deposit(old: OpenedWithDeposit) -> (Opened, Deposited) {
///         (Opened { owner: old.owner }, Deposited { amount: old.amount })
///     }
/// #     #[handle] fn open(cmd: Open) -> Opened { Opened { owner: cmd.owner } }
/// #     #[apply] fn opened(_: Opened) -> Self { Account { balance: 0 } }
/// #     #[apply] fn deposited(&mut self, event: Deposited) { self.balance += event.amount; }
/// }
///
/// Account::given(())
///     .and_stored("opened_with_deposit", 1, r#"{"owner": "Alice", "amount": 5}"#)
///     .and_stored("noted", 1, r#"{"note": "a regular"}"#)
///     .when(Open { owner: "Bob".into() })
///     .then_already_exists()
///     .then_state(|account| assert_eq!(account.balance, 5));
/// ```
///
/// The method takes the event by value, without a receiver, and returns what a handler may: nothing, an event, an `Option`, a
/// tuple, an array or a `Vec`. All that one stored event is read as has its version and its position, so that those of its
/// neighbours stay as they are. It runs at each read, so that it must give the same each time. A retired event cannot be
/// returned by a handler nor appended.
#[proc_macro_attribute]
pub fn retired(args: TokenStream, item: TokenStream) -> TokenStream {
    helper::attribute("retired", args.into(), &item.into()).into()
}

/// A process manager: goes on the struct or enum, which is the state of an instance, and on its impl block, whose
/// [`#[on]`](macro@on) methods are the list of what it reacts to.
///
/// ```
/// # use es_runtime::prelude::*;
/// # #[event] pub struct Ordered { pub account: Id<Account>, pub cents: i64 }
/// # #[event] pub struct Charged { pub cents: i64 }
/// # #[command] pub struct Charge { pub cents: i64 }
/// # #[command] pub struct Place { pub account: Id<Account>, pub cents: i64 }
/// # #[derive(Aggregate)] pub struct Order;
/// # #[aggregate] impl Order {
/// #     #[handle] fn place(cmd: Place) -> Ordered { Ordered { account: cmd.account, cents: cmd.cents } }
/// #     #[apply] fn ordered(_: Ordered) -> Self { Order }
/// # }
/// # #[derive(Aggregate)] pub struct Account;
/// # #[aggregate] impl Account {
/// #     #[handle] fn charge(cmd: Charge) -> Charged { Charged { cents: cmd.cents } }
/// #     #[apply] fn charged(_: Charged) -> Self { Account }
/// # }
/// #[process_manager(name = "payment", id = Id<Order>)]
/// pub struct Payment {
///     pub cents: i64,
/// }
///
/// #[process_manager]
/// impl Payment {
///     #[on]
///     fn ordered(event: Ordered, todo: &mut Todo<Self>) -> Self {
///         todo.send(event.account, Charge { cents: event.cents });
///         Payment { cents: event.cents }
///     }
///
///     #[on]
///     fn charged(self, _: Done<Charge>) -> Option<Self> {
///         None
///     }
///
///     #[on]
///     fn not_charged(self, _: Failed<Charge>) -> Option<Self> {
///         None
///     }
/// }
/// ```
///
/// | Argument of the struct | Meaning | Default |
/// | --- | --- | --- |
/// | `id = Id<Order>` | the type that identifies an instance | must be given |
/// | `name = "…"` | the category of its streams | the struct's in snake case |
/// | `version`, `from`, `try_from`, `removed` | older shapes of the state, as for [`#[event]`](macro@event#older-shapes) | version 1 |
/// | `crate = path` | where `es-runtime` is | `::es_runtime` |
///
/// The state is stored whole in each step: the struct gets the derives of [`#[event]`](macro@event). The block takes
/// `crate = path`.
///
/// [The guide](https://docs.rs/es-runtime/latest/es_runtime/process/) tells what a process manager does and promises.
#[proc_macro_attribute]
pub fn process_manager(args: TokenStream, item: TokenStream) -> TokenStream {
    process_manager::attribute(args.into(), item.into()).into()
}

/// Marks a method of a [`#[process_manager]`](macro@process_manager) block that reacts to something.
///
/// | First parameter behind the receiver | Reacts to |
/// | --- | --- |
/// | an event | an event of any aggregate; `#[on(key = event.order)]` finds the instance, otherwise the id of the event's stream is the instance's |
/// | `Done<C>`, `Failed<C>` | the execution, and the failure, of command `C` that it has sent |
/// | `AnyFailed` | the failure of each command of which the block hears the execution only, and of those in `#[on(Flag, Notify)]` |
/// | `Due<T>` | a timer that it has set with a `T` |
///
/// Behind it the method takes `&mut Todo<Self>`, to send commands and set timers; for an event also `&Meta<…>`.
///
/// | Receiver | Returns | Effect |
/// | --- | --- | --- |
/// | none | `Self` | begins an instance, only for events |
/// | `&mut self` | nothing | changes the state |
/// | `self` | `Option<Self>` | gives the next state; `None` ends the instance |
/// | `this: Option<Self>` | `Self` or `Option<Self>` | begins or changes it, only for events |
///
/// Pure and synchronous, because it is run again on a conflict.
#[proc_macro_attribute]
pub fn on(args: TokenStream, item: TokenStream) -> TokenStream {
    helper::attribute("on", args.into(), &item.into()).into()
}

/// A message: goes on a struct, the shape in which others are told of something, apart from the event that it is made of.
///
/// ```
/// # use es_runtime::prelude::*;
/// # #[event] pub struct Opened; #[command] pub struct Open;
/// # #[derive(Aggregate)] pub struct Account;
/// # #[aggregate] impl Account {
/// #     #[handle] fn open(_: Open) -> Opened { Opened }
/// #     #[apply] fn opened(_: Opened) -> Self { Account }
/// # }
/// #[message(name = "com.bank.account.opened")]
/// pub struct AccountOpened {
///     pub account: Id<Account>,
///     pub owner: String,
/// }
/// ```
///
/// | Argument | Meaning | Default |
/// | --- | --- | --- |
/// | `name = "…"` | the type of the message, by which consumers tell it apart | the struct's in snake case |
/// | `version = 2` | the version of its shape: raise it with each change that consumers must know of | 1 |
/// | `from`, `try_from`, `removed` | older shapes, for programs that read messages with this struct, as for [`#[event]`](macro@event#older-shapes) | none |
/// | `crate = path` | where `es-runtime` is | `::es_runtime` |
///
/// The struct gets the derives of [`#[event]`](macro@event).
#[proc_macro_attribute]
pub fn message(args: TokenStream, item: TokenStream) -> TokenStream {
    publication::message::attribute(args.into(), &item.into()).into()
}

/// A publication: goes on a struct, and on its impl block, whose [`#[publish]`](macro@publish) methods make messages of events.
///
/// ```
/// # use es_runtime::prelude::*;
/// # #[event] pub struct Opened { pub owner: String } #[command] pub struct Open;
/// # #[derive(Aggregate)] pub struct Account;
/// # #[aggregate] impl Account {
/// #     #[handle] fn open(_: Open) -> Opened { Opened { owner: "Alice".to_owned() } }
/// #     #[apply] fn opened(_: Opened) -> Self { Account }
/// # }
/// # #[message] pub struct AccountOpened { pub account: Id<Account>, pub owner: String }
/// #[publication(name = "accounts", topic = "bank.accounts")]
/// pub struct Accounts;
///
/// #[publication]
/// impl Accounts {
///     #[publish]
///     fn opened(event: Opened, meta: &Meta<Account>) -> AccountOpened {
///         AccountOpened { account: *meta.id(), owner: event.owner }
///     }
/// }
/// ```
///
/// | Argument of the struct | Meaning | Default |
/// | --- | --- | --- |
/// | `topic = "…"` | the topic or subject of its messages | must be given |
/// | `name = "…"` | the name of its cursor | the struct's in snake case |
/// | `version = 2` | begins anew, with a cursor of its own | 1 |
/// | `source = "…"` | the source of its messages: unique together with their ids | its name |
/// | `park`, `park_alone` | sets an event aside whose message the broker will never take: with those behind it of its key, or alone | holds before it |
/// | `crate = path` | where `es-runtime` is | `::es_runtime` |
///
/// The block takes `crate = path`. [The guide](https://docs.rs/es-runtime/latest/es_runtime/publication/) tells what a publication
/// promises.
#[proc_macro_attribute]
pub fn publication(args: TokenStream, item: TokenStream) -> TokenStream {
    publication::attribute(args.into(), item.into()).into()
}

/// Marks a method of a [`#[publication]`](macro@publication) block that makes messages of an event.
///
/// It takes an event by value, and behind it `&Meta<…>` if it needs that. It returns a struct with [`#[message]`](macro@message), or an
/// `Option`, a tuple, an array or a `Vec` of messages. It has no receiver and is pure: the same event gives the same messages again.
///
/// `#[publish(key = event.customer)]` says within which key its messages are in order: the id of the event's stream otherwise.
#[proc_macro_attribute]
pub fn publish(args: TokenStream, item: TokenStream) -> TokenStream {
    helper::attribute("publish", args.into(), &item.into()).into()
}
