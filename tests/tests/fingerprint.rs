//! The fingerprint of a state's shape: what it sees, and what it says not to see.

#![deny(warnings)]
#![allow(dead_code, reason = "the states are there for their shapes")]

use es_runtime::Aggregate as _;

/// A build of a domain, with its type of fees and its channels.
macro_rules! build {
    ($build:ident, $fee:ident, [$($channel:ident),*]) => {
        mod $build {
            use es_runtime::{Aggregate, Id, value};

            #[value]
            pub(super) enum Channel {
                $($channel),*
            }

            #[value]
            pub(super) struct Payment {
                channel: Channel,
            }

            #[value]
            pub(super) struct Tree<T> {
                value: T,
                children: Vec<Tree<T>>,
            }

            #[derive(Aggregate)]
            pub(super) struct Plain {
                fee: $fee,
                owner: Option<Id<Plain>>,
            }

            #[derive(Aggregate)]
            pub(super) struct Direct {
                channel: Channel,
            }

            #[derive(Aggregate)]
            pub(super) struct Inside {
                channels: Vec<(u8, Option<[Channel; 2]>)>,
                tree: Tree<u8>,
            }

            #[derive(Aggregate)]
            pub(super) struct Deep {
                payment: Payment,
            }

            /// A state that is kept is a value too.
            #[value]
            #[derive(Aggregate)]
            pub(super) enum Door {
                Open,
                Closed { by: Channel },
            }
        }
    };
}

build!(first, u8, [Counter]);
build!(same, u8, [Counter]);
build!(wider_fee, u16, [Counter]);
build!(more_channels, u8, [Counter, Online]);

macro_rules! fingerprints {
    ($build:ident) => {
        [
            $build::Plain::FINGERPRINT,
            $build::Direct::FINGERPRINT,
            $build::Inside::FINGERPRINT,
            $build::Deep::FINGERPRINT,
            $build::Door::FINGERPRINT,
        ]
    };
}

#[test]
fn the_same_shape_has_the_same_fingerprint_and_no_other_has() {
    let first = fingerprints!(first);
    assert_eq!(first, fingerprints!(same));
    let apart: std::collections::BTreeSet<u64> = first.into_iter().chain([0]).collect();
    assert_eq!(apart.len(), first.len() + 1);
}

#[test]
fn a_field_of_another_type_shows() {
    let changed: Vec<bool> = std::iter::zip(fingerprints!(first), fingerprints!(wider_fee))
        .map(|(first, other)| first != other)
        .collect();
    assert_eq!(changed, [true, false, false, false, false]);
}

/// The fourth holds the value that changed within another value: a limit, as `FINGERPRINT` says.
#[test]
fn a_value_that_a_field_mentions_shows_but_not_one_below_it() {
    let changed: Vec<bool> = std::iter::zip(fingerprints!(first), fingerprints!(more_channels))
        .map(|(first, other)| first != other)
        .collect();
    assert_eq!(changed, [false, true, true, false, true]);
}
