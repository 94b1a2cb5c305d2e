//! The SQL of one table of rows.

use es_runtime::StoreError;
use es_runtime::store::{Compare, FieldValue, RowCount, RowCursor, RowFilter, RowQuery, RowTable, Zone, field_path};
use rusqlite::types::{ToSql, ToSqlOutput, Value, ValueRef};
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

    pub(crate) fn data(&self) -> String {
        format!("SELECT data FROM {} WHERE key = ?1", self.name)
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
    pub(crate) fn list(&self, query: &RowQuery) -> Result<(String, Vec<Parameter>), StoreError> {
        let mut list = List::default();
        for filter in &query.filters {
            list.filter(filter)?;
        }
        let limit = list.parameter(Value::Integer(query.limit.map_or(-1, i64::from)));
        let name = &self.name;
        let select = |conditions: &[String], order: &str| {
            let conditions = match conditions {
                [] => String::new(),
                conditions => format!("WHERE {}", conditions.join(" AND ")),
            };
            format!("SELECT key, data, position FROM {name} {conditions} ORDER BY {order} LIMIT {limit}")
        };
        let Some(field) = &query.order_by else {
            let order = list.order_by_key(query);
            return Ok((select(&list.conditions, &order), list.parameters));
        };
        // One after the other, so that an index serves each, and the second is only read if the first does not fill the page.
        let mut zones = Vec::new();
        for (index, zone) in query.zones().enumerate() {
            let after = query.after.as_ref().filter(|_| index == 0);
            let (conditions, order) = list.zone(zone, field, after, query)?;
            zones.push(select(&[&*list.conditions, &*conditions].concat(), &order));
        }
        let sql = match zones.as_slice() {
            [only] => only.clone(),
            zones => format!(
                "SELECT * FROM ({}) LIMIT {limit}",
                zones.join(") UNION ALL SELECT * FROM (")
            ),
        };
        Ok((sql, list.parameters))
    }
}

impl TableSql {
    /// Values with the number of their rows, with parameters. A value may come twice.
    pub(crate) fn count(&self, count: &RowCount) -> Result<(String, Vec<Parameter>), StoreError> {
        let mut list = List::default();
        for filter in &count.filters {
            list.filter(filter)?;
        }
        let name = &self.name;
        let select = |value: &str, condition: Option<String>, group: &str| {
            let conditions: Vec<String> = list.conditions.iter().cloned().chain(condition).collect();
            let conditions = match conditions.as_slice() {
                [] => String::new(),
                conditions => format!("WHERE {}", conditions.join(" AND ")),
            };
            format!("SELECT {value}, count(*) FROM {name} {conditions} {group}")
        };
        let sql = match &count.group_by {
            None => select("NULL", None, ""),
            Some(field) => {
                let (field, whole, most) = (expression(field)?, whole(field)?, RowQuery::ORDERED);
                // An index serves all but long text, of which it holds only the beginning.
                let short = format!("coalesce(octet_length({field}), 0) < {most}");
                let long = format!("octet_length({field}) >= {most}");
                [
                    select(&field, Some(short), "GROUP BY 1"),
                    select(&whole, Some(long), "GROUP BY 1"),
                ]
                .join(" UNION ALL ")
            }
        };
        Ok((sql, list.parameters))
    }
}

/// A parameter of a statement. Text may end within a character.
pub(crate) enum Parameter {
    Value(Value),
    Text(Vec<u8>),
}

impl ToSql for Parameter {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Value(value) => value.to_sql(),
            Self::Text(bytes) => Ok(ToSqlOutput::Borrowed(ValueRef::Text(bytes))),
        }
    }
}

impl From<Value> for Parameter {
    fn from(value: Value) -> Self {
        Self::Value(value)
    }
}

/// The field as a number or as text, whole. `true` and `false` are 1 and 0.
fn whole(field: &str) -> Result<String, StoreError> {
    Ok(format!("(data ->> {})", json_path(field)?))
}

/// Returns the expression that an index holds of a field and that queries compare: a number, or the first bytes of
/// text. NULL if the value does not compare.
fn expression(field: &str) -> Result<String, StoreError> {
    let (path, whole, most) = (json_path(field)?, whole(field)?, RowQuery::ORDERED);
    Ok(format!(
        "(CASE json_type(data, {path}) \
           WHEN 'text' THEN CASE WHEN octet_length({whole}) > {most} \
             THEN CAST(substr(CAST({whole} AS BLOB), 1, {most}) AS TEXT) ELSE {whole} END \
           WHEN 'integer' THEN {whole} WHEN 'real' THEN {whole} WHEN 'true' THEN {whole} WHEN 'false' THEN {whole} END)"
    ))
}

/// The path as a literal. Names that are plain words are written so, as people do.
fn json_path(field: &str) -> Result<String, StoreError> {
    let mut json_path = "'$".to_owned();
    for name in field_path(field)? {
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
    parameters: Vec<Parameter>,
}

impl List {
    /// The name under which it is passed.
    fn parameter(&mut self, value: impl Into<Parameter>) -> String {
        self.parameters.push(value.into());
        format!("?{}", self.parameters.len())
    }

    fn filter(&mut self, filter: &RowFilter) -> Result<(), StoreError> {
        let field = expression(&filter.field)?;
        let value = self.parameter(ordered(&filter.value));
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
                let exact = self.parameter(Value::Text(text.clone()));
                let whole = whole(&filter.field)?;
                self.conditions
                    .push(format!("{field} {nearly} {value} AND {whole} {operator} {exact}"));
            }
            _ => self.conditions.push(format!("{field} {operator} {value}")),
        }
        // The empty text stands between the numbers and all other text.
        let is_text = matches!(filter.value, FieldValue::Text(_));
        match filter.compare {
            Compare::Less | Compare::AtMost if is_text => self.conditions.push(format!("{field} >= ''")),
            Compare::Greater | Compare::AtLeast if !is_text => self.conditions.push(format!("{field} < ''")),
            _ => {}
        }
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
                let key = self.parameter(Value::Text(after.key.clone()));
                conditions.push(format!("key {behind} {key}"));
            }
            return Ok((conditions, format!("key {direction}")));
        }
        let mut conditions = vec![format!("{field} IS NOT NULL")];
        if let Some(after) = after
            && let Some(place) = &after.value
        {
            let place = self.parameter(ordered(place));
            let key = self.parameter(Value::Text(after.key.clone()));
            // The first part is what an index is searched by.
            conditions.push(format!(
                "{field} {behind}= {place} AND ({field} {behind} {place} OR key {behind} {key})"
            ));
        }
        Ok((conditions, format!("{field} {direction}, key {direction}")))
    }
}

/// The word for the order, and the sign for what comes behind.
fn directions(query: &RowQuery) -> (&'static str, &'static str) {
    if query.descending { ("DESC", "<") } else { ("ASC", ">") }
}

/// Returns what an index holds for a field with this value.
fn ordered(value: &FieldValue) -> Parameter {
    match value {
        FieldValue::Bool(bool) => Value::Integer((*bool).into()).into(),
        FieldValue::Integer(integer) => Value::Integer(*integer).into(),
        FieldValue::Float(float) => Value::Real(*float).into(),
        FieldValue::Text(text) => Parameter::Text(FieldValue::ordered(text).to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::{Connection, params_from_iter};

    use super::*;

    /// Returns SQLite's query plan for a table with these indexes.
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
        for field in *indexes {
            let ordered = RowQuery {
                order_by: Some((*field).into()),
                ..RowQuery::default()
            };
            let paged = RowQuery {
                after: Some(RowCursor {
                    order_by: Some((*field).into()),
                    value: Some(FieldValue::Integer(5)),
                    key: "a".to_owned(),
                }),
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
                    plan.contains(&format!("{how} balances_v1 USING INDEX balances_v1_")),
                    "{query:?}: {plan}"
                );
                assert!(
                    query.order_by.is_none() || !plan.contains("TEMP B-TREE"),
                    "{query:?}: {plan}"
                );
                assert!(!plan.contains("SCAN balances_v1") || how == "SCAN", "{query:?}: {plan}");
            }
        }
        let without = plan(&["owner"], &filter("cents", Compare::Equal, FieldValue::Integer(5)));
        assert!(without.starts_with("SCAN"), "{without}");
    }
}
