//! Which types are known to come back from their stored form as they were.

use std::any::TypeId;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::BuildHasher;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use uuid::Uuid;

use crate::{Aggregate, EventId, Id, Position, Timestamp, Version};

/// A type each of whose values is read from its stored form as it was, wherever it stands. `#[value]` implements it unless an
/// attribute may have the value stored otherwise.
pub trait Plain: 'static {
    /// True if some value is stored as `null`, like the `None` of an `Option` around it.
    const NULL: bool = false;

    /// Returns whether the types that it is made of are plain too.
    fn is_plain(seen: &mut Seen) -> bool;
}

/// Asks whether `T: Plain`, for concrete types: an inherent item takes precedence over one from a trait.
pub struct PlainOf<T: ?Sized>(PhantomData<T>);

impl<T: Plain + ?Sized> PlainOf<T> {
    pub const NULL: bool = T::NULL;

    pub fn is_plain(seen: &mut Seen) -> bool {
        T::is_plain(seen)
    }
}

/// See [`PlainOf`].
pub trait NotPlain {
    const NULL: bool = true;

    fn is_plain(_: &mut Seen) -> bool {
        false
    }
}

impl<T: ?Sized> NotPlain for PlainOf<T> {}

/// The types that have been asked, since a type may be made of itself.
#[derive(Default)]
pub struct Seen(Vec<TypeId>);

impl Seen {
    /// Returns whether `T` was asked before. If it had turned out not to be plain, nobody would ask again.
    pub fn again<T: 'static>(&mut self) -> bool {
        let id = TypeId::of::<T>();
        let again = self.0.contains(&id);
        if !again {
            self.0.push(id);
        }
        again
    }
}

/// Remembers whether an event or a row is plain, asked once.
pub struct Plainness(OnceLock<bool>);

impl Plainness {
    #[expect(clippy::new_without_default, reason = "made in statics only")]
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    pub fn get(&self, ask: impl FnOnce(&mut Seen) -> bool) -> bool {
        *self.0.get_or_init(|| ask(&mut Seen::default()))
    }
}

/// A plain type whose values are text or whole numbers, which is what the keys of a JSON object are made of.
pub trait PlainKey: Plain {}

macro_rules! plain {
    ($($kind:ident: $($type:ty),+;)+) => {
        $($(impl Plain for $type {
            fn is_plain(_: &mut Seen) -> bool {
                true
            }
        }
        plain!(@$kind $type);)+)+
    };
    (@keys $type:ty) => { impl PlainKey for $type {} };
    (@values $type:ty) => {};
}

plain! {
    keys: i8, i16, i32, i64, isize, u8, u16, u32, u64, usize, String, Box<str>, Arc<str>, Cow<'static, str>, Uuid;
    values: bool, char, f32, f64, Timestamp, Version, Position, EventId;
}

impl<A: Aggregate> Plain for Id<A> {
    fn is_plain(_: &mut Seen) -> bool {
        true
    }
}

impl<A: Aggregate> PlainKey for Id<A> {}

impl Plain for () {
    const NULL: bool = true;

    fn is_plain(_: &mut Seen) -> bool {
        true
    }
}

impl<T: Plain> Plain for Option<T> {
    const NULL: bool = true;

    fn is_plain(seen: &mut Seen) -> bool {
        !T::NULL && T::is_plain(seen)
    }
}

macro_rules! same_as_content {
    ($($type:ty),+) => {
        $(impl<T: Plain> Plain for $type {
            const NULL: bool = T::NULL;

            fn is_plain(seen: &mut Seen) -> bool {
                T::is_plain(seen)
            }
        })+
    };
}

same_as_content!(Box<T>, Arc<T>);

macro_rules! sequences {
    ($($type:ty),+) => {
        $(impl<T: Plain> Plain for $type {
            fn is_plain(seen: &mut Seen) -> bool {
                T::is_plain(seen)
            }
        })+
    };
}

sequences!(Vec<T>, VecDeque<T>, Box<[T]>, Arc<[T]>, BTreeSet<T>);

impl<T: Plain, S: BuildHasher + 'static> Plain for HashSet<T, S> {
    fn is_plain(seen: &mut Seen) -> bool {
        T::is_plain(seen)
    }
}

impl<T: Plain, const N: usize> Plain for [T; N] {
    fn is_plain(seen: &mut Seen) -> bool {
        T::is_plain(seen)
    }
}

impl<K: PlainKey, V: Plain> Plain for BTreeMap<K, V> {
    fn is_plain(seen: &mut Seen) -> bool {
        V::is_plain(seen)
    }
}

impl<K: PlainKey, V: Plain, S: BuildHasher + 'static> Plain for HashMap<K, V, S> {
    fn is_plain(seen: &mut Seen) -> bool {
        V::is_plain(seen)
    }
}

macro_rules! tuples {
    ($(($($name:ident)+))+) => {
        $(impl<$($name: Plain),+> Plain for ($($name,)+) {
            fn is_plain(seen: &mut Seen) -> bool {
                $($name::is_plain(seen))&&+
            }
        })+
    };
}

tuples! { (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) }
