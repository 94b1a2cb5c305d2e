//! The shapes that are published.

use bytes::Bytes;

use crate::{EncodeError, Stored};

/// A shape that others are told of, apart from the event that it is made of. Written by `#[message]`.
///
/// It is published in the form that [`Stored`] describes: its name is the type of the message, and its version changes with
/// its shape.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message",
    label = "not a message",
    note = "add `#[message(name = \"…\")]` to `struct {Self}`"
)]
pub trait Message: Stored {}

/// The messages of an event, in one of the shapes that a `#[publish]` method may return: a message, `Option`, tuple, array,
/// `Vec`, `()`. `#[message]` writes it for each message.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message",
    label = "a published shape is a `#[message]`: it changes when you say so",
    note = "return a struct with `#[message]`, made of the event, or an `Option`, a tuple, an array or a `Vec` of messages, or `()`"
)]
pub trait IntoMessages {
    /// Adds the messages to `out`, in order.
    fn into_messages(self, out: &mut Messages);
}

/// The messages of an event, in their published form.
#[derive(Debug, Default)]
pub struct Messages {
    pub(super) encoded: Vec<Encoded>,
    /// The first that has no such form.
    pub(super) error: Option<EncodeError>,
}

/// A message in its published form.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) name: &'static str,
    pub(super) shape_version: u32,
    pub(super) payload: Bytes,
}

impl Messages {
    /// Adds a message. One that has no published form, such as one with a NaN, keeps the event from being published.
    pub fn push<M: Message>(&mut self, message: &M) {
        let mut payload = Vec::new();
        match message.encode(&mut payload) {
            Ok(()) => self.encoded.push(Encoded {
                name: M::NAME,
                shape_version: M::SHAPE_VERSION,
                payload: payload.into(),
            }),
            Err(error) => {
                self.error.get_or_insert(error);
            }
        }
    }
}

macro_rules! shape {
    ([$($generics:tt)*] $shape:ty, $this:ident, $out:ident => $body:expr) => {
        impl<$($generics)*> IntoMessages for $shape {
            fn into_messages(self, $out: &mut Messages) {
                let $this = self;
                $body
            }
        }
    };
}

shape!([] (), _this, _out => ());
shape!([T: IntoMessages] Option<T>, this, out => if let Some(messages) = this { messages.into_messages(out) });
shape!([T: IntoMessages] Vec<T>, this, out => for messages in this { messages.into_messages(out) });
shape!([T: IntoMessages, const N: usize] [T; N], this, out => for messages in this { messages.into_messages(out) });

macro_rules! tuple {
    ($($part:ident)+) => {
        shape!([$($part: IntoMessages),+] ($($part,)+), this, out => {
            #[expect(non_snake_case, reason = "the type parameters name the parts")]
            let ($($part,)+) = this;
            $($part.into_messages(out);)+
        });
    };
}

tuple!(T1);
tuple!(T1 T2);
tuple!(T1 T2 T3);
tuple!(T1 T2 T3 T4);
