//! The fingerprint of a state's shape, see [`Aggregate::FINGERPRINT`](crate::Aggregate::FINGERPRINT).

use std::marker::PhantomData;

/// A type with `#[value]`.
pub trait Shape {
    /// That of its fields and variants as they are written.
    const FINGERPRINT: u64;
}

/// Asks whether `T: Shape`, for concrete types: an inherent item takes precedence over one from a trait.
pub struct ShapeOf<T: ?Sized>(PhantomData<T>);

impl<T: Shape + ?Sized> ShapeOf<T> {
    pub const FINGERPRINT: u64 = T::FINGERPRINT;
}

/// See [`ShapeOf`].
pub trait NoShape {
    const FINGERPRINT: u64 = 0;
}

impl<T: ?Sized> NoShape for ShapeOf<T> {}

/// The fingerprint of a state that mentions types with these, in this order.
pub const fn fingerprint(own: u64, parts: &[u64]) -> u64 {
    let (mut hash, mut part) = (own, 0);
    while part < parts.len() {
        hash = (hash ^ parts[part]).wrapping_mul(0x0100_0000_01b3).rotate_left(17);
        part += 1;
    }
    hash
}
