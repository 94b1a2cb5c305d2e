//! G: what can be asked of rows.

use es_runtime::store::{Compare, FieldValue, RowChange, RowCursor, RowFilter, RowQuery, RowTable};

use crate::check::{Among, Checked, holds, same};
use crate::projections::{change, commit, filled, leased};
use crate::subject::{Projections, Subject};

/// Keys, and what stands in the field `f.g` of their rows.
const FIELDS: [(&str, &str); 22] = [
    ("01", "0"),
    ("02", "-1"),
    ("03", "1"),
    ("04", "1.0"),
    ("05", "0.5"),
    ("06", "true"),
    ("07", "false"),
    ("08", "9007199254740993"),
    ("09", "9007199254740992"),
    ("10", "-9223372036854775808"),
    ("11", "9223372036854775807"),
    ("12", "1e3"),
    ("13", r#""""#),
    ("14", r#""a""#),
    ("15", r#""Z""#),
    ("16", r#""ä""#),
    ("17", r#""10""#),
    ("18", r#""it's \"\u0007\"""#),
    ("19", "null"),
    ("20", "[1]"),
    ("21", r#"{"g":1}"#),
    ("22", r#""a\u0000b""#),
];

/// The keys whose field compares, from the smallest to the largest.
const ASCENDING: [&str; 20] = [
    "10", "02", "01", "07", "05", "03", "04", "06", "12", "09", "08", "11", "13", "17", "15", "14", "22", "18", "26",
    "16",
];

/// The keys of the others.
const NULLS: [&str; 6] = ["19", "20", "21", "23", "24", "25"];

async fn keys(store: &Projections, table: &RowTable, query: &RowQuery) -> Checked<Vec<String>> {
    let rows = store.list_rows(table, query).await?;
    Ok(rows.into_iter().map(|row| row.key).collect())
}

/// All pages of `limit` rows, one after the other.
async fn paged(store: &Projections, table: &RowTable, query: &RowQuery, limit: u32) -> Checked<Vec<String>> {
    let mut query = RowQuery {
        limit: Some(limit),
        ..query.clone()
    };
    let mut keys = Vec::new();
    loop {
        let page = store.list_rows(table, &query).await?;
        let Some(last) = page.last() else { return Ok(keys) };
        query.after = Some(query.cursor(last));
        keys.extend(page.into_iter().map(|row| row.key));
        holds(keys.len() < 1_000, "pages of rows", "to come to an end", &query)?;
    }
}

/// A condition on the field of [`FIELDS`].
pub(crate) fn filter(compare: Compare, value: FieldValue) -> RowFilter {
    RowFilter {
        field: "f.g".into(),
        compare,
        value,
    }
}

pub(crate) async fn g20_queries_mean_the_same(subject: &Subject<'_>) -> Checked {
    let store = filled(subject, 3).await?;
    let lease = leased(&store, "owner").await?;
    let mut rows: Vec<RowChange> = FIELDS
        .iter()
        .map(|(key, field)| change(key, format!(r#"{{"f":{{"g":{field}}},"n":{key:?}}}"#), 1))
        .collect();
    rows.extend([
        change("23", r#"{"f":[{"g":1}]}"#, 1),
        change("24", r#"{"f.g":1}"#, 1),
        change("25", "7", 1),
        change("26", format!(r#"{{"f":{{"g":"{}"}}}}"#, "x".repeat(1025)), 1),
    ]);
    // The same with an index that serves the query, and with none.
    let indexed = RowTable {
        version: 1,
        projection: "indexed".into(),
        indexes: vec!["f.g".into()].into(),
        beside: false,
    };
    let plain = RowTable {
        projection: "plain".into(),
        indexes: vec![].into(),
        ..indexed.clone()
    };
    for (table, to) in [(&indexed, 1), (&plain, 2)] {
        store.create_table(table).await?;
        let mut commit = commit(&lease, to - 1, to, rows.clone());
        commit.table = table.clone();
        store.commit(commit).await?;
        orders(&store, table).await.among(&table.projection)?;
        filters(&store, table).await.among(&table.projection)?;
    }
    Ok(())
}

async fn orders(store: &Projections, table: &RowTable) -> Checked {
    let reversed = |keys: &[&str]| keys.iter().rev().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    let by_field = RowQuery {
        order_by: Some("f.g".into()),
        ..RowQuery::default()
    };
    let orders = [
        (false, false, [owned(&ASCENDING), owned(&NULLS)].concat()),
        (false, true, [owned(&NULLS), owned(&ASCENDING)].concat()),
        (true, false, [reversed(&ASCENDING), reversed(&NULLS)].concat()),
        (true, true, [reversed(&NULLS), reversed(&ASCENDING)].concat()),
    ];
    for (descending, nulls_first, expected) in orders {
        let query = RowQuery {
            descending,
            nulls_first,
            ..by_field.clone()
        };
        let what = format!("rows by a field, descending: {descending}, null first: {nulls_first}");
        same(&what, keys(store, table, &query).await?, expected.clone())?;
        for limit in [1, 2, 5, 20, 26, 100] {
            let pages = paged(store, table, &query, limit).await?;
            same(format_args!("{what}, in pages of {limit}"), pages, expected.clone())?;
        }
    }
    for limit in [1, 5, 26, 100] {
        let by_key = paged(store, table, &RowQuery::default(), limit).await?;
        same("pages by key", by_key.len(), 26)?;
        holds(by_key.is_sorted(), "pages by key", "the order of the keys", &by_key)?;
    }
    let by_key = RowQuery {
        descending: true,
        limit: Some(2),
        ..RowQuery::default()
    };
    same(
        "the last keys",
        keys(store, table, &by_key).await?,
        vec!["26".to_owned(), "25".to_owned()],
    )?;
    let none = RowQuery {
        limit: Some(0),
        ..by_field.clone()
    };
    same("no rows", keys(store, table, &none).await?, Vec::<String>::new())?;
    // A cursor need not be of a row that is there.
    let between = RowCursor {
        order_by: Some("f.g".into()),
        value: Some(FieldValue::Float(0.75)),
        key: String::new(),
    };
    let behind = RowQuery {
        after: Some(between),
        limit: Some(1),
        ..by_field
    };
    same(
        "the row behind 0.75",
        keys(store, table, &behind).await?,
        vec!["03".to_owned()],
    )
}

async fn filters(store: &Projections, table: &RowTable) -> Checked {
    use Compare::{AtLeast, AtMost, Equal, Greater, Less};
    use FieldValue::{Bool, Float, Integer};

    let text = |text: &str| FieldValue::Text(text.to_owned());
    let found: [(Compare, FieldValue, &[&str]); 25] = [
        (Equal, Integer(1), &["03", "04", "06"]),
        (Equal, Float(1.0), &["03", "04", "06"]),
        (Equal, Bool(true), &["03", "04", "06"]),
        (Equal, Bool(false), &["01", "07"]),
        (Equal, Float(-0.0), &["01", "07"]),
        (Equal, Integer(1000), &["12"]),
        (Equal, Integer(9_007_199_254_740_993), &["08"]),
        (Equal, Float(9_007_199_254_740_992.0), &["09"]),
        (Equal, Integer(i64::MIN), &["10"]),
        (Equal, text("a"), &["14"]),
        (Equal, text(""), &["13"]),
        (Equal, text("10"), &["17"]),
        (Equal, Integer(10), &[]),
        (Equal, text("it's \"\u{7}\""), &["18"]),
        (Equal, text("a\0b"), &["22"]),
        (Equal, text("a\0"), &[]),
        (Less, Integer(0), &["02", "10"]),
        (AtMost, Integer(0), &["01", "02", "07", "10"]),
        (Less, Float(f64::NEG_INFINITY), &[]),
        (Greater, Float(0.5), &["03", "04", "06", "08", "09", "11", "12"]),
        (AtLeast, Integer(i64::MAX), &["11"]),
        (Greater, Integer(i64::MAX), &[]),
        (Less, text("Z"), &["13", "17"]),
        (AtLeast, text("a"), &["14", "16", "18", "22", "26"]),
        (Greater, text(""), &["14", "15", "16", "17", "18", "22", "26"]),
    ];
    for (compare, value, expected) in found {
        let query = RowQuery {
            filters: vec![filter(compare, value.clone())],
            ..RowQuery::default()
        };
        let came = keys(store, table, &query).await?;
        same(
            format_args!("the rows whose field is {compare:?} {value:?}"),
            came,
            owned(expected),
        )?;
    }
    let by_field = RowQuery {
        order_by: Some("f.g".into()),
        limit: Some(2),
        ..RowQuery::default()
    };
    let all = RowQuery {
        filters: vec![
            filter(AtLeast, Integer(0)),
            filter(Less, Integer(1000)),
            RowFilter {
                field: "n".into(),
                compare: Greater,
                value: text("01"),
            },
        ],
        ..by_field.clone()
    };
    same(
        "the first two of several filters",
        keys(store, table, &all).await?,
        owned(&["07", "05"]),
    )?;
    same(
        "all pages of several filters",
        paged(store, table, &all, 2).await?,
        owned(&["07", "05", "03", "04", "06"]),
    )?;
    let never = RowQuery {
        filters: vec![filter(Less, Integer(0)), filter(Equal, text("a"))],
        ..by_field
    };
    same(
        "filters that exclude each other",
        keys(store, table, &never).await?,
        owned(&[]),
    )
}

fn owned(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}
