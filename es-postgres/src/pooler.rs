use std::time::{Duration, Instant};

use tokio::time::sleep;
use tokio_postgres::{Client, SimpleQueryMessage};
use uuid::Uuid;

use crate::connection::Link;
use crate::error::Problem;

/// Returns whether something between here and the server lends one session to several clients in turn, or several
/// sessions to one client.
///
/// The mark is a lock of the session of `one`. As long as `one` is connected, it is held, and by the session of no other client; and when
/// it has left, it is held no more. A pooler in session mode resets a session before it lends it again. Nothing is set and nothing
/// prepared, which another client could come upon. `patience` is how long a session may take to end.
pub(crate) async fn shares_sessions(one: Link, other: &Client, patience: Duration) -> Result<bool, Problem> {
    let key = Uuid::now_v7().as_u64_pair().1.cast_signed();
    one.client
        .batch_execute(&format!("SELECT pg_advisory_lock({key})"))
        .await?;
    if holder(other, key).await? != Holder::Another || holder(&one.client, key).await? != Holder::This {
        return Ok(true);
    }
    one.close().await;
    let deadline = Instant::now() + patience;
    let mut pause = Duration::from_millis(1);
    loop {
        match holder(other, key).await? {
            Holder::Nobody => return Ok(false),
            Holder::This => return Ok(true),
            Holder::Another if Instant::now() > deadline => return Ok(true),
            Holder::Another => sleep(pause).await,
        }
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// Whose session holds a lock, as its client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    This,
    Another,
    Nobody,
}

async fn holder(client: &Client, key: i64) -> Result<Holder, Problem> {
    let sql = format!(
        "SELECT l.pid = pg_backend_pid() FROM pg_locks AS l WHERE l.locktype = 'advisory' AND l.objsubid = 1 \
         AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database()) \
         AND (l.classid::bigint << 32 | l.objid::bigint) = {key}"
    );
    let answers = client.simple_query(&sql).await?;
    let held = answers.iter().find_map(|answer| match answer {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    Ok(match held {
        Some("t") => Holder::This,
        Some(_) => Holder::Another,
        None => Holder::Nobody,
    })
}
