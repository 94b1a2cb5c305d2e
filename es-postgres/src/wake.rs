//! Hints between processes: `NOTIFY` behind the commits of this one, `LISTEN` for those of others.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use es_runtime::Position;
use es_runtime::store::{AppendSignal, AppendSignalSource};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_postgres::Statement;

use crate::connection::{Connector, Link};
use crate::error::Problem;
use crate::rows::number;
use crate::schema::Schema;

/// The interval at which the listener checks that its connection still works, and that somebody still wants its hints.
const ALIVE: Duration = Duration::from_secs(15);

/// The longest pause before a connection that was lost is opened again.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A notification need not be durable: flushing it would compete with the appends. Set for this transaction only, not
/// for the session.
const NOTIFY: &str = "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2)";

/// The last known head of the log.
pub(crate) struct Wake {
    hints: AppendSignalSource,
    /// The head that this process made last, for the notifier.
    own: watch::Sender<Position>,
    listener: Mutex<Option<JoinHandle<()>>>,
    notifier: Mutex<Option<JoinHandle<()>>>,
    settings: Arc<Settings>,
    runtime: Handle,
}

struct Settings {
    connector: Connector,
    schema: String,
    channel: String,
    head: String,
    patience: Duration,
}

impl Wake {
    /// Opens no connection yet.
    pub(crate) fn new(connector: Connector, schema: &Schema, patience: Duration) -> Arc<Self> {
        Arc::new(Self {
            hints: AppendSignalSource::new(),
            own: watch::Sender::new(Position::ZERO),
            listener: Mutex::default(),
            notifier: Mutex::default(),
            settings: Arc::new(Settings {
                connector,
                schema: schema.name().to_owned(),
                channel: channel(schema.name()),
                head: schema.render("SELECT coalesce(max(position), 0) FROM \"es\".recorded_events"),
                patience,
            }),
            runtime: Handle::current(),
        })
    }

    /// Hints at a commit of this process, here and elsewhere. Never waits: the commits during one notification share the next.
    pub(crate) fn appended(&self, head: Position) {
        self.hints.wake(head);
        self.own.send_replace(head);
        let mut notifier = self.notifier.lock().unwrap_or_else(PoisonError::into_inner);
        if notifier.as_ref().is_none_or(JoinHandle::is_finished) {
            let heads = self.own.subscribe();
            *notifier = Some(self.runtime.spawn(notify(heads, Arc::clone(&self.settings))));
        }
    }

    /// Hints at the commits of all processes.
    pub(crate) fn wakes(self: &Arc<Self>) -> AppendSignal {
        // Under the lock, so that a listener that finds nobody does not end just now.
        let mut listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        let wakes = self.hints.wakes();
        if listener.is_none() {
            let listening = listen(Arc::downgrade(self), self.hints.clone(), Arc::clone(&self.settings));
            *listener = Some(self.runtime.spawn(listening));
        }
        wakes
    }

    /// Returns whether the listener should end because nobody holds hints.
    fn is_deserted(&self) -> bool {
        let mut listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        if self.hints.is_watched() {
            return false;
        }
        *listener = None;
        true
    }

    /// Closes the connections.
    pub(crate) fn close(&self) {
        for task in [&self.listener, &self.notifier] {
            if let Some(task) = &*task.lock().unwrap_or_else(PoisonError::into_inner) {
                task.abort();
            }
        }
    }
}

impl Drop for Wake {
    fn drop(&mut self) {
        self.close();
    }
}

/// The channel of a schema. PostgreSQL takes 63 bytes: schemas with long names may share one, and tell their hints apart.
fn channel(schema: &str) -> String {
    let mut channel = format!("es-postgres/{schema}");
    while channel.len() > 63 {
        channel.pop();
    }
    channel
}

fn hint(schema: &str, head: Position) -> String {
    format!("{} {schema}", head.0)
}

fn read_hint(schema: &str, payload: &str) -> Option<Position> {
    let (head, of) = payload.split_once(' ')?;
    (of == schema).then(|| head.parse().ok().map(Position))?
}

/// Sends each head that it sees, on a connection of its own: one that is stuck must not be in the way of appends.
async fn notify(mut heads: watch::Receiver<Position>, settings: Arc<Settings>) {
    let mut notifying = None;
    heads.mark_changed();
    while heads.changed().await.is_ok() {
        let head = *heads.borrow_and_update();
        if let Err(problem) = settings.send(&mut notifying, head).await {
            // It is only a hint: the next one will do.
            tracing::debug!("could not notify of an append: {problem}");
            notifying = None;
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Listens until nobody wants to hear any more.
async fn listen(wake: Weak<Wake>, hints: AppendSignalSource, settings: Arc<Settings>) {
    let mut pause = Duration::from_millis(50);
    loop {
        match settings.listen(&hints).await {
            Ok(mut link) => {
                pause = Duration::from_millis(50);
                // A connection may be gone without a word: then nobody answers.
                while !link.ends_within(ALIVE).await && settings.answers(&link).await {
                    if wake.upgrade().is_none_or(|wake| wake.is_deserted()) {
                        return link.discard();
                    }
                }
                link.discard();
            }
            Err(problem) => tracing::debug!("could not listen for appends: {problem}"),
        }
        if wake.upgrade().is_none_or(|wake| wake.is_deserted()) {
            return;
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

impl Settings {
    async fn answers(&self, link: &Link) -> bool {
        let answer = timeout(self.patience, link.client.batch_execute("")).await;
        answer.is_ok_and(|answer| answer.is_ok())
    }

    async fn send(&self, notifying: &mut Option<(Link, Statement)>, head: Position) -> Result<(), Problem> {
        let sent = async {
            let (link, statement) = match notifying {
                Some(notifying) => notifying,
                none => {
                    let link = self.connector.connect().await?;
                    let statement = link.client.prepare(NOTIFY).await?;
                    none.insert((link, statement))
                }
            };
            let (channel, hint) = (&self.channel, hint(&self.schema, head));
            link.client.execute(statement, &[channel, &hint]).await?;
            Ok(())
        };
        match timeout(self.patience, sent).await {
            Ok(sent) => sent,
            Err(_) => Err(Problem::Silent("the server did not answer".to_owned())),
        }
    }

    /// A connection that listens, and a hint at what was appended while there was none.
    async fn listen(&self, hints: &AppendSignalSource) -> Result<Link, Problem> {
        let (source, schema) = (hints.clone(), self.schema.clone());
        let opened = async {
            let link = self
                .connector
                .listen(move |notification| {
                    if let Some(head) = read_hint(&schema, notification.payload()) {
                        source.wake(head);
                    }
                })
                .await?;
            let channel = self.channel.replace('"', "\"\"");
            link.client.batch_execute(&format!("LISTEN \"{channel}\"")).await?;
            let head: i64 = link.client.query_one(&self.head, &[]).await?.try_get(0)?;
            hints.wake(Position(number(head)));
            Ok(link)
        };
        match timeout(self.patience, opened).await {
            Ok(link) => link,
            Err(_) => Err(Problem::Silent("the server did not answer".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_of_schemas_that_share_a_channel_are_told_apart() {
        let (one, other) = ("é".repeat(30), format!("{}x", "é".repeat(30)));
        assert_eq!(channel(&one), channel(&other));
        assert!(channel(&one).len() <= 63);
        assert_eq!(read_hint(&one, &hint(&one, Position(7))), Some(Position(7)));
        assert_eq!(read_hint(&other, &hint(&one, Position(7))), None);
        assert_eq!(read_hint(&one, "7"), None);
    }
}
