//! Loads of a namespace, page after page.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use es_runtime::store::{Change, StateChange, StateKey};
use futures_util::{TryStreamExt, pin_mut};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use crate::error::Problem;
use crate::pages::{BYTES, FIRST, Fetched, PAGE, Pages};
use crate::reader::Reader;
use crate::rows::{Cells, Json, column};

/// The statement of a page, for a schema called `es`.
pub(super) const LOAD: &str = "SELECT kind, id, sequence, change, shape, payload FROM \"es\".states \
     WHERE namespace = $1 AND (kind, id) > ($2, $3) ORDER BY kind, id LIMIT $4";

/// The rest of a load of a namespace.
pub(super) struct Load {
    sql: Arc<str>,
    names: Names,
    /// No name is empty.
    after: (Arc<str>, String),
    /// The most states on the next page, if they are like those before; 0 if there are none.
    page: u64,
}

impl Load {
    pub(super) fn new(sql: String, namespace: &str) -> Self {
        Self {
            sql: sql.into(),
            names: Names::new(namespace),
            after: ("".into(), String::new()),
            page: FIRST,
        }
    }
}

impl Pages for Load {
    type Event = StateChange;

    fn is_empty(&self) -> bool {
        self.page == 0
    }

    fn most(&self) -> u64 {
        self.page
    }

    async fn fetch(mut self, reader: &Reader) -> Fetched<Self> {
        let page = match self.page(reader).await {
            // A connection that had been lost in the pool is replaced once.
            Err(problem) if problem.is_disconnect() => self.page(reader).await,
            page => page,
        };
        page.map(|changes| (changes, self))
    }
}

impl Load {
    /// The next states. A page ends where it comes to [`BYTES`].
    async fn page(&mut self, reader: &Reader) -> Result<Vec<StateChange>, Problem> {
        let Self {
            sql,
            names,
            after,
            page,
        } = self;
        let client = reader.client().await?;
        let (limit, mut size) = (column(*page), 0);
        let (mut changes, mut payloads) = (Vec::new(), Vec::new());
        let taking = async {
            let statement = client.prepare_cached(sql).await?;
            let arguments: [&(dyn ToSql + Sync); 4] = [&&*names.namespace, &&*after.0, &after.1, &limit];
            let rows = Client::query_raw(&client, &statement, arguments).await?;
            pin_mut!(rows);
            while size < BYTES
                && let Some(row) = rows.try_next().await?
            {
                size += row.raw_size_bytes();
                changes.push(change(&row, names, &mut payloads)?);
            }
            Ok::<_, Problem>(())
        };
        reader.in_time(reader.patience, taking).await??;
        let is_whole = changes.len() as u64 == *page;
        if is_whole || size < BYTES {
            client.give_back();
        }
        // Else the server would send the rest of the page before it hears the next question.
        match changes.last() {
            Some((last, _)) if is_whole || size >= BYTES => {
                *after = (Arc::clone(&last.key.kind), last.key.id.clone());
                *page = (BYTES as u64 / (size / changes.len()).max(1) as u64).clamp(1, PAGE);
            }
            _ => *page = 0,
        }
        let payloads = Bytes::from(payloads);
        let changes = changes.into_iter().map(|(change, payload)| StateChange {
            payload: payload.map(|payload| payloads.slice(payload)),
            ..change
        });
        Ok(changes.collect())
    }
}

/// The names in the keys of a load, of which there are few.
pub(super) struct Names {
    namespace: Arc<str>,
    kind: Arc<str>,
}

impl Names {
    pub(super) fn new(namespace: &str) -> Self {
        Self {
            namespace: namespace.into(),
            kind: "".into(),
        }
    }

    fn key(&mut self, kind: &str, id: String) -> StateKey {
        if *self.kind != *kind {
            self.kind = kind.into();
        }
        StateKey {
            namespace: Arc::clone(&self.namespace),
            kind: Arc::clone(&self.kind),
            id,
        }
    }
}

/// Reads a row. Its payload is put behind those before, because many small pieces of memory are dear.
pub(super) fn change(
    row: &Row,
    names: &mut Names,
    payloads: &mut Vec<u8>,
) -> Result<(StateChange, Option<Range<usize>>), Problem> {
    let key = names.key(row.read(0)?, row.read(1)?);
    let payload = row.read::<Option<Json<'_>>>(5)?.map(|payload| {
        let begin = payloads.len();
        payloads.extend_from_slice(payload.0);
        begin..payloads.len()
    });
    let change = StateChange {
        sequence: row.ordinal(2)?,
        change: match row.read::<i16>(3)? {
            0 => Change::Create,
            1 => Change::Update,
            2 => Change::Delete,
            other => {
                return Err(Problem::Damaged(format!(
                    "the state of `{key}`: it knows no change {other}"
                )));
            }
        },
        shape: row.read::<i64>(4)?.cast_unsigned(),
        payload: None,
        key,
    };
    Ok((change, payload))
}
