//! A board of cards, in builds that differ in how they fold.

/// A build: a module with the aggregate, whose snapshots are written as `snapshot(…)` says, and which counts points by `$factor`.
macro_rules! build {
    ($build:ident, snapshot($($policy:tt)*), points * $factor:literal) => {
        #[allow(dead_code, reason = "each build has all that any of its tests needs")]
        pub(crate) mod $build {
            use std::collections::BTreeMap;

            use es_runtime::prelude::*;

            #[event]
            pub(crate) struct Opened {
                pub name: String,
            }

            #[event]
            pub(crate) struct Added {
                pub card: u32,
                pub points: i64,
            }

            #[event]
            pub(crate) struct Removed {
                pub card: u32,
            }

            #[command]
            pub(crate) struct Open {
                pub name: String,
            }

            #[command]
            pub(crate) struct Add {
                pub card: u32,
                pub points: i64,
            }

            /// Adds many cards at once.
            #[command]
            pub(crate) struct AddAll {
                pub cards: Vec<(u32, i64)>,
            }

            #[command]
            pub(crate) struct Remove {
                pub card: u32,
            }

            /// Does nothing, if the board is so.
            #[command]
            pub(crate) struct Check {
                pub name: String,
                pub cards: BTreeMap<u32, i64>,
                pub total: i64,
            }

            #[derive(Debug, PartialEq, thiserror::Error)]
            #[error("there is no such card")]
            pub(crate) struct NoSuchCard;

            #[derive(Debug, PartialEq, thiserror::Error)]
            #[error("the board is {0:?}")]
            pub(crate) struct IsAnother(Board);

            #[value]
            #[derive(Aggregate)]
            #[es(name = "board", snapshot($($policy)*))]
            pub(crate) struct Board {
                pub name: String,
                pub cards: BTreeMap<u32, i64>,
                pub total: i64,
            }

            #[aggregate(vis = pub(crate))]
            impl Board {
                #[handle]
                fn open(cmd: Open) -> Opened {
                    Opened { name: cmd.name }
                }

                #[handle]
                fn add(&self, cmd: Add) -> Added {
                    Added { card: cmd.card, points: cmd.points }
                }

                #[handle]
                fn add_all(&self, cmd: AddAll) -> Vec<Added> {
                    cmd.cards.into_iter().map(|(card, points)| Added { card, points }).collect()
                }

                #[handle]
                fn remove(&self, cmd: Remove) -> Result<Removed, NoSuchCard> {
                    if !self.cards.contains_key(&cmd.card) {
                        return Err(NoSuchCard);
                    }
                    Ok(Removed { card: cmd.card })
                }

                #[handle]
                fn check(&self, cmd: Check) -> Result<(), IsAnother> {
                    let wanted = Self { name: cmd.name, cards: cmd.cards, total: cmd.total };
                    if *self == wanted { Ok(()) } else { Err(IsAnother(self.clone())) }
                }

                #[apply]
                fn opened(event: Opened) -> Self {
                    Self { name: event.name, cards: BTreeMap::new(), total: 0 }
                }

                #[apply]
                fn added(&mut self, event: Added) {
                    self.cards.insert(event.card, event.points);
                    self.total += event.points * $factor;
                }

                #[apply]
                fn removed(&mut self, event: Removed) {
                    self.cards.remove(&event.card);
                }
            }

            /// Opens a board and adds cards, one by one, up to this version.
            pub(crate) async fn board_at(runtime: &Runtime, version: u64) -> Id<Board> {
                let id = Id::new();
                open(runtime, id, version).await;
                id
            }

            /// Opens this board and adds cards, one by one, up to this version.
            pub(crate) async fn open(runtime: &Runtime, id: Id<Board>, version: u64) {
                runtime.execute(id, Open { name: "Sprint".into() }).await.unwrap();
                grow(runtime, id, version - 1).await;
            }

            pub(crate) async fn add(runtime: &Runtime, id: Id<Board>, points: i64) -> Version {
                runtime.execute(id, Add { card: 1, points }).await.unwrap().version
            }

            /// The sum of all points that were added.
            pub(crate) async fn total(runtime: &Runtime, id: Id<Board>) -> i64 {
                runtime.load(id).await.unwrap().unwrap().total
            }

            /// Adds so many cards, one by one.
            pub(crate) async fn grow(runtime: &Runtime, id: Id<Board>, cards: u64) {
                for card in 0..cards {
                    let card = u32::try_from(card).unwrap();
                    runtime.execute(id, Add { card, points: 1 }).await.unwrap();
                }
            }
        }
    };
}

build!(single, snapshot(every = 10), points * 1);
build!(double, snapshot(every = 10), points * 2);
build!(same_as_single, snapshot(every = 10), points * 1);
build!(by_hand, snapshot(), points * 1);
build!(next_version, snapshot(every = 10, version = 2), points * 1);
build!(each, snapshot(every = 1), points * 1);
build!(slow, snapshot(after = "50ms"), points * 1);
