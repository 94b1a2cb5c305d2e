use es_runtime::store::{CategoryFilter, Direction};
use tokio_postgres::types::ToSql;

use crate::names::Names;
use crate::rows::{EVENT_COLUMNS, STORED_COLUMNS};
use crate::schema::Schema;
use crate::store::holds_nul;

/// The most positions that one statement searches for events that pass a filter, so that it ends in time however few
/// they are. The server expects this to cost less than the threshold at which it compiles a plan.
pub(crate) const WINDOW: u64 = 5_000;

/// A read of some events of the log.
pub(crate) struct Filtered {
    pub(crate) sql: String,
    /// The parameters of the statement besides the lowest and the highest position and the limit.
    pub(crate) parameters: Vec<Box<dyn ToSql + Sync + Send>>,
}

/// The statements of reads, for one schema. Each is prepared once on each connection.
pub(crate) struct Sql {
    pub(crate) version: String,
    pub(crate) head: String,
    pub(crate) now: String,
    pub(crate) stored: String,
    pub(crate) resolve: String,
    pub(crate) find_key: String,
    pub(crate) forget_keys: String,
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
    pub(crate) versions_between: String,
    pub(crate) nameless: String,
    names: String,
}

impl Sql {
    pub(crate) fn new(schema: &Schema) -> Self {
        let sql = |text: &str| schema.render(text);
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
        Self {
            version: sql(&format!(
                "SELECT coalesce(max(e.version), 0) FROM \"es\".recorded_events AS e WHERE {of_stream}"
            )),
            now: sql("SELECT greatest(coalesce($1, clock_timestamp()), \
                 (SELECT e.recorded_at FROM \"es\".recorded_events AS e ORDER BY e.position DESC LIMIT 1))"),
            head: sql("SELECT coalesce(max(position), 0) FROM \"es\".recorded_events"),
            stored: sql("SELECT category, stream_id, events, version, position, recorded_at FROM \"es\".stored($1)"),
            resolve: sql("SELECT category, stream_id, events, version, position, recorded_at FROM \"es\".resolve($1)"),
            find_key: sql("SELECT fingerprint, append_id FROM \"es\".idempotency_keys WHERE key = $1"),
            forget_keys: sql("SELECT last, forgotten FROM \"es\".forget_keys($1, $2, $3)"),
            key_of: sql("SELECT key, fingerprint FROM \"es\".idempotency_keys WHERE append_id = $1"),
            events_of: sql(&format!(
                "SELECT {EVENT_COLUMNS} FROM \"es\".recorded_events AS f \
                 CROSS JOIN generate_series(f.position, f.position + f.append_size - 1) AS place \
                 CROSS JOIN LATERAL (SELECT * FROM \"es\".recorded_events AS e WHERE e.position = place LIMIT 1) AS e \
                 WHERE f.append_id = $1 AND f.append_size > 0 ORDER BY e.position"
            )),
            stream_forwards: by_version(EVENT_COLUMNS, "ASC"),
            stream_backwards: by_version(EVENT_COLUMNS, "DESC"),
            load_forwards: by_version(STORED_COLUMNS, "ASC"),
            load_backwards: by_version(STORED_COLUMNS, "DESC"),
            log_forwards: sql(&of_log(Direction::Forwards, "", "")),
            log_backwards: sql(&of_log(Direction::Backwards, "", "")),
            streams: sql(
                // From a place in the index on, not what is of the category, of which the server would sort all.
                "SELECT s.stream_id, (SELECT max(e.version) FROM \"es\".recorded_events AS e WHERE e.stream = s.id) \
                 FROM (SELECT * FROM \"es\".streams AS s WHERE (s.category, s.stream_id) > ((SELECT $1), (SELECT $2)) \
                 ORDER BY s.category, s.stream_id LIMIT (SELECT $3::bigint)) AS s WHERE s.category = $1 ORDER BY s.stream_id",
            ),
            kinds: sql("SELECT category, name, shape_version FROM \"es\".event_types"),
            count: sql(
                "SELECT count(*) FROM \"es\".recorded_events AS e JOIN \"es\".streams AS s ON s.id = e.stream \
                 WHERE s.category = $1 AND e.name = $2 AND e.shape_version = $3",
            ),
            versions_between: sql(&format!(
                "SELECT {} + 1, {}",
                versions_where("e.position < $3"),
                versions_where("e.position <= $4")
            )),
            nameless: sql(
                "WITH part AS MATERIALIZED (SELECT e.stream, (SELECT s.id FROM \"es\".streams AS s WHERE s.id = e.stream) AS named \
                 FROM \"es\".recorded_events AS e WHERE e.version = 1 AND e.stream > (SELECT $1::bigint) \
                 ORDER BY e.stream LIMIT (SELECT $2::bigint)) \
                 SELECT max(p.stream), count(*), min(p.stream) FILTER (WHERE p.named IS NULL) FROM part AS p",
            ),
            names: sql(
                "SELECT s.id, s.category, s.stream_id FROM unnest($1::bigint[]) AS wanted \
                 CROSS JOIN LATERAL (SELECT * FROM \"es\".streams AS s WHERE s.id = wanted LIMIT 1) AS s",
            ),
        }
    }

    /// The statement that reads the events between two positions that are of some categories.
    pub(crate) fn categories(schema: &Schema, direction: Direction, categories: &[CategoryFilter]) -> Filtered {
        let mut parameters = Vec::new();
        let condition = format!("WHERE {}", condition(categories, &mut parameters));
        // A look into the index for each event, whatever the statistics say of a join.
        let category = ", (SELECT s.category FROM \"es\".streams AS s WHERE s.id = e.stream) AS category";
        let sql = schema.render(&of_log(direction, category, &condition));
        Filtered { sql, parameters }
    }

    pub(crate) fn names(&self) -> Names {
        Names::new(self.names.clone())
    }
}

/// Counts the events of a stream for which the condition is true, which is true up to one of them and false after it.
/// Bisects the stream, as no index has positions by stream. Null if an event that it needs is missing.
fn versions_where(condition: &str) -> String {
    format!(
        "(WITH RECURSIVE part AS (SELECT s.id AS stream, 0::bigint AS low, \
         (SELECT max(e.version) FROM \"es\".recorded_events AS e WHERE e.stream = s.id) AS high \
         FROM \"es\".streams AS s WHERE s.category = $1 AND s.stream_id = $2 \
         UNION ALL SELECT p.stream, CASE WHEN e.is_in THEN p.middle ELSE p.low END, CASE WHEN e.is_in THEN p.high ELSE p.middle - 1 END \
         FROM (SELECT *, (low + high + 1) / 2 AS middle FROM part WHERE low < high) AS p \
         CROSS JOIN LATERAL (SELECT {condition} AS is_in FROM \"es\".recorded_events AS e \
         WHERE e.stream = p.stream AND e.version = p.middle LIMIT 1) AS e) \
         SELECT CASE WHEN count(*) = 0 THEN 0 WHEN bool_or(low = high) THEN max(low) END FROM part)"
    )
}

/// The statement that reads the events between two positions.
///
/// Its bounds are hidden from the planner, as those of a stream are, and so near to each other that no plan reads much in vain, whatever the
/// server knows of the tables: one that sorts what it has found sorts no more than was asked for. That these are few is said inside.
fn of_log(direction: Direction, column: &str, condition: &str) -> String {
    let order = match direction {
        Direction::Forwards => "ASC",
        Direction::Backwards => "DESC",
    };
    format!(
        "SELECT {EVENT_COLUMNS} FROM (SELECT e.*{column} FROM \"es\".recorded_events AS e \
         WHERE e.position BETWEEN (SELECT $1::bigint) AND (SELECT $2::bigint) ORDER BY e.position {order} LIMIT {WINDOW}) AS e \
         {condition} ORDER BY e.position {order} LIMIT (SELECT $3::bigint)"
    )
}

/// Returns the condition that an event is of one of the categories, or of a stream that has lost its name, which may be
/// one of them. Adds the values that it compares with to the parameters.
fn condition(categories: &[CategoryFilter], parameters: &mut Vec<Box<dyn ToSql + Sync + Send>>) -> String {
    let mut parameter = |value: Box<dyn ToSql + Sync + Send>| {
        parameters.push(value);
        // Behind the two positions and the limit.
        format!("${}", parameters.len() + 3)
    };
    let mut of_each = vec!["e.category IS NULL".to_owned()];
    for of in categories.iter().filter(|of| !holds_nul(&of.category)) {
        let category = format!("e.category = {}", parameter(Box::new(of.category.to_string())));
        let Some(names) = &of.names else {
            of_each.push(category);
            continue;
        };
        let names = names.iter().filter(|name| !holds_nul(name));
        let names: Vec<String> = names.map(ToString::to_string).collect();
        of_each.push(format!("{category} AND e.name = ANY ({})", parameter(Box::new(names))));
    }
    of_each.join(" OR ")
}
