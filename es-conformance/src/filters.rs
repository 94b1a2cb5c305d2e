//! Reads of a part of the log.

use es_runtime::store::{CategoryFilter, EventFilter, ReadLog};
use es_runtime::{ExpectedVersion, NewEvent, Position, RecordedEvent, StreamId};

use crate::check::{Among, Checked, same};
use crate::projections::{READER, commit, filled, leased};
use crate::sample::{event, events, stream};
use crate::scale::scaled;
use crate::subject::Subject;

fn named(name: &'static str, number: u64) -> NewEvent {
    NewEvent {
        name: name.into(),
        ..event(number)
    }
}

fn of(category: &'static str, names: Option<&[&'static str]>) -> CategoryFilter {
    CategoryFilter {
        category: category.into(),
        names: names.map(|names| names.iter().map(|name| (*name).into()).collect()),
    }
}

pub(crate) async fn b18_filter_equals_filtering_in_process(subject: &Subject<'_>) -> Checked {
    let store = subject.open().await;
    let mut random = subject.random();
    let categories = ["a", "b", "B", "rare"];
    let names = ["opened", "closed", "Opened"];
    let length = scaled(300, 3_000);
    for number in 0..length {
        let category = if number % 97 == 5 {
            "rare"
        } else {
            categories[usize::try_from(random.below(3)).unwrap_or(0)]
        };
        let id = random.below(3).to_string();
        let batch = (0..=random.below(3)).map(|_| named(names[usize::try_from(random.below(3)).unwrap_or(0)], number));
        store
            .put(&StreamId::new(category, id), ExpectedVersion::Any, batch.collect())
            .await?;
    }
    let log = store.log().await?;
    let head = log.len() as u64;

    let filters = [
        EventFilter::category("a"),
        EventFilter::category("rare"),
        EventFilter::category("none"),
        EventFilter::events("b", ["opened", "closed"]),
        EventFilter::events("b", ["none"]),
        EventFilter::Categories(vec![]),
        EventFilter::Categories(vec![of("a", Some(&[]))]),
        EventFilter::Categories(vec![
            of("a", Some(&["opened"])),
            of("rare", None),
            of("B", Some(&["Opened", "closed"])),
        ]),
        EventFilter::Stream(StreamId::new("a", "1")),
        EventFilter::Stream(StreamId::new("rare", "0")),
        EventFilter::Stream(StreamId::new("a", "none")),
    ];
    for filter in filters {
        let mut reads = vec![
            ReadLog::new(),
            ReadLog::new().from(head),
            ReadLog::new().from(head + 1),
            ReadLog::new().to(Position::ZERO),
            ReadLog::new().limit(0),
        ];
        for _ in 0..scaled(5, 20) {
            let (from, to) = (random.below(head + 2), random.below(head + 10));
            reads.push(ReadLog::new().from(from).to(to));
            reads.push(ReadLog::new().from(from).limit(1 + random.below(9)));
        }
        for read in reads.into_iter().flat_map(|read| [read.clone(), read.backwards()]) {
            let came = store.read_positions(read.clone().only(filter.clone())).await?;
            let limit = usize::try_from(read.limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
            let mut unlimited = read.clone();
            unlimited.limit = None;
            let all = store.read_positions(unlimited).await?;
            let expected: Vec<RecordedEvent> = all
                .into_iter()
                .filter(|event| filter.matches(event))
                .take(limit)
                .collect();
            same(
                "a read with a filter, beside the same without, filtered in this process",
                came,
                expected,
            )
            .among(format_args!("{filter:?} in {read:?}"))?;
        }
    }
    Ok(())
}

pub(crate) async fn f12_filter_does_not_stall_checkpoint(subject: &Subject<'_>) -> Checked {
    let store = filled(subject, 1).await?;
    let length = scaled(2_000, 100_000);
    for _ in 0..length / 500 {
        store
            .events()
            .put(&stream("a"), ExpectedVersion::Any, events(0..500))
            .await?;
    }
    let lease = leased(&store, "owner").await?;
    let head = store.head().await?;
    let read = ReadLog::new().to(head).only(EventFilter::category("none"));
    same(
        "the events that a filter lets through",
        store.events().read_positions(read).await?,
        vec![],
    )?;
    store.commit(commit(&lease, 0, head, vec![])).await?;

    let again = subject.projections().await?;
    let at = again.checkpoint(READER).await?.map(|checkpoint| checkpoint.position);
    same("where the reader begins when it comes back", at, Some(head))
}
