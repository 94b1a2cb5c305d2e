use std::fmt;
use std::time::SystemTime;

use tokio_postgres::Client;

use crate::error::Problem;
use crate::reader::Reader;

/// One session in the server: its process and when that began, because process ids come again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Backend {
    pid: i32,
    began: SystemTime,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} of the server", self.pid)
    }
}

/// The state of a session.
pub(crate) enum State {
    Ended,
    /// It is at a statement, perhaps at the commit.
    Busy,
    /// It waited for a statement, and was told to end.
    Ending,
}

impl Backend {
    /// The session of this connection.
    pub(crate) async fn of(client: &Client) -> Result<Self, Problem> {
        let row = client
            .query_one(
                "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()",
                &[],
            )
            .await?;
        Ok(Self {
            pid: row.try_get(0)?,
            began: row.try_get(1)?,
        })
    }

    /// Ends the session unless it is at work. A session at work is left alone: it may be waiting for a standby, and would stop
    /// to wait. One that waits for the rest of a request is not at work, though the server calls it active: a connection was
    /// lost in the middle of it.
    pub(crate) async fn end(&self, reader: &Reader) -> Result<State, Problem> {
        let rows = reader
            .rows(
                "SELECT CASE WHEN state IS DISTINCT FROM 'active' OR wait_event = 'ClientRead' THEN pg_terminate_backend(pid) END \
                 FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2",
                &[&self.pid, &self.began],
            )
            .await?;
        Ok(match rows.first() {
            None => State::Ended,
            Some(row) if row.try_get::<_, Option<bool>>(0)?.is_some() => State::Ending,
            Some(_) => State::Busy,
        })
    }
}
