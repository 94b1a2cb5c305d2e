use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserializer, EnumAccess, VariantAccess};
use serde::{Deserialize, Serializer};

use crate::{AnyRefusal, CommandEnum, CommandInfo, CommandOf, Context, Declined, EventSourced, Invalid};

pub const fn command_name<A: EventSourced, C: CommandOf<A>>() -> &'static str {
    C::NAME
}

pub const fn command_info<A: EventSourced, C: CommandOf<A>>() -> CommandInfo {
    CommandInfo::of::<A, C>()
}

pub fn check<A: EventSourced, C: CommandOf<A>>(command: &C) -> Result<(), Invalid> {
    command.check()
}

/// Decides one of several commands.
pub fn decide<A: EventSourced, C: CommandOf<A>>(
    command: C,
    state: Option<&A>,
    context: &Context,
) -> Result<Vec<A::Event>, Declined<AnyRefusal>> {
    command.decide(state, context).map_err(|declined| match declined {
        Declined::WrongTarget(wrong) => Declined::WrongTarget(wrong),
        Declined::Refused(refusal) => Declined::Refused(AnyRefusal::new(refusal)),
    })
}

/// Decides whichever command `command` holds, where only a refusal can say that the stream is not what it needs.
pub fn handle_any<A: EventSourced, C: CommandOf<A, Refusal = AnyRefusal>>(
    command: C,
    state: Option<&A>,
    context: &Context,
) -> Result<Vec<A::Event>, AnyRefusal> {
    command.decide(state, context).map_err(|declined| match declined {
        Declined::WrongTarget(wrong) => AnyRefusal::new(wrong),
        Declined::Refused(refusal) => refusal,
    })
}

/// `Debug` of the variant that holds `command`.
pub fn debug_command<A: EventSourced, C: CommandOf<A>>(
    command: &C,
    variant: &str,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    f.debug_tuple(variant).field(command).finish()
}

pub fn clone_command<A: EventSourced, C: CommandOf<A>>(command: &C) -> C {
    command.clone()
}

pub fn eq_command<A: EventSourced, C: CommandOf<A>>(left: &C, right: &C) -> bool {
    left == right
}

/// Writes `{"deposit": {"amount": 5}}`.
pub fn serialize_command<A: EventSourced, C: CommandOf<A>, S: Serializer>(
    command: &C,
    enum_name: &'static str,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_newtype_variant(enum_name, 0, C::NAME, command)
}

/// Reads `{"deposit": {"amount": 5}}`.
pub fn deserialize_command<'de, E: CommandEnum, D: Deserializer<'de>>(
    enum_name: &'static str,
    deserializer: D,
) -> Result<E, D::Error> {
    deserializer.deserialize_enum(enum_name, E::COMMANDS, Visitor(PhantomData))
}

/// Reads a command that is known to be a `C`.
pub fn decode_command<'de, A: EventSourced, C: CommandOf<A>, E: From<C>, D: Deserializer<'de>>(
    content: D,
) -> Result<E, D::Error> {
    C::deserialize(content).map(E::from)
}

pub fn unknown_command<'de, E: CommandEnum, D: Deserializer<'de>>(name: &str) -> D::Error {
    let known = E::COMMANDS.join("`, `");
    de::Error::custom(format_args!(
        "unknown command `{name}` of `{}`, which knows `{known}`",
        E::NAME
    ))
}

struct Visitor<E>(PhantomData<E>);

impl<'de, E: CommandEnum> de::Visitor<'de> for Visitor<E> {
    type Value = E;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a command of `{}` as a map from its name to its content", E::NAME)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<E, A::Error> {
        let (name, content) = access.variant_seed(Name)?;
        content.newtype_variant_seed(Content {
            name: &name,
            command: PhantomData,
        })
    }
}

/// Reads the command's name.
struct Name;

impl<'de> de::DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        Cow::deserialize(deserializer)
    }
}

/// Reads the content of the command `name`.
struct Content<'a, E> {
    name: &'a str,
    command: PhantomData<E>,
}

impl<'de, E: CommandEnum> de::DeserializeSeed<'de> for Content<'_, E> {
    type Value = E;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<E, D::Error> {
        E::deserialize_named(self.name, deserializer)
    }
}
