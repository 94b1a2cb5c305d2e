#[allow(clippy::needless_pass_by_value, clippy::unused_self)]
impl Account {
    #[handle(__in_aggregate)]
    fn open(command: Open) -> Opened {
        Opened { owner: command.owner }
    }
    #[handle(__in_aggregate)]
    #[cfg(feature = "deposits")]
    fn deposit(
        &self,
        command: Deposit,
        context: &Context,
    ) -> Result<Deposited, Refused> {
        Ok(Deposited {
            amount: command.amount,
        })
    }
    #[apply(__in_aggregate)]
    fn opened(_: Opened) -> Self {
        Account { balance: 0 }
    }
    #[retired(__in_aggregate)]
    fn noted(_: Noted) {}
    #[apply(__in_aggregate)]
    #[cfg(feature = "deposits")]
    fn deposited(&mut self, event: events::Deposited) {
        self.balance += event.amount;
    }
}
#[automatically_derived]
impl ::es_runtime::EventSourced for Account {
    const FOLD_FINGERPRINT: u64 = 12335935184016216638u64;
    type Event = AccountEvent;
}
///Every event of `Account`.
#[allow(
    dead_code,
    non_camel_case_types,
    private_interfaces,
    unreachable_pub,
    clippy::large_enum_variant
)]
pub enum AccountEvent {
    ///`Opened`.
    Opened(Opened),
    #[cfg(feature = "deposits")]
    ///`Deposited`.
    Deposited(events::Deposited),
}
#[automatically_derived]
impl ::core::convert::From<Opened> for AccountEvent {
    fn from(item: Opened) -> Self {
        Self::Opened(item)
    }
}
#[cfg(feature = "deposits")]
#[automatically_derived]
impl ::core::convert::From<events::Deposited> for AccountEvent {
    fn from(item: events::Deposited) -> Self {
        Self::Deposited(item)
    }
}
#[automatically_derived]
impl ::core::fmt::Debug for AccountEvent {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        match *self {
            Self::Opened(ref item) => {
                ::es_runtime::__private::debug_event::<
                    Account,
                    Opened,
                >(item, "Opened", f)
            }
            #[cfg(feature = "deposits")]
            Self::Deposited(ref item) => {
                ::es_runtime::__private::debug_event::<
                    Account,
                    events::Deposited,
                >(item, "Deposited", f)
            }
        }
    }
}
#[automatically_derived]
impl ::core::clone::Clone for AccountEvent {
    fn clone(&self) -> Self {
        match *self {
            Self::Opened(ref item) => {
                Self::Opened(
                    ::es_runtime::__private::clone_event::<Account, Opened>(item),
                )
            }
            #[cfg(feature = "deposits")]
            Self::Deposited(ref item) => {
                Self::Deposited(
                    ::es_runtime::__private::clone_event::<
                        Account,
                        events::Deposited,
                    >(item),
                )
            }
        }
    }
}
#[automatically_derived]
impl ::core::cmp::PartialEq for AccountEvent {
    #[allow(unreachable_patterns)]
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Opened(left), Self::Opened(right)) => {
                ::es_runtime::__private::eq_event::<Account, Opened>(left, right)
            }
            #[cfg(feature = "deposits")]
            (Self::Deposited(left), Self::Deposited(right)) => {
                ::es_runtime::__private::eq_event::<
                    Account,
                    events::Deposited,
                >(left, right)
            }
            _ => false,
        }
    }
}
const _: () = {
    use ::es_runtime::__private::{NewestShape as _, assert_unique_event};
    const NAMES: &[::es_runtime::__private::Named] = &[
        ::es_runtime::__private::Named {
            variant: "Opened",
            info: ::es_runtime::__private::info::<Account, Opened>(),
            old_shape_of: <Opened>::OLD_SHAPE_OF_ONE_EVENT,
        },
        #[cfg(feature = "deposits")]
        ::es_runtime::__private::Named {
            variant: "Deposited",
            info: ::es_runtime::__private::info::<Account, events::Deposited>(),
            old_shape_of: <events::Deposited>::OLD_SHAPE_OF_ONE_EVENT,
        },
        ::es_runtime::__private::Named {
            variant: "Noted",
            info: ::es_runtime::__private::retired_info::<Account, Noted>(),
            old_shape_of: <Noted>::OLD_SHAPE_OF_ONE_EVENT,
        },
    ];
    const REPEATED: &::es_runtime::__private::Repeated = &::es_runtime::__private::Repeated::of_events(
        NAMES,
    );
    const _: () = assert_unique_event(
        "Account",
        NAMES,
        REPEATED,
        &::es_runtime::__private::Named {
            variant: "Opened",
            info: ::es_runtime::__private::info::<Account, Opened>(),
            old_shape_of: <Opened>::OLD_SHAPE_OF_ONE_EVENT,
        },
    );
    #[cfg(feature = "deposits")]
    const _: () = assert_unique_event(
        "Account",
        NAMES,
        REPEATED,
        &::es_runtime::__private::Named {
            variant: "Deposited",
            info: ::es_runtime::__private::info::<Account, events::Deposited>(),
            old_shape_of: <events::Deposited>::OLD_SHAPE_OF_ONE_EVENT,
        },
    );
    const _: () = assert_unique_event(
        "Account",
        NAMES,
        REPEATED,
        &::es_runtime::__private::Named {
            variant: "Noted",
            info: ::es_runtime::__private::retired_info::<Account, Noted>(),
            old_shape_of: <Noted>::OLD_SHAPE_OF_ONE_EVENT,
        },
    );
};
#[automatically_derived]
impl ::es_runtime::EventOf<Account> for Opened {
    fn into_event(self) -> AccountEvent {
        AccountEvent::Opened(self)
    }
    #[allow(unreachable_patterns)]
    fn from_event(event: AccountEvent) -> ::core::option::Option<Self> {
        match event {
            AccountEvent::Opened(event) => ::core::option::Option::Some(event),
            _ => ::core::option::Option::None,
        }
    }
}
#[automatically_derived]
impl ::es_runtime::IntoEvents<Account> for Opened {
    fn into_events(self, out: &mut ::es_runtime::__private::Vec<AccountEvent>) {
        ::es_runtime::__private::push_event::<Account, Opened>(self, out);
    }
}
#[automatically_derived]
impl ::es_runtime::Outcome<Account> for Opened {
    type Refusal = ::core::convert::Infallible;
    fn into_result(
        self,
    ) -> ::core::result::Result<
        ::es_runtime::__private::Vec<AccountEvent>,
        Self::Refusal,
    > {
        ::es_runtime::__private::one_event::<Account, Opened>(self)
    }
}
#[automatically_derived]
impl ::es_runtime::BelongsToOneAggregate for Opened {
    type Aggregate = Account;
}
#[cfg(feature = "deposits")]
#[automatically_derived]
impl ::es_runtime::EventOf<Account> for events::Deposited {
    fn into_event(self) -> AccountEvent {
        AccountEvent::Deposited(self)
    }
    #[allow(unreachable_patterns)]
    fn from_event(event: AccountEvent) -> ::core::option::Option<Self> {
        match event {
            AccountEvent::Deposited(event) => ::core::option::Option::Some(event),
            _ => ::core::option::Option::None,
        }
    }
}
#[cfg(feature = "deposits")]
#[automatically_derived]
impl ::es_runtime::IntoEvents<Account> for events::Deposited {
    fn into_events(self, out: &mut ::es_runtime::__private::Vec<AccountEvent>) {
        ::es_runtime::__private::push_event::<Account, events::Deposited>(self, out);
    }
}
#[cfg(feature = "deposits")]
#[automatically_derived]
impl ::es_runtime::Outcome<Account> for events::Deposited {
    type Refusal = ::core::convert::Infallible;
    fn into_result(
        self,
    ) -> ::core::result::Result<
        ::es_runtime::__private::Vec<AccountEvent>,
        Self::Refusal,
    > {
        ::es_runtime::__private::one_event::<Account, events::Deposited>(self)
    }
}
#[cfg(feature = "deposits")]
#[automatically_derived]
impl ::es_runtime::BelongsToOneAggregate for events::Deposited {
    type Aggregate = Account;
}
#[automatically_derived]
impl ::es_runtime::Applied<Account> for AccountEvent {
    const NAME: ::core::option::Option<&'static str> = ::core::option::Option::None;
    fn from_event(event: Self) -> ::core::option::Option<Self> {
        ::core::option::Option::Some(event)
    }
    fn name(&self) -> &'static str {
        <Self as ::es_runtime::EventEnum<Account>>::info(self).name
    }
}
#[automatically_derived]
impl ::es_runtime::EventEnum<Account> for AccountEvent {
    const EVENTS: &'static [::es_runtime::EventInfo] = &[
        ::es_runtime::__private::info::<Account, Opened>(),
        #[cfg(feature = "deposits")]
        ::es_runtime::__private::info::<Account, events::Deposited>(),
        ::es_runtime::__private::retired_info::<Account, Noted>(),
    ];
    fn info(&self) -> ::es_runtime::EventInfo {
        match *self {
            Self::Opened(ref item) => {
                ::es_runtime::__private::info_of::<Account, Opened>(item)
            }
            #[cfg(feature = "deposits")]
            Self::Deposited(ref item) => {
                ::es_runtime::__private::info_of::<Account, events::Deposited>(item)
            }
        }
    }
    fn creates(&self) -> bool {
        match *self {
            Self::Opened(_) => true,
            #[cfg(feature = "deposits")]
            Self::Deposited(_) => false,
        }
    }
    fn check(&self) -> ::core::result::Result<(), ::es_runtime::Invalid> {
        match *self {
            Self::Opened(ref item) => {
                ::es_runtime::__private::check_event::<Account, Opened>(item)
            }
            #[cfg(feature = "deposits")]
            Self::Deposited(ref item) => {
                ::es_runtime::__private::check_event::<Account, events::Deposited>(item)
            }
        }
    }
    fn is_plain(&self) -> bool {
        match *self {
            Self::Opened(ref item) => {
                ::es_runtime::__private::is_plain::<Account, Opened>(item)
            }
            #[cfg(feature = "deposits")]
            Self::Deposited(ref item) => {
                ::es_runtime::__private::is_plain::<Account, events::Deposited>(item)
            }
        }
    }
    fn encode(
        &self,
        out: &mut ::es_runtime::__private::Vec<u8>,
    ) -> ::core::result::Result<(), ::es_runtime::EncodeError> {
        match *self {
            Self::Opened(ref item) => {
                ::es_runtime::__private::encode::<Account, Opened>(item, out)
            }
            #[cfg(feature = "deposits")]
            Self::Deposited(ref item) => {
                ::es_runtime::__private::encode::<Account, events::Deposited>(item, out)
            }
        }
    }
    fn encode_as(
        &self,
        shape_version: u32,
        out: &mut ::es_runtime::__private::Vec<u8>,
    ) -> ::core::result::Result<(), ::es_runtime::EncodeError> {
        match *self {
            Self::Opened(ref item) => {
                ::es_runtime::__private::encode_as::<
                    Account,
                    Opened,
                >(item, shape_version, out)
            }
            #[cfg(feature = "deposits")]
            Self::Deposited(ref item) => {
                ::es_runtime::__private::encode_as::<
                    Account,
                    events::Deposited,
                >(item, shape_version, out)
            }
        }
    }
    fn decode(
        name: &str,
        shape_version: u32,
        payload: &[u8],
    ) -> ::core::result::Result<::es_runtime::Decoded<Self>, ::es_runtime::DecodeError> {
        match name {
            _ if ::es_runtime::__private::is_named::<Account, Opened>(name) => {
                ::es_runtime::__private::decode::<
                    Account,
                    Opened,
                >(shape_version, payload)
            }
            #[cfg(feature = "deposits")]
            _ if ::es_runtime::__private::is_named::<
                Account,
                events::Deposited,
            >(name) => {
                ::es_runtime::__private::decode::<
                    Account,
                    events::Deposited,
                >(shape_version, payload)
            }
            _ if ::es_runtime::__private::was_named::<Account, Noted>(name) => {
                use ::es_runtime::__private::decode_retired;
                decode_retired::<
                    Account,
                    Noted,
                    _,
                >(shape_version, payload, <Account>::noted)
            }
            _ => ::core::result::Result::Err(::es_runtime::DecodeError::UnknownName),
        }
    }
    fn apply(
        self,
        state: &mut ::core::option::Option<Account>,
    ) -> ::core::result::Result<(), ::es_runtime::Misapplied> {
        match self {
            Self::Opened(item) => {
                ::es_runtime::__private::create::<
                    Account,
                    Opened,
                >(state, item, <Account>::opened)
            }
            #[cfg(feature = "deposits")]
            Self::Deposited(item) => {
                ::es_runtime::__private::change::<
                    Account,
                    events::Deposited,
                >(state, item, <Account>::deposited)
            }
        }
    }
    ::es_runtime::__private::with_schema! {
        fn shapes(out : & mut ::es_runtime::schema::Shapes) {
        ::es_runtime::__private::shapes:: < Account, Opened > (out); #[cfg(feature =
        "deposits")] ::es_runtime::__private::shapes:: < Account, events::Deposited >
        (out); ::es_runtime::__private::retired_shapes:: < Account, Noted > (out); }
    }
}
#[automatically_derived]
impl ::es_runtime::IntoEvents<Account> for AccountEvent {
    fn into_events(self, out: &mut ::es_runtime::__private::Vec<Self>) {
        out.push(self);
    }
}
#[automatically_derived]
impl ::es_runtime::Outcome<Account> for AccountEvent {
    type Refusal = ::core::convert::Infallible;
    fn into_result(
        self,
    ) -> ::core::result::Result<::es_runtime::__private::Vec<Self>, Self::Refusal> {
        ::core::result::Result::Ok(::es_runtime::__private::vec_of(self))
    }
}
#[automatically_derived]
impl ::es_runtime::__private::RetiredOf<Account> for Noted {}
#[automatically_derived]
impl<
    __A: ::es_runtime::EventSourced + ::es_runtime::Writes<Noted>,
> ::es_runtime::IntoEvents<__A> for Noted {
    fn into_events(self, _: &mut ::es_runtime::__private::Vec<__A::Event>) {
        ::es_runtime::__private::after_error(self)
    }
}
#[automatically_derived]
impl<
    __A: ::es_runtime::EventSourced + ::es_runtime::Writes<Noted>,
> ::es_runtime::Outcome<__A> for Noted {
    type Refusal = ::core::convert::Infallible;
    fn into_result(
        self,
    ) -> ::core::result::Result<
        ::es_runtime::__private::Vec<__A::Event>,
        Self::Refusal,
    > {
        ::es_runtime::__private::after_error(self)
    }
}
#[automatically_derived]
impl ::es_runtime::BelongsToOneAggregate for Noted {
    type Aggregate = Account;
}
///Every command of `Account`.
#[allow(
    dead_code,
    non_camel_case_types,
    private_interfaces,
    unreachable_pub,
    clippy::large_enum_variant
)]
pub enum AccountCommand {
    ///`Open`.
    Open(Open),
    #[cfg(feature = "deposits")]
    ///`Deposit`.
    Deposit(Deposit),
}
#[automatically_derived]
impl ::core::convert::From<Open> for AccountCommand {
    fn from(item: Open) -> Self {
        Self::Open(item)
    }
}
#[cfg(feature = "deposits")]
#[automatically_derived]
impl ::core::convert::From<Deposit> for AccountCommand {
    fn from(item: Deposit) -> Self {
        Self::Deposit(item)
    }
}
#[automatically_derived]
impl ::core::fmt::Debug for AccountCommand {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        match *self {
            Self::Open(ref item) => {
                ::es_runtime::__private::debug_command::<Account, Open>(item, "Open", f)
            }
            #[cfg(feature = "deposits")]
            Self::Deposit(ref item) => {
                ::es_runtime::__private::debug_command::<
                    Account,
                    Deposit,
                >(item, "Deposit", f)
            }
        }
    }
}
#[automatically_derived]
impl ::core::clone::Clone for AccountCommand {
    fn clone(&self) -> Self {
        match *self {
            Self::Open(ref item) => {
                Self::Open(::es_runtime::__private::clone_command::<Account, Open>(item))
            }
            #[cfg(feature = "deposits")]
            Self::Deposit(ref item) => {
                Self::Deposit(
                    ::es_runtime::__private::clone_command::<Account, Deposit>(item),
                )
            }
        }
    }
}
#[automatically_derived]
impl ::core::cmp::PartialEq for AccountCommand {
    #[allow(unreachable_patterns)]
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Open(left), Self::Open(right)) => {
                ::es_runtime::__private::eq_command::<Account, Open>(left, right)
            }
            #[cfg(feature = "deposits")]
            (Self::Deposit(left), Self::Deposit(right)) => {
                ::es_runtime::__private::eq_command::<Account, Deposit>(left, right)
            }
            _ => false,
        }
    }
}
const _: () = {
    use ::es_runtime::__private::assert_unique_command;
    const NAMES: &[(&str, &str)] = &[
        ("Open", ::es_runtime::__private::command_name::<Account, Open>()),
        #[cfg(feature = "deposits")]
        ("Deposit", ::es_runtime::__private::command_name::<Account, Deposit>()),
    ];
    const REPEATED: &::es_runtime::__private::Repeated = &::es_runtime::__private::Repeated::of_commands(
        NAMES,
    );
    const _: () = assert_unique_command(
        "Account",
        NAMES,
        REPEATED,
        ("Open", ::es_runtime::__private::command_name::<Account, Open>()),
    );
    #[cfg(feature = "deposits")]
    const _: () = assert_unique_command(
        "Account",
        NAMES,
        REPEATED,
        ("Deposit", ::es_runtime::__private::command_name::<Account, Deposit>()),
    );
};
#[automatically_derived]
impl ::es_runtime::CommandOf<Account> for Open {
    type On = ::es_runtime::New;
    type Refusal = <Opened as ::es_runtime::Outcome<Account>>::Refusal;
    fn handle(
        self,
        state: <::es_runtime::New as ::es_runtime::Target>::State<'_, Account>,
        context: &::es_runtime::Context,
    ) -> ::core::result::Result<
        ::es_runtime::__private::Vec<<Account as ::es_runtime::EventSourced>::Event>,
        <Opened as ::es_runtime::Outcome<Account>>::Refusal,
    > {
        let _ = (state, context);
        <Opened as ::es_runtime::Outcome<Account>>::into_result(<Account>::open(self))
    }
}
#[automatically_derived]
impl ::es_runtime::BelongsToOneAggregate for Open {
    type Aggregate = Account;
}
#[cfg(feature = "deposits")]
#[automatically_derived]
impl ::es_runtime::CommandOf<Account> for Deposit {
    type On = ::es_runtime::Existing;
    type Refusal = <Result<
        Deposited,
        Refused,
    > as ::es_runtime::Outcome<Account>>::Refusal;
    fn handle(
        self,
        state: <::es_runtime::Existing as ::es_runtime::Target>::State<'_, Account>,
        context: &::es_runtime::Context,
    ) -> ::core::result::Result<
        ::es_runtime::__private::Vec<<Account as ::es_runtime::EventSourced>::Event>,
        <Result<Deposited, Refused> as ::es_runtime::Outcome<Account>>::Refusal,
    > {
        <Result<
            Deposited,
            Refused,
        > as ::es_runtime::Outcome<
            Account,
        >>::into_result(<Account>::deposit(state, self, context))
    }
}
#[cfg(feature = "deposits")]
#[automatically_derived]
impl ::es_runtime::BelongsToOneAggregate for Deposit {
    type Aggregate = Account;
}
#[automatically_derived]
impl ::es_runtime::__private::serde::Serialize for AccountCommand {
    fn serialize<__S: ::es_runtime::__private::serde::Serializer>(
        &self,
        serializer: __S,
    ) -> ::core::result::Result<__S::Ok, __S::Error> {
        match *self {
            Self::Open(ref item) => {
                ::es_runtime::__private::serialize_command::<
                    Account,
                    Open,
                    __S,
                >(item, "AccountCommand", serializer)
            }
            #[cfg(feature = "deposits")]
            Self::Deposit(ref item) => {
                ::es_runtime::__private::serialize_command::<
                    Account,
                    Deposit,
                    __S,
                >(item, "AccountCommand", serializer)
            }
        }
    }
}
#[automatically_derived]
impl<'de> ::es_runtime::__private::serde::Deserialize<'de> for AccountCommand {
    fn deserialize<__D: ::es_runtime::__private::serde::Deserializer<'de>>(
        deserializer: __D,
    ) -> ::core::result::Result<Self, __D::Error> {
        ::es_runtime::__private::deserialize_command::<
            Self,
            __D,
        >("AccountCommand", deserializer)
    }
}
#[automatically_derived]
impl ::es_runtime::CommandEnum for AccountCommand {
    const COMMANDS: &'static [&'static str] = &[
        ::es_runtime::__private::command_name::<Account, Open>(),
        #[cfg(feature = "deposits")]
        ::es_runtime::__private::command_name::<Account, Deposit>(),
    ];
    const INFOS: &'static [::es_runtime::CommandInfo] = &[
        ::es_runtime::__private::command_info::<Account, Open>(),
        #[cfg(feature = "deposits")]
        ::es_runtime::__private::command_info::<Account, Deposit>(),
    ];
    fn deserialize_named<'de, __D: ::es_runtime::__private::serde::Deserializer<'de>>(
        name: &str,
        content: __D,
    ) -> ::core::result::Result<Self, __D::Error> {
        match name {
            _ if name == ::es_runtime::__private::command_name::<Account, Open>() => {
                ::es_runtime::__private::decode_command::<
                    Account,
                    Open,
                    Self,
                    __D,
                >(content)
            }
            #[cfg(feature = "deposits")]
            _ if name == ::es_runtime::__private::command_name::<Account, Deposit>() => {
                ::es_runtime::__private::decode_command::<
                    Account,
                    Deposit,
                    Self,
                    __D,
                >(content)
            }
            _ => {
                ::core::result::Result::Err(
                    ::es_runtime::__private::unknown_command::<Self, __D>(name),
                )
            }
        }
    }
}
#[automatically_derived]
impl ::es_runtime::Command for AccountCommand {
    const NAME: &'static str = ::es_runtime::__private::aggregate_name::<Account>();
    fn check(&self) -> ::core::result::Result<(), ::es_runtime::Invalid> {
        match *self {
            Self::Open(ref item) => ::es_runtime::__private::check::<Account, Open>(item),
            #[cfg(feature = "deposits")]
            Self::Deposit(ref item) => {
                ::es_runtime::__private::check::<Account, Deposit>(item)
            }
        }
    }
}
#[automatically_derived]
impl ::es_runtime::CommandOf<Account> for AccountCommand {
    type On = ::es_runtime::Either;
    type Refusal = ::es_runtime::AnyRefusal;
    fn handle(
        self,
        state: ::core::option::Option<&Account>,
        context: &::es_runtime::Context,
    ) -> ::core::result::Result<
        ::es_runtime::__private::Vec<<Account as ::es_runtime::EventSourced>::Event>,
        ::es_runtime::AnyRefusal,
    > {
        ::es_runtime::__private::handle_any::<Account, Self>(self, state, context)
    }
    fn decide(
        self,
        state: ::core::option::Option<&Account>,
        context: &::es_runtime::Context,
    ) -> ::core::result::Result<
        ::es_runtime::__private::Vec<<Account as ::es_runtime::EventSourced>::Event>,
        ::es_runtime::Declined<::es_runtime::AnyRefusal>,
    > {
        match self {
            Self::Open(item) => {
                ::es_runtime::__private::decide::<Account, Open>(item, state, context)
            }
            #[cfg(feature = "deposits")]
            Self::Deposit(item) => {
                ::es_runtime::__private::decide::<Account, Deposit>(item, state, context)
            }
        }
    }
}
#[automatically_derived]
impl ::es_runtime::Commanded for Account
where
    for<'__a> Account: ::es_runtime::EventSourced,
{
    type Command = AccountCommand;
    fn show(&self) -> ::es_runtime::runtime::AnyState {
        #[allow(unused_imports)]
        use ::es_runtime::__private::{
            NoJson as _, NoText as _, ShownJson as _, ShownText as _,
        };
        ::es_runtime::__private::state(
            (&&::es_runtime::__private::shown(self)).text(),
            (&&::es_runtime::__private::shown(self)).json(),
        )
    }
}
