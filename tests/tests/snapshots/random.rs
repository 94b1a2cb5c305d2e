//! In random histories, a state is the same from memory, from a snapshot and from the first event on, now and at each
//! point of its past.

use std::collections::BTreeMap;
use std::sync::Arc;

use es_runtime::Position;
use es_runtime::prelude::*;
use es_runtime::store::{Purge, StateChange};
use es_tests::random::{config, run};
use es_tests::stores;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::board::{double, single};
use crate::support::{Spy, Store, health, settled, watched};

/// Numbers of boards, and of points in their past, are taken modulo those that there are.
#[derive(Debug, Clone)]
enum Step {
    Open,
    Add(usize, u32, i64),
    Burst(usize, u32),
    Remove(usize, u32),
    /// By hand, of one of the builds.
    Snapshot(usize, bool),
    /// All that is in memory is forgotten, or loaded anew.
    Restart(bool),
    /// All snapshots are gone.
    Lose,
    /// A byte of a snapshot is another one.
    Spoil(usize, usize),
    /// Looks at a board, in both builds, from memory and from the store.
    Look(usize),
    /// Looks at a point of its past.
    LookBack(usize, usize),
}

fn history() -> impl Strategy<Value = Vec<Step>> {
    let number = 0..100_usize;
    let card = 0..5_u32;
    let step = prop_oneof![
        1 => Just(Step::Open),
        6 => (number.clone(), card.clone(), -9..9_i64).prop_map(|(board, card, points)| Step::Add(board, card, points)),
        3 => (number.clone(), 1..30_u32).prop_map(|(board, cards)| Step::Burst(board, cards)),
        2 => (number.clone(), card).prop_map(|(board, card)| Step::Remove(board, card)),
        3 => (number.clone(), any::<bool>()).prop_map(|(board, build)| Step::Snapshot(board, build)),
        2 => any::<bool>().prop_map(Step::Restart),
        1 => Just(Step::Lose),
        2 => (number.clone(), number.clone()).prop_map(|(snapshot, byte)| Step::Spoil(snapshot, byte)),
        3 => number.clone().prop_map(Step::Look),
        4 => (number.clone(), number).prop_map(|(board, point)| Step::LookBack(board, point)),
    ];
    vec(step, 1..50)
}

/// A board after an event, in the build that counts points once.
#[derive(Debug, Clone, PartialEq)]
struct After {
    cards: BTreeMap<u32, i64>,
    total: i64,
    position: Position,
    recorded_at: Timestamp,
}

/// A board by its model: its states, from the first event on.
struct Board {
    id: Id<single::Board>,
    states: Vec<After>,
}

impl Board {
    fn in_double(&self) -> Id<double::Board> {
        self.id.to_string().parse().unwrap()
    }

    fn last(&self) -> &After {
        self.states.last().unwrap()
    }

    /// The number of the last state that is so.
    fn version(&self, is_so: impl Fn(&After) -> bool) -> u64 {
        self.states.iter().take_while(|state| is_so(state)).count() as u64
    }

    /// Takes in the events that were stored.
    async fn stored(&mut self, store: &Store, change: impl Fn(u32, &mut After)) {
        use es_runtime::Key as _;
        use futures_util::TryStreamExt as _;

        let query = es_runtime::store::ReadStream::new(self.id.stream_id()).from(self.states.len() as u64 + 1);
        let stored: Vec<_> = store.load_stream(query).try_collect().await.unwrap();
        for (number, event) in (0..).zip(stored) {
            let mut state = self.states.last().cloned().unwrap_or_else(|| After {
                cards: BTreeMap::new(),
                total: 0,
                position: event.position,
                recorded_at: event.recorded_at,
            });
            change(number, &mut state);
            (state.position, state.recorded_at) = (event.position, event.recorded_at);
            self.states.push(state);
        }
    }
}

/// The state of each build at a point, by `load` with these options.
macro_rules! assert_loads {
    ($builds:ident, $board:ident, $version:expr $(, $point:ident($value:expr))?) => {{
        let version: u64 = $version;
        let wanted = version.checked_sub(1).map(|index| &$board.states[usize::try_from(index).unwrap()]);
        let wanted = wanted.map(|state| (version, state.position, state.cards.clone(), state.total));
        let one = $builds.single.load($board.id)$(.$point($value))?.await.unwrap();
        let one = one.map(|one| (one.version.0, one.position, one.state.cards, one.state.total));
        assert_eq!(one, wanted);
        let two = $builds.double.load($board.in_double())$(.$point($value))?.await.unwrap();
        let two = two.map(|two| (two.version.0, two.position, two.state.cards, two.state.total));
        assert_eq!(two, wanted.map(|(version, position, cards, total)| (version, position, cards, 2 * total)));
    }};
}

/// Two builds on one store.
struct Builds {
    single: Runtime,
    double: Runtime,
}

impl Builds {
    async fn start(store: &Store, spy: &Arc<Spy>) -> Self {
        Self {
            single: watched(store, spy).await,
            double: watched(store, spy).await,
        }
    }

    /// With every board in memory.
    async fn preloaded(store: &Store, spy: &Arc<Spy>) -> Self {
        let builder = || Runtime::builder(Arc::clone(store)).states(spy.clone());
        Self {
            single: builder().preload::<single::Board>().start().await.unwrap(),
            double: builder().preload::<double::Board>().start().await.unwrap(),
        }
    }

    /// Decides on the states in memory.
    async fn look(&self, board: &Board) {
        let (name, After { cards, total, .. }) = ("Sprint".to_owned(), board.last().clone());
        let check = single::Check {
            name: name.clone(),
            cards: cards.clone(),
            total,
        };
        self.single.execute(board.id, check).await.unwrap();
        let total = 2 * total;
        let check = double::Check { name, cards, total };
        self.double.execute(board.in_double(), check).await.unwrap();
        assert_loads!(self, board, board.states.len() as u64);
    }

    async fn look_back(&self, board: &Board, point: usize) {
        let After {
            position, recorded_at, ..
        } = board.states[point % board.states.len()];
        let version = board.version(|state| state.position <= position);
        assert_loads!(self, board, version, at_version(version));
        assert_loads!(self, board, version, at_position(position));
        assert_loads!(self, board, version - 1, at_position(position.0 - 1));
        let then = board.version(|state| state.recorded_at <= recorded_at);
        assert_loads!(self, board, then, as_of(recorded_at));
        let before = Timestamp::from_micros(recorded_at.as_micros() - 1).unwrap();
        assert_loads!(
            self,
            board,
            board.version(|state| state.recorded_at <= before),
            as_of(before)
        );
    }
}

/// Lets it happen, and compares.
async fn comes_out_right(store: Store, history: Vec<Step>) {
    let spy = Spy::of(&store);
    let mut builds = Builds::start(&store, &spy).await;
    let mut boards: Vec<Board> = Vec::new();
    for step in history {
        if boards.is_empty() || matches!(step, Step::Open) {
            let mut board = Board {
                id: Id::new(),
                states: Vec::new(),
            };
            single::open(&builds.single, board.id, 1).await;
            board.stored(&store, |_, _| {}).await;
            boards.push(board);
        }
        let count = boards.len();
        let number = |number: usize| number % count;
        match step {
            Step::Open => {}
            Step::Add(at, card, points) => {
                let board = &mut boards[number(at)];
                builds
                    .double
                    .execute(board.in_double(), double::Add { card, points })
                    .await
                    .unwrap();
                let add = |_, state: &mut After| {
                    state.cards.insert(card, points);
                    state.total += points;
                };
                board.stored(&store, add).await;
            }
            Step::Burst(at, cards) => {
                let board = &mut boards[number(at)];
                let all = single::AddAll {
                    cards: (0..cards).map(|card| (card, 1)).collect(),
                };
                builds.single.execute(board.id, all).await.unwrap();
                let add = |card, state: &mut After| {
                    state.cards.insert(card, 1);
                    state.total += 1;
                };
                board.stored(&store, add).await;
            }
            Step::Remove(at, card) => {
                let board = &mut boards[number(at)];
                let removed = builds.single.execute(board.id, single::Remove { card }).await;
                assert_eq!(removed.is_ok(), board.last().cards.contains_key(&card));
                let remove = |_, state: &mut After| {
                    state.cards.remove(&card);
                };
                board.stored(&store, remove).await;
            }
            Step::Snapshot(at, is_single) => {
                let board = &boards[number(at)];
                let version = if is_single {
                    builds.single.snapshot(board.id).await.unwrap()
                } else {
                    builds.double.snapshot(board.in_double()).await.unwrap()
                };
                assert_eq!(version, board.states.len() as u64);
            }
            Step::Restart(false) => builds = Builds::start(&store, &spy).await,
            Step::Restart(true) => builds = Builds::preloaded(&store, &spy).await,
            Step::Lose => {
                let keys = spy.saved().into_iter().map(|change| change.key);
                spy.states.purge(Purge::entities(keys)).await.unwrap();
            }
            Step::Spoil(which, byte) => {
                let saved = spy.saved();
                if let Some(snapshot) = saved.get(which % saved.len().max(1)) {
                    let mut payload = snapshot.payload.clone().unwrap().to_vec();
                    let digits = payload.iter().enumerate().filter(|(_, byte)| byte.is_ascii_digit());
                    let digits: Vec<usize> = digits.map(|(index, _)| index).collect();
                    // It stays JSON, as some databases demand.
                    let at = digits[byte % digits.len()];
                    payload[at] = if payload[at] == b'1' { b'2' } else { b'1' };
                    let spoiled = StateChange {
                        payload: Some(payload.into()),
                        ..snapshot.clone()
                    };
                    spy.replace(&snapshot.key, spoiled).await;
                }
            }
            Step::Look(at) => builds.look(&boards[number(at)]).await,
            Step::LookBack(at, point) => builds.look_back(&boards[number(at)], point).await,
        }
    }
    for board in &boards {
        builds.look(board).await;
    }
    builds = Builds::start(&store, &spy).await;
    for board in &boards {
        builds.look(board).await;
        builds.look_back(board, 0).await;
    }
    for runtime in [&builds.single, &builds.double] {
        settled(runtime).await;
        let health = health(runtime).await;
        assert_eq!((health.stale, health.ahead, health.diverged), (0, 0, 0), "{health:?}");
    }
}

proptest! {
    #![proptest_config(config(60, 10_000))]

    #[test]
    fn on_memory(history in history()) {
        run(comes_out_right(Arc::new(MemoryStore::new()), history));
    }
}

proptest! {
    #![proptest_config(config(6, 300))]

    #[test]
    fn on_sqlite(history in history()) {
        let folder = es_tests::tempdir().unwrap();
        run(async {
            let store = es_tests::SqliteStore::open(folder.path().join("test.db")).await.unwrap();
            comes_out_right(Arc::new(store), history).await;
        });
    }

    #[test]
    fn on_postgres(history in history()) {
        run(async { comes_out_right(Arc::new(stores::postgres().await), history).await });
    }
}
