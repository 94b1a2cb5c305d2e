//! The transaction that the methods of SQL projections get.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use deadpool_postgres::Transaction;
use es_runtime::projection::sql::{Awaited, SqlTransaction};
use futures_util::future::BoxFuture;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Error, Row, Statement};

/// The transaction in which an event is applied: what the `#[apply]` methods of an SQL projection take first.
///
/// Use plain names for the tables of the projection's version. Do not end the transaction: send no `COMMIT` or
/// `ROLLBACK`.
pub struct PgTransaction<'t> {
    transaction: &'t Transaction<'t>,
    /// Stands before each statement that is kept, because one of another version with the same text is another one.
    mark: &'t str,
    queue: Mutex<Queue<'t>>,
}

type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

impl<'t> PgTransaction<'t> {
    /// Sends a statement without waiting for its answer: for the one `INSERT` or `UPDATE` of an event, of which a
    /// projection that catches up sends thousands. It is prepared once on each connection, and kept.
    ///
    /// Statements run in the order in which they are sent, so later ones see its effect. If it fails, that counts as an
    /// error of its event's method.
    ///
    /// # Errors
    ///
    /// If the server cannot prepare the statement, or the parameters do not fit it.
    pub async fn enqueue(&self, sql: &str, parameters: Parameters<'_>) -> Result<(), Error> {
        /// The number of answers that may be pending at once.
        const MOST: usize = 1_000;
        let statement = self.prepare_marked(sql).await?;
        let Some(values) = Value::all(&statement, parameters) else {
            // It says what does not fit, and sends nothing.
            return self
                .done(self.transaction.execute(&statement, parameters))
                .await
                .map(drop);
        };
        let transaction = self.transaction;
        let mut running: BoxFuture<'t, _> =
            Box::pin(async move { transaction.execute_raw(&statement, values).await.map(drop) });
        // It is sent when it is asked first.
        if let Poll::Ready(done) = poll_fn(|context| Poll::Ready(running.as_mut().poll(context))).await {
            return done;
        }
        self.queue().push(running);
        poll_fn(|context| {
            let mut queue = self.queue();
            match queue.poll(context) {
                Poll::Pending if queue.waiting.len() >= MOST => Poll::Pending,
                _ => Poll::Ready(Ok(())),
            }
        })
        .await
    }

    /// Runs a statement that returns no rows, and returns the number of rows changed. It is prepared once on each
    /// connection, and kept.
    pub async fn execute(&self, sql: &str, parameters: Parameters<'_>) -> Result<u64, Error> {
        let statement = self.prepare_marked(sql).await?;
        self.done(self.transaction.execute(&statement, parameters)).await
    }

    /// Returns all rows of a query, which is prepared once on each connection, and kept.
    pub async fn query(&self, sql: &str, parameters: Parameters<'_>) -> Result<Vec<Row>, Error> {
        let statement = self.prepare_marked(sql).await?;
        self.done(self.transaction.query(&statement, parameters)).await
    }

    /// Returns the only row of a query; an error if it has none or several.
    pub async fn query_one(&self, sql: &str, parameters: Parameters<'_>) -> Result<Row, Error> {
        let statement = self.prepare_marked(sql).await?;
        self.done(self.transaction.query_one(&statement, parameters)).await
    }

    /// Returns the row of a query, if it has one; an error if it has several.
    pub async fn query_opt(&self, sql: &str, parameters: Parameters<'_>) -> Result<Option<Row>, Error> {
        let statement = self.prepare_marked(sql).await?;
        self.done(self.transaction.query_opt(&statement, parameters)).await
    }

    /// Gives access to the driver's other methods, such as `copy_in`, after everything that was enqueued.
    pub async fn raw(&self) -> &tokio_postgres::Transaction<'t> {
        self.settle().await;
        self.transaction
    }

    pub(super) fn new(transaction: &'t Transaction<'t>, mark: &'t str) -> Self {
        Self {
            transaction,
            mark,
            queue: Mutex::default(),
        }
    }

    /// The statements that follow are those of this step.
    pub(super) fn at(&self, step: usize) {
        self.queue().step = step;
    }

    /// Waits for the answers to everything that was enqueued. The first statement that failed, with its step.
    pub(super) async fn finish(self) -> Option<(usize, Error)> {
        self.settle().await;
        let queue = self.queue.into_inner().unwrap_or_else(PoisonError::into_inner);
        queue.failed
    }

    async fn settle(&self) {
        poll_fn(|context| self.queue().poll(context)).await;
    }

    async fn prepare_marked(&self, sql: &str) -> Result<Statement, Error> {
        let sql = format!("{}{sql}", self.mark);
        self.done(self.transaction.prepare_cached(&sql)).await
    }

    /// Awaits `work`, and meanwhile takes the answers before its own: otherwise the connection might not reach it.
    async fn done<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            let done = work.as_mut().poll(context);
            let _ = self.queue().poll(context);
            done
        })
        .await
    }

    fn queue(&self) -> MutexGuard<'_, Queue<'t>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SqlTransaction for PgTransaction<'static> {
    type At<'t> = PgTransaction<'t>;
}

impl Awaited for PgTransaction<'static> {}

/// Statements that were sent, in order.
#[derive(Default)]
struct Queue<'t> {
    step: usize,
    /// Those of which the answer is not there yet.
    waiting: VecDeque<(usize, BoxFuture<'t, Result<(), Error>>)>,
    /// The first that failed. The server does none behind it.
    failed: Option<(usize, Error)>,
}

impl<'t> Queue<'t> {
    fn push(&mut self, running: BoxFuture<'t, Result<(), Error>>) {
        self.waiting.push_back((self.step, running));
    }

    /// Takes the answers that are there. Ready if that is all of them.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while let Some((step, running)) = self.waiting.front_mut() {
            let done = ready!(running.as_mut().poll(context));
            if let (Err(error), None) = (done, &self.failed) {
                self.failed = Some((*step, error));
            }
            self.waiting.pop_front();
        }
        Poll::Ready(())
    }
}

/// A parameter as it is sent, so that the method's own need not be kept.
#[derive(Debug)]
struct Value {
    bytes: Option<BytesMut>,
    is_text: bool,
}

impl Value {
    /// `None` if they do not fit the statement.
    fn all(statement: &Statement, parameters: Parameters<'_>) -> Option<Vec<Self>> {
        if statement.params().len() != parameters.len() {
            return None;
        }
        let typed = statement.params().iter().zip(parameters);
        typed.map(|(ty, parameter)| Self::of(ty, *parameter)).collect()
    }

    fn of(ty: &Type, parameter: &(dyn ToSql + Sync)) -> Option<Self> {
        let mut bytes = BytesMut::new();
        let is_null = parameter.to_sql_checked(ty, &mut bytes).ok()?;
        Some(Self {
            bytes: matches!(is_null, IsNull::No).then_some(bytes),
            is_text: matches!(parameter.encode_format(ty), Format::Text),
        })
    }
}

impl ToSql for Value {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let Some(bytes) = &self.bytes else {
            return Ok(IsNull::Yes);
        };
        out.extend_from_slice(bytes);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        if self.is_text { Format::Text } else { Format::Binary }
    }

    to_sql_checked!();
}
