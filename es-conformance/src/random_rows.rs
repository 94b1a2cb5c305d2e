//! G: random rows and random questions, held against a model.

use std::cmp::Ordering;

use es_runtime::store::{Compare, FieldValue, RowChange, RowCount, RowFilter, RowGroup, RowQuery, RowTable};
use serde_json::{Value, json};

use crate::check::{Among, Checked, same};
use crate::projections::{change, commit, filled, leased};
use crate::random::{Random, seed};
use crate::scale::scaled;
use crate::subject::{Projections, Subject};

/// The fields, as paths: one of them has a name with a `.` in it.
const FIELDS: [&str; 3] = ["plain", "address.city", "\"a.b\".it's"];

/// A row of the model.
struct Known {
    key: String,
    /// What each field holds, `None` if the row does not have it.
    fields: [Option<Value>; 3],
}

impl Known {
    fn random(number: u64, random: &mut Random) -> Self {
        Self {
            key: format!("{:02x}", number.wrapping_mul(37) % 251),
            fields: std::array::from_fn(|_| value(random)),
        }
    }

    fn change(&self) -> RowChange {
        let mut row = json!({"key": self.key, "address": {}, "a.b": {}, "a": {"b": 1}});
        let [plain, city, dotted] = &self.fields;
        let places = [("/plain", plain), ("/address/city", city), ("/a.b/it's", dotted)];
        for (place, value) in places {
            let (parent, name) = place.rsplit_once('/').unwrap_or_default();
            if let (Some(Value::Object(parent)), Some(value)) = (row.pointer_mut(parent), value) {
                parent.insert(name.to_owned(), value.clone());
            }
        }
        change(&self.key, row.to_string(), 1)
    }
}

/// So few that there are ties.
fn value(random: &mut Random) -> Option<Value> {
    let long = |rest: &str| json!("x".repeat(RowQuery::ORDERED) + rest);
    let values = [
        json!(null),
        json!([1]),
        json!({"b": 1}),
        json!(false),
        json!(true),
        json!(0),
        json!(1),
        json!(-1),
        json!(0.5),
        json!(1.0),
        json!(9_007_199_254_740_993_i64),
        json!(i64::MIN),
        json!(""),
        json!("a"),
        json!("a\0"),
        json!("a\0b"),
        json!("\\u0000"),
        json!("\u{e001}0"),
        json!("\u{e001}\0\u{e001}1"),
        json!("ä"),
        json!("x".repeat(RowQuery::ORDERED - 1)),
        long(""),
        long("\0"),
        long("a"),
        long("b"),
        long(&"b".repeat(RowQuery::ORDERED)),
        json!("x".repeat(RowQuery::ORDERED - 1) + "ä"),
    ];
    let index = usize::try_from(random.below(values.len() as u64 + 2)).ok()?;
    values.get(index).cloned()
}

/// A value as it compares: a number twice, so that halves are whole, or text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Compared {
    Number(i128),
    Text(Vec<u8>),
}

impl Compared {
    fn of(value: Option<&Value>) -> Option<Self> {
        Some(match value? {
            Value::Bool(bool) => Self::Number(2 * i128::from(*bool)),
            Value::Number(number) => match number.as_i64() {
                Some(integer) => Self::Number(2 * i128::from(integer)),
                #[expect(clippy::cast_possible_truncation, reason = "halves of small numbers")]
                None => Self::Number((number.as_f64()? * 2.0) as i128),
            },
            Value::String(text) => Self::Text(text.as_bytes().to_vec()),
            _ => return None,
        })
    }

    /// By what rows are ordered.
    fn place(self) -> Self {
        match self {
            Self::Text(mut text) => {
                text.truncate(RowQuery::ORDERED);
                Self::Text(text)
            }
            number @ Self::Number(_) => number,
        }
    }
}

/// The value to ask with.
fn asked(value: &Value) -> Option<FieldValue> {
    Some(match value {
        Value::Bool(bool) => FieldValue::Bool(*bool),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => FieldValue::Integer(integer),
            None => FieldValue::Float(number.as_f64()?),
        },
        Value::String(text) => FieldValue::Text(text.clone()),
        _ => return None,
    })
}

/// A condition on one of the fields.
struct Condition {
    field: usize,
    compare: Compare,
    value: Value,
}

impl Condition {
    fn random(random: &mut Random) -> Option<(Self, RowFilter)> {
        use Compare::{AtLeast, AtMost, Equal, Greater, Less};
        let compare = [Equal, Less, AtMost, Greater, AtLeast][pick(random, 5)];
        let field = pick(random, FIELDS.len());
        let value = value(random)?;
        let filter = RowFilter {
            field: FIELDS[field].into(),
            compare,
            value: asked(&value)?,
        };
        Some((Self { field, compare, value }, filter))
    }

    fn holds(&self, row: &Known) -> bool {
        let values = (
            Compared::of(row.fields[self.field].as_ref()),
            Compared::of(Some(&self.value)),
        );
        let (Some(field), Some(value)) = values else {
            return false;
        };
        let is_same_type = matches!(field, Compared::Text(_)) == matches!(value, Compared::Text(_));
        let order = field.cmp(&value);
        is_same_type
            && match self.compare {
                Compare::Equal => order.is_eq(),
                Compare::Less => order.is_lt(),
                Compare::AtMost => order.is_le(),
                Compare::Greater => order.is_gt(),
                Compare::AtLeast => order.is_ge(),
            }
    }
}

fn pick(random: &mut Random, of: usize) -> usize {
    usize::try_from(random.below(of as u64)).unwrap_or_default()
}

/// What the model says of a query: the keys.
fn listed(rows: &[Known], conditions: &[Condition], query: &RowQuery) -> Vec<String> {
    let field = query
        .order_by
        .as_ref()
        .and_then(|field| FIELDS.iter().position(|known| known == field));
    let place = |row: &Known| Compared::of(row.fields[field?].as_ref()).map(Compared::place);
    let turned = |order: Ordering| if query.descending { order.reverse() } else { order };
    let mut found: Vec<&Known> = rows
        .iter()
        .filter(|row| conditions.iter().all(|condition| condition.holds(row)))
        .collect();
    found.sort_by(|one, other| {
        let values = match (place(one), place(other)) {
            (Some(value), Some(other)) => turned(value.cmp(&other)),
            (value, other) => {
                let last = value.is_none().cmp(&other.is_none());
                if query.nulls_first { last.reverse() } else { last }
            }
        };
        values.then_with(|| turned(one.key.cmp(&other.key)))
    });
    found.into_iter().map(|row| row.key.clone()).collect()
}

/// What it says of groups: the values and how many rows have each.
fn counted(rows: &[Known], conditions: &[Condition], field: usize) -> Vec<(Option<Compared>, u64)> {
    let mut groups: Vec<(Option<Compared>, u64)> = Vec::new();
    for row in rows
        .iter()
        .filter(|row| conditions.iter().all(|condition| condition.holds(row)))
    {
        let value = Compared::of(row.fields[field].as_ref());
        match groups.iter_mut().find(|(known, _)| *known == value) {
            Some((_, count)) => *count += 1,
            None => groups.push((value, 1)),
        }
    }
    groups.sort_by(|(value, _), (other, _)| value.is_none().cmp(&other.is_none()).then_with(|| value.cmp(other)));
    groups
}

fn told(group: RowGroup) -> (Option<Compared>, u64) {
    let value = group.value.map(|value| match value {
        FieldValue::Text(text) => json!(text),
        FieldValue::Bool(bool) => json!(bool),
        FieldValue::Integer(integer) => json!(integer),
        FieldValue::Float(float) => json!(float),
    });
    (Compared::of(value.as_ref()), group.count)
}

pub(crate) async fn g38_random_rows_are_found_ordered_and_counted(subject: &Subject<'_>) -> Checked {
    let seed = seed();
    let mut random = Random::from_seed(seed);
    let store = filled(subject, 3).await?;
    let lease = leased(&store, "owner").await?;
    let rows: Vec<Known> = (0..80).map(|number| Known::random(number, &mut random)).collect();
    let indexed = RowTable {
        projection: "indexed".into(),
        version: 1,
        indexes: FIELDS.map(Into::into).to_vec().into(),
        beside: false,
    };
    let plain = RowTable {
        projection: "plain".into(),
        indexes: vec![].into(),
        ..indexed.clone()
    };
    for (table, to) in [(&indexed, 1), (&plain, 2)] {
        store.create_table(table).await?;
        let mut commit = commit(&lease, to - 1, to, rows.iter().map(Known::change).collect());
        commit.table = table.clone();
        store.commit(commit).await?;
        for _ in 0..scaled(60, 2_000) {
            let asked = ask(&store, table, &rows, &mut random).await;
            asked.among(format_args!("{} (ES_TEST_SEED={seed})", table.projection))?;
        }
    }
    Ok(())
}

/// One random question, whole and in pages, and counted.
async fn ask(store: &Projections, table: &RowTable, rows: &[Known], random: &mut Random) -> Checked {
    let (conditions, filters): (Vec<Condition>, Vec<RowFilter>) =
        (0..random.below(3)).filter_map(|_| Condition::random(random)).unzip();
    let field = pick(random, FIELDS.len() + 1);
    let mut query = RowQuery {
        filters: filters.clone(),
        order_by: FIELDS.get(field).map(|field| (*field).into()),
        descending: random.below(2) == 0,
        nulls_first: random.below(2) == 0,
        after: None,
        limit: None,
    };
    let expected = listed(rows, &conditions, &query);
    let found = store.list_rows(table, &query).await?;
    let keys: Vec<String> = found.into_iter().map(|row| row.key).collect();
    same(format_args!("the rows of {query:?}"), keys, expected.clone())?;

    query.limit = u32::try_from(1 + random.below(12)).ok();
    let mut visited = Vec::new();
    loop {
        let page = store.list_rows(table, &query).await?;
        query.after = page.last().map(|last| query.cursor(last));
        visited.extend(page.into_iter().map(|row| row.key));
        if query.after.is_none() || visited.len() > expected.len() {
            break;
        }
    }
    same(format_args!("the pages of {query:?}"), visited, expected.clone())?;

    let mut count = RowCount {
        filters,
        group_by: None,
    };
    let all = RowGroup {
        value: None,
        count: expected.len() as u64,
    };
    let groups = store.count_rows(table, &count).await?;
    same(format_args!("the answer to {count:?}"), groups, vec![all])?;
    if let Some(name) = FIELDS.get(field) {
        count.group_by = Some((*name).into());
        let groups = store.count_rows(table, &count).await?;
        same(
            format_args!("the answer to {count:?}"),
            groups.into_iter().map(told).collect::<Vec<_>>(),
            counted(rows, &conditions, field),
        )?;
    }
    Ok(())
}
