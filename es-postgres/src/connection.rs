//! Connections with the settings that the promises rest on.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, ready};
use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Connect};
use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::error::DbError;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Notification};

use crate::tls::Tls;

/// Opens connections to one database.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) config: Config,
    pub(crate) tls: Tls,
    /// The longest time that a statement may wait for a lock.
    pub(crate) lock_timeout: Duration,
}

/// A connection, and what the server says on it beside the answers.
pub(crate) struct Link {
    pub(crate) client: Client,
    pub(crate) notices: Arc<Notices>,
    task: JoinHandle<()>,
}

impl Link {
    /// Returns whether the connection ends within this time.
    pub(crate) async fn ends_within(&mut self, time: Duration) -> bool {
        timeout(time, &mut self.task).await.is_ok()
    }

    /// The connection with a cache of its statements, and what the server says on it.
    pub(crate) fn into_wrapper(self) -> (ClientWrapper, Arc<Notices>) {
        (ClientWrapper::new(self.client, self.task), self.notices)
    }

    /// Closes the connection in order.
    pub(crate) async fn close(self) {
        drop(self.client);
        // It ends when the last bytes are sent, however it ends.
        let _ = self.task.await;
    }

    /// Closes the connection at once, whatever is under way on it.
    pub(crate) fn discard(self) {
        self.task.abort();
    }
}

type Notified = Box<dyn Fn(&Notification) + Send + Sync>;

/// Notices from the server that change the meaning of an answer.
#[derive(Default)]
pub(crate) struct Notices {
    /// Where to pass on what is notified.
    notified: Option<Notified>,
    unconfirmed: AtomicBool,
}

impl Notices {
    /// Returns whether a commit since the last call was not confirmed by the standbys that it should have waited for.
    pub(crate) fn take_unconfirmed(&self) -> bool {
        self.unconfirmed.swap(false, Ordering::AcqRel)
    }

    fn hear(&self, notice: &DbError) {
        // The sentence is translated and the SQLSTATE that of any warning; the routine that speaks is neither.
        if notice.routine() == Some("SyncRepWaitForLSN") {
            self.unconfirmed.store(true, Ordering::Release);
        }
        tracing::info!("the server says {}: {}", notice.severity(), notice.message());
    }
}

impl Connector {
    /// A connection that reads its own notices.
    pub(crate) async fn connect(&self) -> Result<Link, tokio_postgres::Error> {
        let link = self.bare().await?;
        self.set(&link).await?;
        Ok(link)
    }

    /// A connection on which nothing is set yet.
    pub(crate) async fn bare(&self) -> Result<Link, tokio_postgres::Error> {
        self.bare_with(Notices::default()).await
    }

    /// A connection that passes on what is notified on it.
    pub(crate) async fn listen(
        &self,
        notified: impl Fn(&Notification) + Send + Sync + 'static,
    ) -> Result<Link, tokio_postgres::Error> {
        let link = self.bare_with(Notices {
            notified: Some(Box::new(notified)),
            ..Notices::default()
        });
        let link = link.await?;
        self.set(&link).await?;
        Ok(link)
    }

    async fn bare_with(&self, notices: Notices) -> Result<Link, tokio_postgres::Error> {
        let (client, connection) = self.tls.connect(&self.config).await?;
        let notices = Arc::new(notices);
        let task = tokio::spawn(drive(connection, Arc::clone(&notices)));
        Ok(Link { client, notices, task })
    }

    /// Sets what the promises rest on.
    pub(crate) async fn set(&self, link: &Link) -> Result<(), tokio_postgres::Error> {
        let timeout = self.lock_timeout.as_millis();
        let settings = format!(
            "SET default_transaction_isolation = 'read committed'; SET lock_timeout = {timeout}; {}",
            include_str!("../sql/notice_lost_clients.sql")
        );
        link.client.batch_execute(&settings).await
    }
}

impl Connect for Connector {
    fn connect(&self, _: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), tokio_postgres::Error>> {
        Box::pin(async move {
            let link = Self::connect(self).await?;
            Ok((link.client, link.task))
        })
    }
}

/// Moves bytes until the connection ends. Notices are heard before the answer that comes behind them is passed on.
async fn drive<S, T>(connection: Connection<S, T>, notices: Arc<Notices>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut connection = pin!(connection);
    let ended = poll_fn(|context| {
        loop {
            match ready!(connection.as_mut().get_mut().poll_message(context)) {
                Some(Ok(AsyncMessage::Notice(notice))) => notices.hear(&notice),
                Some(Ok(AsyncMessage::Notification(notification))) => {
                    if let Some(notified) = &notices.notified {
                        notified(&notification);
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(error)),
                None => return Poll::Ready(Ok(())),
            }
        }
    });
    if let Err(error) = ended.await {
        tracing::debug!("a connection ended: {error}");
    }
}
