//! Events of many shapes: those that are known to come back, those that do, and those that do not.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use es_runtime::EventOf as _;
use es_runtime::prelude::*;

/// One that is stored as another type of key than it is read as.
#[value]
#[serde(tag = "kind")]
pub(crate) enum Layout {
    Grid { seats: BTreeMap<u32, String> },
    Hall { places: u32 },
}

#[value]
#[serde(untagged)]
pub(crate) enum Ref {
    Any { id: u32 },
    Full { id: u32, name: String },
}

#[value]
pub(crate) struct Case {
    #[allow(clippy::option_option, reason = "what is tested")]
    pub(crate) limits: Vec<Option<Option<i64>>>,
}

/// Only its amount counts where it is compared.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Price {
    pub(crate) amount: i64,
    /// Told by `Debug` alone.
    #[serde(skip)]
    #[expect(dead_code, reason = "what is derived does not count")]
    pub(crate) rounded: i64,
}

impl PartialEq for Price {
    fn eq(&self, other: &Self) -> bool {
        self.amount == other.amount
    }
}

/// A number that may be none, as text.
mod text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
    pub(super) fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

macro_rules! events {
    ($($(#[$attribute:meta])* $name:ident { $($(#[$on_field:meta])* $field:ident: $ty:ty),* })+) => {
        $(#[event] $(#[$attribute])* pub(crate) struct $name { $($(#[$on_field])* pub(crate) $field: $ty),* })+
    };
}

events! {
    Begun {}
    Tagged { layout: Layout }
    Note { #[serde(skip_serializing_if = "Vec::is_empty")] tags: Vec<String> }
    Cut { #[serde(skip_serializing)] secret: String }
    PriceSet { limit: Option<Option<i64>> }
    Referred { to: Ref }
    Filed { case: Case, layout: Option<Layout>, refs: Vec<Ref> }
    Priced { #[schemars(with = "i64")] price: Price }
    Measured { #[serde(with = "text")] #[schemars(with = "String")] value: f64, #[serde(skip)] unit: Option<String> }
}

/// A unit is stored as `null`.
#[value]
pub(crate) struct Marker;

#[value]
pub(crate) struct Cents(pub(crate) i64);

#[value]
pub(crate) struct Limit(pub(crate) Option<Cents>);

#[value]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Line {
    pub(crate) unit_price: Cents,
    #[serde(rename = "type", alias = "kind", default)]
    pub(crate) sort: Sort,
}

#[value]
#[derive(Default)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sort {
    #[default]
    Plain,
    Bundle(Vec<Line>, u8),
    Discount {
        percent: f64,
        of: Option<Box<Sort>>,
    },
    Note(String),
}

#[value]
pub(crate) struct Pair<L, R> {
    pub(crate) left: L,
    pub(crate) right: R,
}

events! {
    #[serde(rename_all = "camelCase")]
    Ordered {
        lines: Vec<Line>,
        by_name: BTreeMap<String, Sort>,
        by_number: HashMap<u32, Option<Cents>>,
        account: Option<Id<Log>>,
        marks: BTreeSet<(char, bool)>,
        names: HashSet<String>,
        pair: Pair<[i8; 3], Option<f32>>,
        unit: ((), Marker)
    }
    Nested { limit: Option<Limit>, mark: Option<Marker>, unit: Option<()>, pair: Pair<Option<Cents>, Option<Option<u8>>> }
}

#[command]
pub(crate) struct Begin {}

/// Has the event happen.
#[command]
pub(crate) struct Write {
    pub(crate) event: Written,
}

/// The events that commands write.
#[value]
pub(crate) enum Written {
    Limit(Option<i64>),
    Cut(String),
    Price(i64),
}

#[derive(Aggregate)]
pub(crate) struct Log {
    /// What was folded, as `Debug` shows it.
    pub(crate) folded: Vec<String>,
    /// What `Debug` shows in any order.
    pub(crate) ordered: Vec<Ordered>,
}

macro_rules! log {
    ($($method:ident: $event:ident,)+) => {
        #[aggregate(vis = pub(crate))]
        impl Log {
            #[handle]
            fn begin(_: Begin) -> Begun {
                Begun {}
            }

            #[handle]
            fn write(&self, cmd: Write) -> Vec<LogEvent> {
                vec![match cmd.event {
                    Written::Limit(limit) => PriceSet { limit: Some(limit) }.into_event(),
                    Written::Cut(secret) => Cut { secret }.into_event(),
                    Written::Price(amount) => Priced { price: Price { amount, rounded: amount / 10 * 10 } }.into_event(),
                }]
            }

            #[apply]
            fn begun(_: Begun) -> Self {
                Self {
                    folded: Vec::new(),
                    ordered: Vec::new(),
                }
            }

            #[apply]
            fn ordered(&mut self, event: Ordered) {
                self.ordered.push(event);
            }

            $(#[apply]
            fn $method(&mut self, event: $event) {
                self.folded.push(format!("{event:?}"));
            })+
        }
    };
}

log! {
    tagged: Tagged,
    note: Note,
    cut: Cut,
    price_set: PriceSet,
    referred: Referred,
    filed: Filed,
    priced: Priced,
    measured: Measured,
    nested: Nested,
}
