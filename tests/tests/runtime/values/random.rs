//! Random values of every shape: each is refused, or read by every runtime as the one that wrote it has folded it.

use es_runtime::prelude::*;
use es_runtime::{EventEnum as _, EventOf, ExecuteError};
use proptest::collection::{btree_map, btree_set, hash_map, hash_set, vec};
use proptest::option;
use proptest::prelude::*;

use super::domain::*;

fn name() -> BoxedStrategy<String> {
    prop_oneof!["[a-z\"\\\\é]{0,4}", Just("\u{0}\u{1f600}".to_owned())].boxed()
}

fn cents() -> impl Strategy<Value = Cents> {
    any::<i64>().prop_map(Cents)
}

fn sort() -> BoxedStrategy<Sort> {
    let leaf = prop_oneof![
        Just(Sort::Plain),
        name().prop_map(Sort::Note),
        any::<f64>().prop_map(|percent| Sort::Discount { percent, of: None }),
    ];
    let deeper = |inner: BoxedStrategy<Sort>| {
        let line = (cents(), inner.clone()).prop_map(|(unit_price, sort)| Line { unit_price, sort });
        prop_oneof![
            (vec(line, 0..3), any::<u8>()).prop_map(|(lines, size)| Sort::Bundle(lines, size)),
            (any::<f64>(), inner).prop_map(|(percent, of)| {
                let of = Some(Box::new(of));
                Sort::Discount { percent, of }
            }),
        ]
    };
    leaf.prop_recursive(4, 12, 3, deeper).boxed()
}

fn ordered() -> impl Strategy<Value = Ordered> {
    let line = (cents(), sort()).prop_map(|(unit_price, sort)| Line { unit_price, sort });
    let account = option::of(Just(()).prop_map(|()| Id::new()));
    let marks = btree_set(any::<(char, bool)>(), 0..4);
    let pair = (any::<[i8; 3]>(), option::of(any::<f32>())).prop_map(|(left, right)| Pair { left, right });
    let maps = (
        btree_map(name(), sort(), 0..4),
        hash_map(any::<u32>(), option::of(cents()), 0..4),
    );
    (vec(line, 0..4), maps, account, marks, hash_set(name(), 0..4), pair).prop_map(
        |(lines, (by_name, by_number), account, marks, names, pair)| Ordered {
            lines,
            by_name,
            by_number,
            account,
            marks,
            names,
            pair,
            unit: ((), Marker),
        },
    )
}

fn nested() -> impl Strategy<Value = Nested> {
    let limit = option::of(option::of(cents()).prop_map(Limit));
    let pair = (option::of(cents()), option::of(option::of(any::<u8>())));
    let pair = pair.prop_map(|(left, right)| Pair { left, right });
    let unit = option::of(Just(()));
    (limit, option::of(Just(Marker)), unit, pair).prop_map(|(limit, mark, unit, pair)| Nested {
        limit,
        mark,
        unit,
        pair,
    })
}

fn layout() -> BoxedStrategy<Layout> {
    prop_oneof![
        btree_map(any::<u32>(), name(), 0..2).prop_map(|seats| Layout::Grid { seats }),
        any::<u32>().prop_map(|places| Layout::Hall { places }),
    ]
    .boxed()
}

fn reference() -> BoxedStrategy<Ref> {
    prop_oneof![
        any::<u32>().prop_map(|id| Ref::Any { id }),
        (any::<u32>(), name()).prop_map(|(id, name)| Ref::Full { id, name }),
    ]
    .boxed()
}

fn event() -> BoxedStrategy<LogEvent> {
    let limit = option::of(option::of(any::<i64>()));
    let filed = (vec(limit.clone(), 0..3), option::of(layout()), vec(reference(), 0..3));
    let measured = (prop_oneof![any::<f64>(), Just(f64::NAN)], option::of(name()));
    prop_oneof![
        6 => ordered().prop_map(EventOf::<Log>::into_event),
        2 => nested().prop_map(EventOf::<Log>::into_event),
        1 => layout().prop_map(|layout| Tagged { layout }.into_event()),
        1 => vec(name(), 0..2).prop_map(|tags| Note { tags }.into_event()),
        1 => limit.prop_map(|limit| PriceSet { limit }.into_event()),
        1 => reference().prop_map(|to| Referred { to }.into_event()),
        1 => filed.prop_map(|(limits, layout, refs)| {
            let case = Case { limits };
            Filed { case, layout, refs }.into_event()
        }),
        1 => any::<(i64, i64)>().prop_map(|(amount, rounded)| {
            let price = Price { amount, rounded };
            Priced { price }.into_event()
        }),
        1 => measured.prop_map(|(value, unit)| Measured { value, unit }.into_event()),
    ]
    .boxed()
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: es_tests::scaled(200, 20_000),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_is_stored_is_folded_alike_by_every_runtime(events in vec(event(), 1..8)) {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio.block_on(async {
            let (store, runtime) = super::start().await;
            let log = Id::new();
            runtime.execute(log, Begin {}).await.unwrap();
            let mut stored = 0;
            for event in events {
                match runtime.append(log, event.clone()).await {
                    Ok(_) => stored += 1,
                    Err(ExecuteError::Encode(_)) => assert!(!event.is_plain() || format!("{event:?}").contains("NaN")),
                    Err(error) => panic!("{event:?}: {error}"),
                }
            }
            let folded = runtime.load(log).await.unwrap().unwrap();
            assert_eq!(folded.folded.len() + folded.ordered.len(), stored);
            super::folds_alike(&store, &runtime, log).await;
        });
    }
}
