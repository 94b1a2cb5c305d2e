use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use es_runtime::StreamId;
use lru::LruCache;
use tokio_postgres::Client;

use crate::error::Problem;
use crate::rows::Cells;

/// The names of streams by the numbers of their rows, which never change. A join in the server instead would cost a quarter
/// of the speed of reading the log.
pub(crate) struct Names {
    known: Mutex<LruCache<i64, StreamId>>,
    query: String,
}

impl Names {
    const CAPACITY: NonZeroUsize = NonZeroUsize::new(1 << 16).unwrap();

    /// Of the table that `query` asks for `id, category, stream_id` by an array of ids.
    pub(crate) fn new(query: String) -> Self {
        Self {
            known: Mutex::new(LruCache::new(Self::CAPACITY)),
            query,
        }
    }

    /// The names of all these streams.
    pub(crate) async fn resolve(
        &self,
        client: &deadpool_postgres::ClientWrapper,
        mut numbers: Vec<i64>,
    ) -> Result<HashMap<i64, StreamId>, Problem> {
        numbers.sort_unstable();
        numbers.dedup();
        let mut found = HashMap::with_capacity(numbers.len());
        {
            let mut known = self.lock();
            numbers.retain(|number| match known.get(number) {
                Some(name) => found.insert(*number, name.clone()).is_some(),
                None => true,
            });
        }
        if !numbers.is_empty() {
            let asked = self.ask(client, &numbers).await?;
            let mut known = self.lock();
            for (number, name) in asked {
                known.put(number, name.clone());
                found.insert(number, name);
            }
        }
        Ok(found)
    }

    async fn ask(
        &self,
        client: &deadpool_postgres::ClientWrapper,
        numbers: &[i64],
    ) -> Result<Vec<(i64, StreamId)>, Problem> {
        let statement = client.prepare_cached(&self.query).await?;
        let rows = Client::query(client, &statement, &[&numbers]).await?;
        rows.iter()
            .map(|row| {
                let name = StreamId::new(row.read::<String>(1)?, row.read::<&str>(2)?);
                Ok((row.read(0)?, name))
            })
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<i64, StreamId>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
