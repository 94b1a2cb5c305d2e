//! What upcasting promises of any payload: it gives the stated value, whichever version it begins at, or a typed error.

#![deny(warnings)]

use es_runtime::prelude::*;
use es_runtime::{DecodeError, Stored};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

/// A chain of six, each step of another kind. Each shape is the end of a shorter chain, so that all lengths are covered.
mod chain {
    use es_runtime::prelude::*;

    #[event(name = "measured")]
    pub(crate) struct V1 {
        pub(crate) celsius: i16,
    }

    #[event(name = "measured", version = 2, from = V1)]
    pub(crate) struct V2 {
        pub(crate) celsius: i32,
        pub(crate) place: String,
    }

    impl From<V1> for V2 {
        fn from(old: V1) -> Self {
            Self {
                celsius: old.celsius.into(),
                place: "?".into(),
            }
        }
    }

    #[event(name = "measured", version = 3, try_from = V2)]
    pub(crate) struct V3 {
        pub(crate) millikelvin: u64,
        pub(crate) place: String,
    }

    impl TryFrom<V2> for V3 {
        type Error = std::num::TryFromIntError;

        fn try_from(old: V2) -> std::result::Result<Self, Self::Error> {
            let millikelvin = u64::try_from(i64::from(old.celsius) * 1_000 + 273_150)?;
            Ok(Self {
                millikelvin,
                place: old.place,
            })
        }
    }

    #[event(name = "measured", version = 4, from = V3)]
    pub(crate) struct V4 {
        pub(crate) millikelvin: u64,
        pub(crate) place: Option<String>,
    }

    impl From<V3> for V4 {
        fn from(old: V3) -> Self {
            Self {
                millikelvin: old.millikelvin,
                place: (old.place != "?").then_some(old.place),
            }
        }
    }

    #[event(name = "measured", version = 5, from = V4)]
    pub(crate) struct V5 {
        pub(crate) kelvin: f64,
        pub(crate) place: Option<String>,
    }

    impl From<V4> for V5 {
        #[expect(clippy::cast_precision_loss, reason = "the values are checked to be small")]
        fn from(old: V4) -> Self {
            assert!(old.millikelvin < HOTTEST, "it cannot be so hot");
            Self {
                kelvin: old.millikelvin as f64 / 1_000.0,
                place: old.place,
            }
        }
    }

    pub(crate) const HOTTEST: u64 = 1 << 50;

    #[event(name = "measured", version = 6, from = V5)]
    pub(crate) struct V6 {
        pub(crate) kelvin: f64,
        pub(crate) places: Vec<String>,
    }

    impl From<V5> for V6 {
        fn from(old: V5) -> Self {
            Self {
                kelvin: old.kelvin,
                places: old.place.into_iter().collect(),
            }
        }
    }
}

/// The same four changes in each order that they can come in, told by the fields.
mod history {
    use es_runtime::prelude::*;

    #[event(version = 5, removed(note: String, since = 4))]
    pub(crate) struct AddRenameRemoveChange {
        #[event(renamed(from = "sum", since = 3), changed(since = 5, from = u32))]
        pub(crate) amount: u64,
        #[event(added(since = 2, default = |sum, note| format!("{note}{sum}")))]
        pub(crate) text: String,
    }

    #[event(version = 5, removed(note: String, since = 2))]
    pub(crate) struct RemoveChangeAddRename {
        #[event(renamed(from = "sum", since = 5), changed(since = 3, from = u32))]
        pub(crate) amount: u64,
        #[event(added(since = 4, default = |sum| sum.to_string()))]
        pub(crate) text: String,
    }

    /// A field that came, changed twice, was renamed twice and went, and one that took its first name.
    #[event(version = 6, removed(gone: u64, since = 6,
        added(since = 2, default = 7),
        changed(since = 3, from = u16), changed(since = 4, from = u32),
        renamed(from = "first", since = 4), renamed(from = "second", since = 5)))]
    pub(crate) struct ComesAndGoes {
        pub(crate) amount: u64,
        #[event(added(since = 6, default = |gone| *gone + 1))]
        pub(crate) first: u64,
    }
}

/// Each step has a way back.
mod reversible {
    use es_runtime::prelude::*;

    #[value]
    pub(crate) struct Cents(pub(crate) u64);

    impl From<u64> for Cents {
        fn from(cents: u64) -> Self {
            Self(cents)
        }
    }

    impl From<Cents> for u64 {
        fn from(cents: Cents) -> Self {
            cents.0
        }
    }

    #[event(version = 4)]
    pub(crate) struct Reversible {
        #[event(renamed(from = "sum", since = 2), changed(since = 3, from = u64))]
        pub(crate) amount: Cents,
        #[event(added(since = 2, default = 9), renamed(from = "cost", since = 4))]
        pub(crate) fee: u8,
    }
}

use chain::{HOTTEST, V1, V2, V3, V4, V5, V6};
use history::{AddRenameRemoveChange, ComesAndGoes, RemoveChangeAddRename};
use reversible::{Cents, Reversible};

/// What was measured, as far as each version can say it.
#[derive(Debug, Clone)]
struct Measured {
    celsius: i64,
    place: Option<String>,
}

impl Measured {
    /// As version `version` stored it. `None` if it could not.
    fn stored(&self, version: u32) -> Option<Value> {
        let Self { celsius, place } = self;
        let millikelvin = u64::try_from(celsius * 1_000 + 273_150);
        Some(match version {
            1 => json!({ "celsius": i16::try_from(*celsius).ok()? }),
            2 => json!({ "celsius": i32::try_from(*celsius).ok()?, "place": place.as_deref().unwrap_or("?") }),
            3 => json!({ "millikelvin": millikelvin.ok()?, "place": place.as_deref().unwrap_or("?") }),
            4 => json!({ "millikelvin": millikelvin.ok()?, "place": place }),
            5 => json!({ "kelvin": self.kelvin(), "place": place }),
            _ => json!({ "kelvin": self.kelvin(), "places": place.iter().collect::<Vec<_>>() }),
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "the values are small")]
    fn kelvin(&self) -> f64 {
        (self.celsius * 1_000 + 273_150) as f64 / 1_000.0
    }

    /// The stated value of today.
    fn current(&self, version: u32) -> V6 {
        let place = self.place.clone().filter(|_| version > 1);
        V6 {
            kelvin: self.kelvin(),
            places: place.into_iter().collect(),
        }
    }
}

fn measured() -> impl Strategy<Value = Measured> {
    let celsius = prop_oneof![
        -400_i64..1_000,
        any::<i16>().prop_map(i64::from),
        any::<i32>().prop_map(i64::from)
    ];
    let place = proptest::option::of("[a-z\\\\\"é]{0,8}");
    (celsius, place).prop_map(|(celsius, place)| Measured { celsius, place })
}

/// A payload that its version can hold, at the limits too.
fn valid(version: u32) -> BoxedStrategy<Value> {
    let number = prop_oneof![any::<u64>(), 0..HOTTEST, HOTTEST - 2..HOTTEST + 2];
    let text = "[a-z?]{0,3}";
    match version {
        1 => any::<i16>().prop_map(|celsius| json!({ "celsius": celsius })).boxed(),
        2 => (any::<i32>(), text)
            .prop_map(|(celsius, place)| json!({ "celsius": celsius, "place": place }))
            .boxed(),
        3 => (number, text)
            .prop_map(|(number, place)| json!({ "millikelvin": number, "place": place }))
            .boxed(),
        4 => (number, proptest::option::of(text))
            .prop_map(|(number, place)| json!({ "millikelvin": number, "place": place }))
            .boxed(),
        5 => (any::<f64>(), proptest::option::of(text))
            .prop_filter("JSON has no others", |(kelvin, _)| kelvin.is_finite())
            .prop_map(|(kelvin, place)| json!({ "kelvin": kelvin, "place": place }))
            .boxed(),
        _ => (any::<i32>(), vec(text, 0..3))
            .prop_map(|(kelvin, places)| json!({ "kelvin": kelvin, "places": places }))
            .boxed(),
    }
}

/// Reads the payload as the end of a chain of `length`, and says what failed.
fn read_along(length: u32, version: u32, payload: &[u8]) -> Result<(), DecodeError> {
    match length {
        1 => V1::decode(version, payload).map(drop),
        2 => V2::decode(version, payload).map(drop),
        3 => V3::decode(version, payload).map(drop),
        4 => V4::decode(version, payload).map(drop),
        5 => V5::decode(version, payload).map(drop),
        _ => V6::decode(version, payload).map(drop),
    }
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: es_tests::scaled(500, 20_000),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    /// I02: from any version the chain gives the stated value, or says which step could not.
    #[test]
    fn a_chain_gives_the_stated_value(measured in measured(), version in 1_u32..=6) {
        let Some(payload) = measured.stored(version) else { return Ok(()) };
        let payload = payload.to_string();
        match V6::decode(version, payload.as_bytes()) {
            Ok(read) => prop_assert_eq!(read, measured.current(version)),
            Err(DecodeError::Upcast { from: 2, to: 3, .. }) => prop_assert!(version < 3 && measured.celsius < -273),
            Err(error) => prop_assert!(false, "{}: {}", payload, error),
        }
    }

    /// I03, I04: any valid payload gives a value or a typed error, and the same one again.
    #[test]
    fn a_chain_of_any_length_is_total_and_pure(
        (version, payload) in (1_u32..=6).prop_flat_map(|version| (Just(version), valid(version))),
        length in 1_u32..=6,
    ) {
        let payload = payload.to_string();
        let read = read_along(length, version, payload.as_bytes());
        match &read {
            Ok(()) => prop_assert!(version <= length),
            Err(DecodeError::UnknownVersion { oldest: 1, newest }) => prop_assert!(*newest == length && version > length),
            Err(DecodeError::Upcast { from: 2, to: 3, .. }) => prop_assert!(version <= 2 && length >= 3),
            Err(DecodeError::Upcast { from: 4, to: 5, .. }) => prop_assert!(version <= 4 && length >= 5),
            Err(error) => prop_assert!(false, "{}: {}", payload, error),
        }
        let again = read_along(length, version, payload.as_bytes());
        prop_assert_eq!(format!("{read:?}"), format!("{again:?}"));
    }

    /// What is no payload of its version is an error too, in every version.
    #[test]
    fn what_is_of_no_shape_is_an_error(version in 0_u32..9, payload in vec(any::<u8>(), 0..32)) {
        prop_assume!(serde_json::from_slice::<Value>(&payload).is_err());
        prop_assert!(V6::decode(version, &payload).is_err());
        prop_assert!(ComesAndGoes::decode(version, &payload).is_err());
    }

    /// I02: the history of fields gives the stated value from any version, in whichever order the changes came.
    #[test]
    fn a_history_of_fields_gives_the_stated_value(
        amount: u32, note in "[a-z]{0,4}", text in "[a-z]{0,4}", version in 1_u32..=5,
    ) {
        let stored = match version {
            1 => json!({ "sum": amount, "note": note }),
            2 => json!({ "sum": amount, "note": note, "text": text }),
            3 => json!({ "amount": amount, "note": note, "text": text }),
            _ => json!({ "amount": amount, "text": text }),
        };
        let expected = AddRenameRemoveChange {
            amount: amount.into(),
            text: if version == 1 { format!("{note}{amount}") } else { text.clone() },
        };
        prop_assert_eq!(AddRenameRemoveChange::decode(version, stored.to_string().as_bytes()).unwrap(), expected);

        let stored = match version {
            1 => json!({ "sum": amount, "note": note }),
            2 | 3 => json!({ "sum": amount }),
            4 => json!({ "sum": amount, "text": text }),
            _ => json!({ "amount": amount, "text": text }),
        };
        let expected = RemoveChangeAddRename {
            amount: amount.into(),
            text: if version <= 3 { amount.to_string() } else { text },
        };
        prop_assert_eq!(RemoveChangeAddRename::decode(version, stored.to_string().as_bytes()).unwrap(), expected);
    }

    /// The same of a field that comes, changes and goes.
    #[test]
    fn a_field_can_come_and_go(amount: u64, value: u16, version in 1_u32..=6) {
        let (name, first) = match version {
            1 => (None, 8),
            2 | 3 => (Some("first"), u64::from(value) + 1),
            4 => (Some("second"), u64::from(value) + 1),
            5 => (Some("gone"), u64::from(value) + 1),
            _ => (Some("first"), u64::from(value)),
        };
        let mut stored = json!({ "amount": amount });
        if let Some(name) = name {
            stored[name] = json!(value);
        }
        let read = ComesAndGoes::decode(version, stored.to_string().as_bytes()).unwrap();
        prop_assert_eq!(read, ComesAndGoes { amount, first });
    }

    /// What is written as an older version is read as the same event, but for what was not there yet.
    #[test]
    fn what_is_written_back_is_read_again(amount: u64, fee: u8, version in 1_u32..=4) {
        prop_assert_eq!(Reversible::WRITES_FROM, 1);
        let event = Reversible { amount: Cents(amount), fee };
        let mut out = Vec::new();
        event.encode_as(version, &mut out).unwrap();
        let stored: Value = serde_json::from_slice(&out).unwrap();
        let expected = match version {
            1 => json!({ "sum": amount }),
            2 | 3 => json!({ "amount": amount, "cost": fee }),
            _ => json!({ "amount": amount, "fee": fee }),
        };
        prop_assert_eq!(stored, expected);
        let fee = if version == 1 { 9 } else { fee };
        prop_assert_eq!(Reversible::decode(version, &out).unwrap(), Reversible { fee, ..event });
    }
}
