use es_runtime::store::{CategoryFilter, Direction, ReadLog};
use tokio_postgres::types::ToSql;

use crate::names::Names;
use crate::rows::{EVENT_COLUMNS, STORED_COLUMNS};
use crate::schema::Schema;
use crate::store::holds_nul;

/// A read of a part of the log.
pub(crate) struct Filtered {
    pub(crate) sql: String,
    pub(crate) parameters: Vec<Box<dyn ToSql + Sync + Send>>,
}

/// The statements of reads, for one schema. Each is prepared once on each connection.
pub(crate) struct Sql {
    pub(crate) version: String,
    pub(crate) head: String,
    pub(crate) stored: String,
    pub(crate) resolve: String,
    pub(crate) find_key: String,
    pub(crate) key_of: String,
    pub(crate) events_of: String,
    pub(crate) stream_forwards: String,
    pub(crate) stream_backwards: String,
    pub(crate) load_forwards: String,
    pub(crate) load_backwards: String,
    pub(crate) log_forwards: String,
    pub(crate) log_backwards: String,
    pub(crate) streams: String,
    pub(crate) kinds: String,
    pub(crate) count: String,
    pub(crate) caps: String,
    pub(crate) set_cap: String,
    pub(crate) lift_cap: String,
    pub(crate) versions_between: String,
    pub(crate) nameless: String,
    names: String,
}

impl Sql {
    pub(crate) fn new(schema: &Schema) -> Self {
        let sql = |text: &str| schema.render(text);
        let events = format!("SELECT {EVENT_COLUMNS} FROM \"es\".recorded_events AS e");
        let of_stream = "e.stream = (SELECT s.id FROM \"es\".streams AS s WHERE s.category = $1 AND s.stream_id = $2)";
        // Bounds that the planner does not see: else it takes the plan that it makes for each load for better than the one that it could
        // keep, and makes one each time, which takes longer than a short stream.
        let by_version = |columns, order| {
            sql(&format!(
                "SELECT {columns} FROM \"es\".recorded_events AS e \
                 WHERE {of_stream} AND e.version BETWEEN (SELECT $3::bigint) AND (SELECT $4::bigint) \
                 ORDER BY e.version {order} LIMIT (SELECT $5::bigint)"
            ))
        };
        let by_position = |order| {
            sql(&format!(
                "{events} WHERE e.position BETWEEN $1 AND $2 ORDER BY e.position {order} LIMIT $3"
            ))
        };
        Self {
            version: sql(&format!(
                "SELECT coalesce(max(e.version), 0) FROM \"es\".recorded_events AS e WHERE {of_stream}"
            )),
            head: sql("SELECT coalesce(max(position), 0) FROM \"es\".recorded_events"),
            stored: sql("SELECT category, stream_id, events, version, position, recorded_at FROM \"es\".stored($1)"),
            resolve: sql("SELECT category, stream_id, events, version, position, recorded_at FROM \"es\".resolve($1)"),
            find_key: sql("SELECT fingerprint, append_id FROM \"es\".idempotency_keys WHERE key = $1"),
            key_of: sql("SELECT key, fingerprint FROM \"es\".idempotency_keys WHERE append_id = $1"),
            events_of: sql(&format!(
                "SELECT {EVENT_COLUMNS} FROM \"es\".recorded_events AS f JOIN \"es\".recorded_events AS e \
                 ON e.position BETWEEN f.position AND f.position + f.append_size - 1 \
                 WHERE f.append_id = $1 AND f.append_size > 0 ORDER BY e.position"
            )),
            stream_forwards: by_version(EVENT_COLUMNS, "ASC"),
            stream_backwards: by_version(EVENT_COLUMNS, "DESC"),
            load_forwards: by_version(STORED_COLUMNS, "ASC"),
            load_backwards: by_version(STORED_COLUMNS, "DESC"),
            log_forwards: by_position("ASC"),
            log_backwards: by_position("DESC"),
            streams: sql(
                "SELECT s.stream_id, (SELECT max(e.version) FROM \"es\".recorded_events AS e WHERE e.stream = s.id) \
                 FROM \"es\".streams AS s WHERE s.category = $1 AND s.stream_id > $2 ORDER BY s.stream_id LIMIT $3",
            ),
            kinds: sql("SELECT category, name, shape_version FROM \"es\".event_types"),
            count: sql(
                "SELECT count(*) FROM \"es\".recorded_events AS e JOIN \"es\".streams AS s ON s.id = e.stream \
                 WHERE s.category = $1 AND e.name = $2 AND e.shape_version = $3",
            ),
            caps: sql("SELECT category, name, highest FROM \"es\".write_caps ORDER BY category, name"),
            set_cap: sql(
                "INSERT INTO \"es\".write_caps (category, name, highest) VALUES ($1, $2, $3) \
                 ON CONFLICT (category, name) DO UPDATE SET highest = excluded.highest",
            ),
            lift_cap: sql("DELETE FROM \"es\".write_caps WHERE category = $1 AND name = $2"),
            // From the end of the stream, where most readers are.
            versions_between: sql(&format!(
                "SELECT coalesce((SELECT e.version FROM \"es\".recorded_events AS e WHERE {of_stream} AND e.position < $3 \
                 ORDER BY e.version DESC LIMIT 1), 0) + 1, \
                 coalesce((SELECT e.version FROM \"es\".recorded_events AS e WHERE {of_stream} AND e.position <= $4 \
                 ORDER BY e.version DESC LIMIT 1), 0)"
            )),
            nameless: sql(
                "WITH part AS MATERIALIZED (SELECT e.stream FROM \"es\".recorded_events AS e \
                 WHERE e.version = 1 AND e.stream > $1 ORDER BY e.stream LIMIT $2) \
                 SELECT max(p.stream), count(*), (SELECT q.stream FROM part AS q \
                 WHERE NOT EXISTS (SELECT FROM \"es\".streams AS s WHERE s.id = q.stream) LIMIT 1) FROM part AS p",
            ),
            names: sql("SELECT id, category, stream_id FROM \"es\".streams WHERE id = ANY ($1)"),
        }
    }

    /// The statement that reads the events between two positions, of some categories only, with what it takes beside positions
    /// and limit.
    pub(crate) fn categories(schema: &Schema, query: &ReadLog, categories: &[CategoryFilter]) -> Filtered {
        let mut parameters: Vec<Box<dyn ToSql + Sync + Send>> = Vec::new();
        let mut parameter = |value: Box<dyn ToSql + Sync + Send>| {
            parameters.push(value);
            // Behind the two positions and the limit.
            format!("${}", parameters.len() + 3)
        };
        let of_each: Vec<String> = categories
            .iter()
            .filter(|of| !holds_nul(&of.category))
            .map(|of| {
                // A look into the index for each event, whatever the statistics say of a join.
                let category = format!(
                    "(SELECT s.category FROM \"es\".streams AS s WHERE s.id = e.stream) = {}",
                    parameter(Box::new(of.category.to_string()))
                );
                let Some(names) = &of.names else { return category };
                let names: Vec<String> = names
                    .iter()
                    .filter(|name| !holds_nul(name))
                    .map(ToString::to_string)
                    .collect();
                format!("e.name = ANY ({}) AND {category}", parameter(Box::new(names)))
            })
            .collect();
        let condition = match of_each.as_slice() {
            [] => "false".to_owned(),
            of_each => of_each.join(" OR "),
        };
        let order = match query.direction {
            Direction::Forwards => "ASC",
            Direction::Backwards => "DESC",
        };
        let sql = schema.render(&format!(
            "SELECT {EVENT_COLUMNS} FROM \"es\".recorded_events AS e \
             WHERE e.position BETWEEN $1 AND $2 AND ({condition}) ORDER BY e.position {order} LIMIT $3"
        ));
        Filtered { sql, parameters }
    }

    pub(crate) fn names(&self) -> Names {
        Names::new(self.names.clone())
    }
}
