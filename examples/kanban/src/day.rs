//! A scripted day: the same each time, so that whoever is killed in the middle of it goes on where it was.

use std::collections::VecDeque;

use es_runtime::Clock as _;
use es_runtime::prelude::*;
use es_runtime::testing::ManualClock;
use fastrand::Rng;

use crate::column::ColumnRefused;
use crate::{BoardKey, CardKey, Handle, KanbanError, NewColumn, ParseKeyError, Team};

/// The columns of the board, from left to right.
const COLUMNS: [NewColumn<'_>; 5] = [
    NewColumn {
        name: "Backlog",
        limit: None,
    },
    NewColumn {
        name: "Ready",
        limit: Some(6),
    },
    NewColumn {
        name: "Doing",
        limit: Some(4),
    },
    NewColumn {
        name: "Review",
        limit: Some(3),
    },
    NewColumn {
        name: "Done",
        limit: None,
    },
];
const PEOPLE: [(&str, &str); 4] = [
    ("ada", "Ada Lovelace"),
    ("alan", "Alan Turing"),
    ("grace", "Grace Hopper"),
    ("edsger", "Edsger Dijkstra"),
];
const VERBS: [&str; 8] = [
    "Fix", "Test", "Draw", "Ship", "Measure", "Explain", "Simplify", "Remove",
];
const NOUNS: [&str; 8] = [
    "the login page",
    "the basket",
    "the search",
    "the invoices",
    "the mails",
    "the price list",
    "the start page",
    "the old API",
];

/// 2 March 2026, 8:00, in microseconds since 1970.
const START: i64 = 1_772_438_400_000_000;
const STEPS: i64 = 1_440;
/// The microseconds between two steps: the day has ten hours.
const PACE: i64 = 25_000_000;
const HOUR: i64 = 3_600_000_000;

/// A day on one board.
pub struct Day {
    board: BoardKey,
    steps: Vec<Step>,
}

struct Step {
    at: Timestamp,
    deed: Deed,
    /// A deed that is refused leaves no trace: whoever goes on with the day must not take it for one that is still to be
    /// done.
    is_refused: bool,
}

enum Deed {
    Open,
    Write { title: String },
    Move { card: CardKey, to: usize },
    Assign { card: CardKey, to: Handle },
}

/// The outcome of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Played {
    /// The steps that had been done before.
    pub before: usize,
    /// The steps that were done now.
    pub done: usize,
    /// The steps that were refused now.
    pub refused: usize,
}

impl Day {
    /// The day on `board`.
    pub fn on(board: BoardKey) -> Result<Self, ParseKeyError> {
        let mut plan = Plan {
            board: board.clone(),
            random: Rng::with_seed(1_906),
            people: PEOPLE
                .iter()
                .map(|(handle, _)| handle.parse())
                .collect::<Result<_, _>>()?,
            columns: Default::default(),
            cards: 0,
        };
        let mut steps = Vec::new();
        for number in 0..STEPS {
            let deed = if number == 0 {
                Some((Deed::Open, false))
            } else {
                plan.next()
            };
            if let Some((deed, is_refused)) = deed {
                let at = Timestamp::from_micros(START + number * PACE).unwrap_or(Timestamp::MAX);
                steps.push(Step { at, deed, is_refused });
            }
        }
        Ok(Self { board, steps })
    }

    /// A clock that shows the beginning of the day.
    pub fn clock() -> ManualClock {
        ManualClock::at(Timestamp::from_micros(START).unwrap_or(Timestamp::MIN))
    }

    /// Plays what is left of the day, and calls `hour` as each hour strikes.
    pub async fn play(
        &self,
        team: &Team,
        clock: &ManualClock,
        mut hour: impl FnMut(Timestamp, &Played),
    ) -> Result<Played, KanbanError> {
        if team.settings.people().is_empty() {
            team.settings.set_workspace("The web shop".to_owned(), 8).await?;
            for (handle, name) in PEOPLE {
                team.settings.set_person(handle.parse()?, name.to_owned()).await?;
            }
        }
        let before = self.done_before(team).await?;
        let mut played = Played {
            before,
            done: 0,
            refused: 0,
        };
        for (number, step) in self.steps.iter().enumerate().skip(before) {
            let hours_before = hours(clock.now());
            clock.set(step.at);
            if hours(step.at) > hours_before {
                hour(step.at, &played);
            }
            match self.perform(team, number, &step.deed).await {
                Ok(()) => played.done += 1,
                Err(KanbanError::Column(ColumnRefused::Full { .. })) => played.refused += 1,
                Err(error) => return Err(error),
            }
        }
        Ok(played)
    }

    /// The number of steps up to the last one that the store knows.
    async fn done_before(&self, team: &Team) -> Result<usize, KanbanError> {
        let mut done = 0;
        for (number, _) in self.steps.iter().enumerate().filter(|(_, step)| !step.is_refused) {
            if team.runtime.store().find_key(&self.request(number)).await?.is_none() {
                break;
            }
            done = number + 1;
        }
        Ok(done)
    }

    async fn perform(&self, team: &Team, number: usize, deed: &Deed) -> Result<(), KanbanError> {
        let request = self.request(number);
        match deed {
            Deed::Open => team.open_board(&self.board, "The web shop", &COLUMNS, &request).await?,
            Deed::Write { title } => {
                let backlog = self.board.column(COLUMNS[0].name)?;
                team.write_card(&backlog, title, &request).await?;
            }
            Deed::Move { card, to } => {
                let to = self.board.column(COLUMNS[*to].name)?;
                team.move_card(card, &to, &request).await?;
            }
            Deed::Assign { card, to } => team.assign(card, Some(to.clone()), &request).await?,
        }
        Ok(())
    }

    /// The name of a step, under which it is done once.
    fn request(&self, number: usize) -> String {
        format!("day/{}/{number}", self.board)
    }
}

/// The full hours of the day that have passed.
fn hours(time: Timestamp) -> i64 {
    (time.as_micros() - START) / HOUR
}

/// The board in the mind of the author of the script.
struct Plan {
    board: BoardKey,
    random: Rng,
    people: Vec<Handle>,
    columns: [VecDeque<CardKey>; COLUMNS.len()],
    cards: u32,
}

impl Plan {
    /// The next deed and whether it is refused; `None` if everybody rests.
    fn next(&mut self) -> Option<(Deed, bool)> {
        match self.random.u32(..100) {
            0..12 => Some((self.write(), false)),
            12..70 => {
                let from = self.random.usize(..COLUMNS.len() - 1);
                self.move_oldest(from, from + 1)
            }
            70..75 => self.move_oldest(3, 2),
            _ => self.assign(),
        }
    }

    fn write(&mut self) -> Deed {
        self.cards += 1;
        self.columns[0].push_back(self.board.card(self.cards));
        let (verb, noun) = (self.random.usize(..VERBS.len()), self.random.usize(..NOUNS.len()));
        Deed::Write {
            title: format!("{} {}", VERBS[verb], NOUNS[noun]),
        }
    }

    fn move_oldest(&mut self, from: usize, to: usize) -> Option<(Deed, bool)> {
        let card = self.columns[from].front()?.clone();
        let is_full = COLUMNS[to]
            .limit
            .is_some_and(|limit| self.columns[to].len() >= limit as usize);
        if !is_full {
            self.columns[from].pop_front();
            self.columns[to].push_back(card.clone());
        }
        Some((Deed::Move { card, to }, is_full))
    }

    /// Gives a card of `Doing` to somebody.
    fn assign(&mut self) -> Option<(Deed, bool)> {
        let doing = &self.columns[2];
        let card = doing.get(self.random.usize(..doing.len().max(1)))?.clone();
        let to = self.people[self.random.usize(..self.people.len())].clone();
        Some((Deed::Assign { card, to }, false))
    }
}
