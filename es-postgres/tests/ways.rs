//! The ways that `append` has for what is common, held to the one that goes from entry to entry.

mod support;

use es_conformance::__private::{Random, seed};
use support::{Database, scaled};

/// A call with some chains of appends, most of them each to a stream of its own.
fn random_call(random: &mut Random, number: u64) -> String {
    let mut columns: [Vec<String>; 9] = std::array::from_fn(|_| Vec::new());
    let [
        ids,
        expectations,
        expected,
        counts,
        appends,
        chained,
        keys,
        names,
        payloads,
    ] = &mut columns;
    for chain in 0..=random.below(4) {
        let stream = if random.below(8) == 0 {
            random.below(12)
        } else {
            3 * chain + random.below(3)
        };
        // What it is at is anybody's guess, and sometimes right.
        let mut version = random.below(4) * (number / 10 % 4);
        for link in 0..=random.below(4) {
            let events = 1 + random.below(2);
            // Some stray into the stream of the chain behind.
            let strays = random.below(6) == 0;
            let own = if strays {
                3 * (chain + 1) + random.below(3)
            } else {
                stream
            };
            ids.push(own.to_string());
            let any = if link == 0 { 2 } else { 1 };
            let expectation = ["any", "none", "exists", "exact"][usize::try_from(random.below(8).min(3)).unwrap()];
            let expectation = if random.below(4) < any { "any" } else { expectation };
            expectations.push(expectation.to_owned());
            expected.push(if expectation == "exact" {
                version.to_string()
            } else {
                "null".to_owned()
            });
            counts.push(events.to_string());
            appends.push((appends.len() + 1).to_string());
            chained.push((link > 0).to_string());
            let key = format!(
                "{}-{link}-{chain}",
                if random.below(9) == 0 { number / 2 } else { number }
            );
            keys.push(if random.below(4) == 0 { key } else { "null".to_owned() });
            version += events;
            for event in 0..events {
                names.push(["e", "f", "g"][usize::try_from(random.below(3)).unwrap()].to_owned());
                payloads.push(format!("1{number}{chain}{link}{event}"));
            }
        }
    }
    let [
        ids,
        expectations,
        expected,
        counts,
        appends,
        chained,
        keys,
        names,
        payloads,
    ] = columns.map(|column| column.join(","));
    let categories = ids
        .replace(|digit: char| digit.is_ascii_digit(), "a")
        .replace("aa", "a");
    format!(
        "'{{{categories}}}', '{{{ids}}}', '{{{expectations}}}', '{{{names}}}', '{{{payloads}}}', expected => '{{{expected}}}', \
         event_counts => '{{{counts}}}', entry_appends => '{{{appends}}}', chained => '{{{chained}}}', keys => '{{{keys}}}'"
    )
}

/// `append` has a short way for what is common. It must not be told from the long way, except by its speed.
#[tokio::test]
async fn the_short_way_and_the_long_way_agree() {
    let long = Database::new().await;
    let short = Database::new().await;
    long.client()
        .await
        .batch_execute(
            "DO $$ BEGIN EXECUTE replace(replace(pg_get_functiondef('es.append'::regproc), 'IF entries = 1 AND', 'IF false AND'), \
             'IF entries > 1 OR', 'IF false AND'); END $$",
        )
        .await
        .unwrap();
    let id = |number: u32| format!("00000000-0000-0000-0000-{number:012}");
    let calls = [
        "'{a}', '{1}', '{none}', '{e}', '{1}'".to_owned(),
        "'{a}', '{1}', '{none}', '{e}', '{1}'".to_owned(),
        "'{a}', '{1}', '{exact}', '{e,f,e}', '{1,2,3}', expected => '{1}', shape_versions => '{1,2,3}'".to_owned(),
        "'{a}', '{2}', '{exists}', '{e}', '{1}'".to_owned(),
        "'{a}', '{1}', '{exists}', '{e}', '{1}', metadata => '{\"{}\"}'".to_owned(),
        "'{a}', '{1}', '{exact}', '{e}', '{1}', expected => '{5}'".to_owned(),
        "'{a}', '{1}', '{exact}', '{e}', '{1}', expected => '{5}'".to_owned(),
        "'{a}', '{1}', '{any}', '{e}', '{1}', shape_versions => '{4}'".to_owned(),
        format!("'{{a}}', '{{3}}', '{{any}}', '{{e}}', '{{1}}', append_ids => '{{{}}}'", id(1)),
        format!("'{{a}}', '{{3}}', '{{any}}', '{{e}}', '{{1}}', append_ids => '{{{}}}'", id(1)),
        format!("'{{a}}', '{{1}}', '{{any}}', '{{e}}', '{{1}}', append_ids => '{{{}}}'", id(1)),
        format!("'{{a}}', '{{1}}', '{{none}}', '{{}}', '{{}}', event_counts => '{{0}}', append_ids => '{{{}}}'", id(5)),
        format!("'{{a}}', '{{10}}', '{{none}}', '{{}}', '{{}}', event_counts => '{{0}}', append_ids => '{{{}}}'", id(6)),
        format!("'{{a}}', '{{1}}', '{{any}}', '{{e}}', '{{1}}', append_ids => '{{{}}}'", id(6)),
        // Many, of which some conflict, with several events, in new streams and old ones.
        "'{a,b,c,a}', '{1,1,1,4}', '{exact,none,exists,any}', '{e,e,f,g,e,h}', '{1,2,3,4,5,6}', expected => '{9,null,null,null}', \
         event_counts => '{1,3,1,1}', entry_appends => '{1,2,3,4}'"
            .to_owned(),
        format!(
            "'{{a,b}}', '{{5,5}}', '{{any,any}}', '{{e,e,e}}', '{{1,2,3}}', event_counts => '{{2,1}}', entry_appends => '{{1,2}}', \
             append_ids => '{{{},{}}}', keys => '{{first,null}}', fingerprints => '{{{},null}}'",
            id(2),
            id(3),
            id(9)
        ),
        "'{a,b}', '{6,6}', '{exists,any}', '{e,e}', '{1,2}', event_counts => '{1,1}', entry_appends => '{1,2}', keys => '{second,third}'"
            .to_owned(),
        "'{a}', '{7}', '{any}', '{e}', '{1}', keys => '{fourth}'".to_owned(),
        "'{a}', '{7}', '{any}', '{e}', '{1}', keys => '{fourth}'".to_owned(),
        // A stream twice, and an append that is stored since before.
        "'{a,a}', '{8,8}', '{none,exact}', '{e,e}', '{1,2}', expected => '{null,1}', event_counts => '{1,1}', entry_appends => '{1,2}'"
            .to_owned(),
        format!(
            "'{{a,b}}', '{{9,9}}', '{{any,any}}', '{{e,e}}', '{{1,2}}', event_counts => '{{1,1}}', entry_appends => '{{1,2}}', \
             append_ids => '{{{},{}}}'",
            id(4),
            id(1)
        ),
    ];
    let (short, long) = (short.client().await, long.client().await);
    let seed = seed();
    let mut random = Random::from_seed(seed);
    let calls = calls
        .into_iter()
        .chain((0..scaled(300, 20_000)).map(|number| random_call(&mut random, number)));
    for call in calls {
        let sql = format!(
            "SELECT string_agg(format('%s %s %s %s %s', entry, outcome, events, version, position), E'\\n' ORDER BY entry) \
                           FROM es.append({call})"
        );
        let answers =
            [&short, &long].map(async |client| client.query_one(&sql, &[]).await.unwrap().get::<_, String>(0));
        let [short, long] = answers;
        assert_eq!(short.await, long.await, "{call} (ES_TEST_SEED={seed})");
    }
    for table in [
        "SELECT position, stream, version, shape_version, append_size, name, payload::text, metadata::text FROM es.recorded_events",
        "SELECT category, stream_id FROM es.streams",
        "SELECT category, name, shape_version FROM es.event_types",
        "SELECT key, fingerprint, append_id IN (SELECT append_id FROM es.recorded_events WHERE append_size > 0) FROM es.idempotency_keys",
        "SELECT append_id FROM es.appends",
    ] {
        // Numbers of streams may leave gaps where an append was refused.
        let sql = table.replace(
            "stream, version",
            "(SELECT s.category || s.stream_id FROM es.streams AS s WHERE s.id = stream), version",
        );
        let sql = format!("SELECT coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '') FROM ({sql}) AS t");
        let rows = [&short, &long].map(async |client| client.query_one(&sql, &[]).await.unwrap().get::<_, String>(0));
        let [short, long] = rows;
        assert_eq!(short.await, long.await, "{table} (ES_TEST_SEED={seed})");
    }
}
