//! The SQL of one table of rows.

use es_runtime::StoreError;
use es_runtime::projection::store::{Compare, FieldValue, RowFilter, RowQuery, RowTable, path};
use rusqlite::types::Value;
use uuid::Uuid;

/// The statements on one table. Its names and paths were checked, and hold nothing that would end a quoted name.
pub(crate) struct TableSql {
    /// Quoted.
    name: String,
}

impl TableSql {
    pub(crate) fn new(table: &RowTable) -> Self {
        Self {
            name: format!("\"{}\"", table.name()),
        }
    }

    pub(crate) fn create(&self) -> String {
        format!(
            "CREATE TABLE IF NOT EXISTS {} (
                 key      TEXT PRIMARY KEY,
                 data     TEXT    NOT NULL, -- JSON
                 position INTEGER NOT NULL  -- of the event that changed it last
             ) STRICT, WITHOUT ROWID",
            self.name
        )
    }

    /// The index on a field.
    pub(crate) fn create_index(&self, table: &RowTable, field: &str) -> Result<String, StoreError> {
        // Named after the field, as far as names of any length and content allow.
        let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, field.as_bytes());
        let index = format!("\"{}_{:08x}\"", table.name(), id.as_fields().0);
        let field = expression(field)?;
        Ok(format!(
            "CREATE INDEX IF NOT EXISTS {index} ON {} ({field}, key)",
            self.name
        ))
    }

    pub(crate) fn upsert(&self) -> String {
        format!(
            "INSERT INTO {} (key, data, position) VALUES (?1, ?2, ?3)
             ON CONFLICT (key) DO UPDATE SET data = excluded.data, position = excluded.position",
            self.name
        )
    }

    pub(crate) fn delete(&self) -> String {
        format!("DELETE FROM {} WHERE key = ?1", self.name)
    }

    pub(crate) fn clear(&self) -> String {
        format!("DELETE FROM {}", self.name)
    }

    pub(crate) fn drop(&self) -> String {
        format!("DROP TABLE IF EXISTS {}", self.name)
    }

    /// Makes the rows those of another table. Only those that differ are written.
    pub(crate) fn replace(&self, by: &Self) -> [String; 2] {
        let (name, by) = (&self.name, &by.name);
        [
            format!("DELETE FROM {name} WHERE key NOT IN (SELECT key FROM {by})"),
            format!(
                "INSERT INTO {name} (key, data, position)
                 SELECT n.key, n.data, n.position FROM {by} AS n LEFT JOIN {name} AS o ON o.key = n.key
                 WHERE o.key IS NULL OR o.data <> n.data OR o.position <> n.position
                 ON CONFLICT (key) DO UPDATE SET data = excluded.data, position = excluded.position"
            ),
        ]
    }

    /// Keys with the data of both tables where these differ, and how many there are.
    pub(crate) fn differences(&self, new: &Self) -> String {
        let (old, new) = (&self.name, &new.name);
        format!(
            "SELECT key, old, new, count(*) OVER () FROM (
                 SELECT o.key AS key, o.data AS old, n.data AS new FROM {old} AS o LEFT JOIN {new} AS n ON n.key = o.key
                 WHERE n.key IS NULL OR n.data <> o.data
                 UNION ALL
                 SELECT n.key, NULL, n.data FROM {new} AS n WHERE n.key NOT IN (SELECT key FROM {old})
             ) ORDER BY key LIMIT ?1"
        )
    }

    /// The rows of the keys in a JSON array, in their order.
    pub(crate) fn rows(&self) -> String {
        format!(
            "SELECT r.key, r.data, r.position FROM json_each(?1) AS wanted LEFT JOIN {} AS r ON r.key = wanted.value
             ORDER BY wanted.id",
            self.name
        )
    }

    /// The rows of a query, with its parameters.
    pub(crate) fn list(&self, query: &RowQuery) -> Result<(String, Vec<Value>), StoreError> {
        let mut list = List::default();
        for filter in &query.filters {
            list.filter(filter)?;
        }
        let order = match &query.order_by {
            None => list.order_by_key(query),
            Some(field) => list.order_by_field(query, field)?,
        };
        let conditions = match list.conditions.as_slice() {
            [] => String::new(),
            conditions => format!("WHERE {}", conditions.join(" AND ")),
        };
        let limit = list.parameter(Value::Integer(query.limit.map_or(-1, i64::from)));
        let name = &self.name;
        let sql = format!("SELECT key, data, position FROM {name} {conditions} ORDER BY {order} LIMIT {limit}");
        Ok((sql, list.parameters))
    }
}

/// What an index holds of a field, and what queries compare: text, or a number. `true` and `false` are 1 and 0.
fn expression(field: &str) -> Result<String, StoreError> {
    Ok(format!("(data ->> {})", json_path(field)?))
}

/// The path as a literal. Names that are plain words are written so, as people do.
fn json_path(field: &str) -> Result<String, StoreError> {
    let mut json_path = "'$".to_owned();
    for name in path(field)? {
        let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if is_plain {
            json_path.extend([".", name]);
        } else {
            json_path.extend([".\"", &name.replace('\'', "''"), "\""]);
        }
    }
    json_path.push('\'');
    Ok(json_path)
}

/// A query while it is being written.
#[derive(Default)]
struct List {
    conditions: Vec<String>,
    parameters: Vec<Value>,
}

impl List {
    /// The name under which it is passed.
    fn parameter(&mut self, value: Value) -> String {
        self.parameters.push(value);
        format!("?{}", self.parameters.len())
    }

    fn filter(&mut self, filter: &RowFilter) -> Result<(), StoreError> {
        let field = expression(&filter.field)?;
        let value = self.parameter(value(&filter.value));
        let is_text = matches!(filter.value, FieldValue::Text(_));
        let operator = match filter.compare {
            Compare::Equal => "=",
            Compare::Less => "<",
            Compare::AtMost => "<=",
            Compare::Greater => ">",
            Compare::AtLeast => ">=",
        };
        self.conditions.push(format!("{field} {operator} {value}"));
        // The empty text stands between the numbers and all other text.
        match filter.compare {
            Compare::Less | Compare::AtMost if is_text => self.conditions.push(format!("{field} >= ''")),
            Compare::Greater | Compare::AtLeast if !is_text => self.conditions.push(format!("{field} < ''")),
            _ => {}
        }
        self.compares(&filter.field)
    }

    /// What else an index holds does not compare: arrays and objects as their JSON, text with a NUL or too long.
    fn compares(&mut self, field: &str) -> Result<(), StoreError> {
        let (path, field) = (json_path(field)?, expression(field)?);
        self.conditions.push(format!(
            "json_type(data, {path}) IN ('text', 'integer', 'real', 'true', 'false')
             AND instr({field}, char(0)) = 0 AND octet_length({field}) <= 1024"
        ));
        Ok(())
    }

    fn order_by_key(&mut self, query: &RowQuery) -> String {
        let (direction, behind) = directions(query);
        if let Some(after) = &query.after {
            let key = self.parameter(Value::Text(after.key.clone()));
            self.conditions.push(format!("key {behind} {key}"));
        }
        format!("key {direction}")
    }

    fn order_by_field(&mut self, query: &RowQuery, field: &str) -> Result<String, StoreError> {
        let (direction, behind) = directions(query);
        self.compares(field)?;
        let field = expression(field)?;
        if let Some(after) = &query.after
            && let Some(place) = &after.value
        {
            let place = self.parameter(value(place));
            let key = self.parameter(Value::Text(after.key.clone()));
            // The first part is what an index is searched by.
            self.conditions.push(format!(
                "{field} {behind}= {place} AND ({field} {behind} {place} OR key {behind} {key})"
            ));
        }
        Ok(format!("{field} {direction}, key {direction}"))
    }
}

/// The word for the order, and the sign for what comes behind.
fn directions(query: &RowQuery) -> (&'static str, &'static str) {
    if query.descending { ("DESC", "<") } else { ("ASC", ">") }
}

fn value(value: &FieldValue) -> Value {
    match value {
        FieldValue::Bool(bool) => Value::Integer((*bool).into()),
        FieldValue::Integer(integer) => Value::Integer(*integer),
        FieldValue::Float(float) => Value::Real(*float),
        FieldValue::Text(text) => Value::Text(text.clone()),
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::{Connection, params_from_iter};

    use super::*;

    /// How SQLite answers a query on a table with these indexes.
    fn plan(indexes: &'static [&'static str], query: &RowQuery) -> String {
        let table = RowTable {
            projection: "balances".into(),
            version: 1,
            indexes: indexes.iter().map(|field| (*field).into()).collect::<Vec<_>>().into(),
            beside: false,
        };
        let sql = TableSql::new(&table);
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(&sql.create()).unwrap();
        for field in indexes {
            connection
                .execute_batch(&sql.create_index(&table, field).unwrap())
                .unwrap();
        }
        let (sql, parameters) = sql.list(query).unwrap();
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps = statement
            .query_map(params_from_iter(parameters), |row| row.get::<_, String>(3))
            .unwrap();
        steps.map(Result::unwrap).collect::<Vec<_>>().join("; ")
    }

    fn filter(field: &'static str, compare: Compare, value: FieldValue) -> RowQuery {
        RowQuery {
            filters: vec![RowFilter {
                field: field.into(),
                compare,
                value,
            }],
            ..RowQuery::default()
        }
    }

    #[test]
    fn an_index_serves_filters_order_and_pages() {
        let indexes = &["owner", "address.city", "it's odd"];
        let cursor = Some(es_runtime::projection::store::RowCursor {
            value: Some(FieldValue::Integer(5)),
            key: "a".to_owned(),
        });
        for field in *indexes {
            let ordered = RowQuery {
                order_by: Some((*field).into()),
                ..RowQuery::default()
            };
            let paged = RowQuery {
                after: cursor.clone(),
                ..ordered.clone()
            };
            let down = RowQuery {
                descending: true,
                ..paged.clone()
            };
            let text = || FieldValue::Text("Alice".to_owned());
            for (query, how) in [
                (filter(field, Compare::Equal, text()), "SEARCH"),
                (filter(field, Compare::Less, text()), "SEARCH"),
                (filter(field, Compare::AtLeast, FieldValue::Integer(5)), "SEARCH"),
                (ordered, "SCAN"),
                (paged, "SEARCH"),
                (down, "SEARCH"),
            ] {
                let plan = plan(indexes, &query);
                assert!(
                    plan.starts_with(how) && plan.contains("USING INDEX balances_v1_"),
                    "{query:?}: {plan}"
                );
                assert!(
                    query.order_by.is_none() || !plan.contains("TEMP B-TREE"),
                    "{query:?}: {plan}"
                );
                assert!(!plan.contains("SCAN") || how == "SCAN", "{query:?}: {plan}");
            }
        }
        let without = plan(&["owner"], &filter("cents", Compare::Equal, FieldValue::Integer(5)));
        assert!(without.starts_with("SCAN"), "{without}");
    }
}
