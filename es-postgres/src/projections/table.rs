//! The SQL of one table of rows.

use es_runtime::StoreError;
use es_runtime::store::{Compare, FieldValue, RowCount, RowCursor, RowFilter, RowQuery, RowTable, Zone, field_path};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::schema::Schema;

/// A value that is passed with a statement.
pub(crate) type Parameter = Box<dyn ToSql + Sync + Send>;

/// What text is marked with in the results of the function `order_key`, and numbers.
const TEXT: u8 = 2;
const NUMBER: u8 = 1;

/// The rows of these keys.
pub(crate) fn rows(schema: &Schema, table: &RowTable) -> String {
    let name = name(table);
    schema.render(&format!(
        "SELECT key, data, position FROM \"es\".{name} WHERE key = ANY ($1)"
    ))
}

/// The rows of a query, with its parameters.
pub(crate) fn list(
    schema: &Schema,
    table: &RowTable,
    query: &RowQuery,
) -> Result<(String, Vec<Parameter>), StoreError> {
    let mut list = List::default();
    for filter in &query.filters {
        list.filter(filter)?;
    }
    // Never without: with a limit each part is read by itself, in its order and one after the other.
    let limit = list.parameter(query.limit.map_or(i64::MAX, i64::from));
    let name = name(table);
    let select = |conditions: &[String], order: &str| {
        let conditions = match conditions {
            [] => String::new(),
            conditions => format!("WHERE {}", conditions.join(" AND ")),
        };
        format!("SELECT key, data, position FROM \"es\".{name} {conditions} ORDER BY {order} LIMIT {limit}")
    };
    let Some(field) = &query.order_by else {
        let order = list.order_by_key(query);
        return Ok((schema.render(&select(&list.conditions, &order)), list.parameters));
    };
    // So that an index serves each, and the second is only read if the first does not fill the page.
    let mut zones = Vec::new();
    for (index, zone) in query.zones().enumerate() {
        let after = query.after.as_ref().filter(|_| index == 0);
        let (conditions, order) = list.zone(zone, field, after, query)?;
        zones.push(select(&[&*list.conditions, &*conditions].concat(), &order));
    }
    let sql = match zones.as_slice() {
        [only] => only.clone(),
        zones => format!("({}) LIMIT {limit}", zones.join(") UNION ALL (")),
    };
    Ok((schema.render(&sql), list.parameters))
}

/// Values with the number of their rows, with parameters.
pub(crate) fn count(
    schema: &Schema,
    table: &RowTable,
    count: &RowCount,
) -> Result<(String, Vec<Parameter>), StoreError> {
    let mut list = List::default();
    for filter in &count.filters {
        list.filter(filter)?;
    }
    let conditions = match list.conditions.as_slice() {
        [] => String::new(),
        conditions => format!("WHERE {}", conditions.join(" AND ")),
    };
    let (value, group) = match &count.group_by {
        None => ("NULL::bytea".to_owned(), ""),
        Some(field) => (whole(field)?, "GROUP BY 1"),
    };
    let name = name(table);
    let sql = format!("SELECT {value}, count(*) FROM \"es\".{name} {conditions} {group}");
    Ok((schema.render(&sql), list.parameters))
}

/// Keys with the data of both tables where these differ, and how many there are.
pub(crate) fn differences(old: &RowTable, new: &RowTable) -> String {
    let (old, new) = (name(old), name(new));
    format!(
        "SELECT coalesce(o.key, n.key), o.data::text, n.data::text, count(*) OVER () \
         FROM \"es\".{old} AS o FULL JOIN \"es\".{new} AS n ON n.key = o.key \
         WHERE o.key IS NULL OR n.key IS NULL OR o.data::text <> n.data::text ORDER BY 1 LIMIT $1"
    )
}

/// The names of the indexes, after their fields as far as names of any length and content allow.
pub(crate) fn index_names(table: &RowTable) -> Vec<String> {
    let id = |field: &str| Uuid::new_v5(&Uuid::NAMESPACE_OID, field.as_bytes()).as_fields().0;
    table
        .indexes
        .iter()
        .map(|field| format!("{}_{:08x}", table.name(), id(field)))
        .collect()
}

/// Checked: it holds nothing that would end the quoted name.
fn name(table: &RowTable) -> String {
    format!("\"{}\"", table.name())
}

/// The paths as PostgreSQL writes arrays.
pub(crate) fn index_paths(table: &RowTable) -> Result<Vec<String>, StoreError> {
    table.indexes.iter().map(|field| array(field)).collect()
}

fn array(field: &str) -> Result<String, StoreError> {
    let names = field_path(field)?.into_iter().map(|name| format!("\"{name}\""));
    Ok(format!("{{{}}}", names.collect::<Vec<_>>().join(",")))
}

/// What orders a field, whole.
fn whole(field: &str) -> Result<String, StoreError> {
    let path = array(field)?.replace('\'', "''");
    Ok(format!("\"es\".order_key(data, '{path}')"))
}

/// What an index holds of a field, and what queries compare.
fn expression(field: &str) -> Result<String, StoreError> {
    Ok(format!("substring({} FOR {})", whole(field)?, RowQuery::ORDERED + 1))
}

/// A query while it is being written.
#[derive(Default)]
struct List {
    conditions: Vec<String>,
    parameters: Vec<Parameter>,
}

impl List {
    /// The name under which it is passed.
    fn parameter(&mut self, value: impl ToSql + Sync + Send + 'static) -> String {
        self.parameters.push(Box::new(value));
        format!("${}", self.parameters.len())
    }

    fn filter(&mut self, filter: &RowFilter) -> Result<(), StoreError> {
        let field = expression(&filter.field)?;
        let value = self.parameter(order_key(&filter.value));
        let operator = match filter.compare {
            Compare::Equal => "=",
            Compare::Less => "<",
            Compare::AtMost => "<=",
            Compare::Greater => ">",
            Compare::AtLeast => ">=",
        };
        match &filter.value {
            // The index does not tell it from what begins like it.
            FieldValue::Text(text) if text.len() >= RowQuery::ORDERED => {
                let nearly = match filter.compare {
                    Compare::Equal => "=",
                    Compare::Less | Compare::AtMost => "<=",
                    Compare::Greater | Compare::AtLeast => ">=",
                };
                let exact = self.parameter([&[TEXT], text.as_bytes()].concat());
                let whole = whole(&filter.field)?;
                self.conditions
                    .push(format!("{field} {nearly} {value} AND {whole} {operator} {exact}"));
            }
            _ => self.conditions.push(format!("{field} {operator} {value}")),
        }
        // What marks text stands between the numbers and all text.
        let is_text = matches!(filter.value, FieldValue::Text(_));
        match filter.compare {
            Compare::Less | Compare::AtMost if is_text => self.conditions.push(format!("{field} >= E'\\\\x02'")),
            Compare::Greater | Compare::AtLeast if !is_text => self.conditions.push(format!("{field} < E'\\\\x02'")),
            _ => {}
        }
        Ok(())
    }

    fn order_by_key(&mut self, query: &RowQuery) -> String {
        let (direction, behind) = directions(query);
        if let Some(after) = &query.after {
            let key = self.parameter(after.key.clone());
            self.conditions.push(format!("key {behind} {key}"));
        }
        format!("key {direction}")
    }

    /// The conditions of a zone, behind `after` in it, and its order.
    fn zone(
        &mut self,
        zone: Zone,
        field: &str,
        after: Option<&RowCursor>,
        query: &RowQuery,
    ) -> Result<(Vec<String>, String), StoreError> {
        let (direction, behind) = directions(query);
        let field = expression(field)?;
        if zone == Zone::Nulls {
            let mut conditions = vec![format!("{field} IS NULL")];
            if let Some(after) = after {
                let key = self.parameter(after.key.clone());
                conditions.push(format!("key {behind} {key}"));
            }
            // By both, which is the order of the index.
            return Ok((conditions, format!("{field} {direction}, key {direction}")));
        }
        let condition = match after.and_then(|after| Some((after.value.as_ref()?, &after.key))) {
            Some((value, key)) => {
                let (value, key) = (self.parameter(order_key(value)), self.parameter(key.clone()));
                format!("({field}, key) {behind} ({value}, {key})")
            }
            None => format!("{field} IS NOT NULL"),
        };
        Ok((vec![condition], format!("{field} {direction}, key {direction}")))
    }
}

/// The word for the order, and the sign for what comes behind.
fn directions(query: &RowQuery) -> (&'static str, &'static str) {
    if query.descending { ("DESC", "<") } else { ("ASC", ">") }
}

/// What an index holds of a field with this value.
fn order_key(value: &FieldValue) -> Vec<u8> {
    let FieldValue::Text(text) = value else {
        let (float, above) = value.number().unwrap_or_default();
        let bits = float.to_bits();
        let ordered = if float.is_sign_negative() {
            !bits
        } else {
            bits ^ (1 << 63)
        };
        let above = i16::try_from(above + 1024).unwrap_or_default();
        return [&[NUMBER][..], &ordered.to_be_bytes(), &above.to_be_bytes()].concat();
    };
    [&[TEXT], FieldValue::ordered(text)].concat()
}

/// The value of a field for which the function `order_key` gives these bytes.
pub(crate) fn value_of(key: &[u8]) -> Option<FieldValue> {
    match key {
        [TEXT, text @ ..] => Some(FieldValue::Text(String::from_utf8_lossy(text).into_owned())),
        [NUMBER, number @ ..] => {
            let (bits, above) = number.split_at_checked(8)?;
            let ordered = u64::from_be_bytes(bits.try_into().ok()?);
            let bits = if ordered >> 63 == 0 {
                !ordered
            } else {
                ordered ^ (1 << 63)
            };
            let (float, above) = (f64::from_bits(bits), i16::from_be_bytes(above.try_into().ok()?));
            #[expect(clippy::cast_possible_truncation, reason = "what does not fit is no integer then")]
            let whole = float as i128 + i128::from(above) - 1024;
            let integer = i64::try_from(whole).ok().filter(|_| float.fract() == 0.0);
            Some(integer.map_or(FieldValue::Float(float), FieldValue::Integer))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use es_runtime::store::RowGroup;

    use super::*;

    #[test]
    fn the_bytes_of_values_are_in_their_order() {
        let ascending = [
            FieldValue::Float(f64::NEG_INFINITY),
            FieldValue::Integer(i64::MIN),
            FieldValue::Float(-1.5),
            FieldValue::Float(-0.0),
            FieldValue::Float(f64::MIN_POSITIVE),
            FieldValue::Integer(9_007_199_254_740_992),
            FieldValue::Integer(9_007_199_254_740_993),
            FieldValue::Integer(i64::MAX),
            FieldValue::Float(9_223_372_036_854_775_808.0),
            FieldValue::Text(String::new()),
            FieldValue::Text("a".to_owned()),
        ];
        assert!(ascending.iter().map(order_key).is_sorted_by(|one, other| one < other));
        for value in ascending {
            let same = RowGroup::sorted(
                [value.clone(), value_of(&order_key(&value)).unwrap()].map(|value| RowGroup {
                    value: Some(value),
                    count: 1,
                }),
            );
            assert_eq!(same.len(), 1, "{value:?}: {same:?}");
        }
    }

    /// Asks a server how it answers each query on a table of many rows.
    #[tokio::test]
    async fn an_index_serves_filters_order_and_pages() {
        let server = std::env::var("ES_TEST_DATABASE_URL")
            .expect("this test needs PostgreSQL: run `scripts/postgres run -- cargo test -p es-postgres`");
        let (mut client, connection) = tokio_postgres::connect(&server, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let schema = Schema::new(format!("es_plans_{}", std::process::id())).unwrap();
        crate::schema::apply(&mut client, &schema).await.unwrap();
        let fields = ["owner", "address.city", "it's {odd}, so"];
        let table = RowTable {
            projection: "balances".into(),
            version: 1,
            indexes: fields.map(Into::into).to_vec().into(),
            beside: false,
        };
        let create = schema.render("SELECT \"es\".create_rows($1, $2, $3)");
        let names = index_names(&table);
        client
            .execute(&create, &[&table.name(), &names, &index_paths(&table).unwrap()])
            .await
            .unwrap();
        let fill = "INSERT INTO \"es\".balances_v1 SELECT 'key ' || n, json_build_object('owner', 'owner ' || n % 5000, \
                    'address', json_build_object('city', n), 'it''s {odd}, so', n, 'cents', n), 1 \
                    FROM generate_series(1, 20000) AS n; ANALYZE \"es\".balances_v1";
        client.batch_execute(&schema.render(fill)).await.unwrap();

        let cursor = |field: &'static str| RowCursor {
            order_by: Some(field.into()),
            value: Some(FieldValue::Integer(19_990)),
            key: "a".to_owned(),
        };
        for (field, index) in fields.iter().zip(&names) {
            let filter = |compare, value| RowQuery {
                filters: vec![RowFilter {
                    field: (*field).into(),
                    compare,
                    value,
                }],
                ..RowQuery::default()
            };
            let ordered = RowQuery {
                order_by: Some((*field).into()),
                limit: Some(10),
                ..RowQuery::default()
            };
            let paged = RowQuery {
                after: Some(cursor(field)),
                ..ordered.clone()
            };
            for query in [
                filter(Compare::Equal, FieldValue::Text("owner 7".to_owned())),
                filter(Compare::Greater, FieldValue::Integer(19_990)),
                filter(Compare::Less, FieldValue::Text("a".to_owned())),
                ordered.clone(),
                RowQuery {
                    descending: true,
                    ..paged.clone()
                },
                paged,
            ] {
                let (sql, parameters) = list(&schema, &table, &query).unwrap();
                let parameters: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|value| &**value as _).collect();
                let plan = client.query(&format!("EXPLAIN {sql}"), &parameters).await.unwrap();
                let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
                let plan = plan.join("\n");
                assert!(
                    plan.contains(index.as_str()) && !plan.contains("Seq Scan"),
                    "{query:?}:\n{plan}"
                );
                assert!(query.order_by.is_none() || !plan.contains("Sort"), "{query:?}:\n{plan}");
            }
        }
        let drop = schema.render("DROP SCHEMA \"es\" CASCADE");
        client.batch_execute(&drop).await.unwrap();
    }
}
