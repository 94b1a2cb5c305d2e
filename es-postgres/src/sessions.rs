//! Connections for appends that run alone, with the methods of inline projections.

use std::sync::{Arc, Mutex, PoisonError};

use deadpool_postgres::ClientWrapper;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::backend::Backend;
use crate::connection::Notices;
use crate::error::Problem;
use crate::lane::LaneSettings;
use crate::tls::Tls;

/// Connections of the store's own, with the settings that its promises rest on: opened when they are needed, kept for the next.
pub(crate) struct Sessions {
    pub(crate) settings: LaneSettings,
    idle: Mutex<Vec<Session>>,
    permits: Semaphore,
    most: u32,
}

pub(crate) struct Session {
    pub(crate) client: ClientWrapper,
    pub(crate) notices: Arc<Notices>,
    pub(crate) backend: Backend,
    /// Where names are looked up behind the tables of a projection.
    pub(crate) search_path: String,
    /// True if the commit was sent but not answered yet.
    pub(crate) is_committing: bool,
}

/// A session that nobody else uses. It is closed when it is dropped: whatever was under way on it is cancelled and rolled back, or in
/// doubt if that was the commit.
pub(crate) struct Lent<'a> {
    session: Option<Session>,
    tls: &'a Tls,
    _permit: SemaphorePermit<'a>,
}

impl Lent<'_> {
    pub(crate) fn session(&mut self) -> &mut Session {
        self.session
            .as_mut()
            .unwrap_or_else(|| unreachable!("it is taken at the end"))
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        // A commit may be waiting for a standby, and would stop to wait.
        if let Some(session) = self.session.take().filter(|session| !session.is_committing) {
            self.tls.cancel(session.client.cancel_token());
        }
    }
}

impl Sessions {
    /// At most so many at once.
    pub(crate) fn new(settings: LaneSettings, most: usize) -> Self {
        let most = u32::try_from(most).unwrap_or(u32::MAX).clamp(1, 1 << 16);
        Self {
            settings,
            idle: Mutex::default(),
            permits: Semaphore::new(most as usize),
            most,
        }
    }

    pub(crate) async fn lend(&self) -> Result<Lent<'_>, Problem> {
        let permit = match timeout(self.settings.patience, self.permits.acquire()).await {
            Ok(permit) => permit.map_err(|_| Problem::Closed)?,
            Err(_) => {
                return Err(Problem::Silent(
                    "no connection for appends with inline projections came free in time".to_owned(),
                ));
            }
        };
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let session = match idle {
                Some(session) if session.client.is_closed() => continue,
                Some(session) => session,
                None => Session::open(&self.settings).await?,
            };
            return Ok(Lent {
                session: Some(session),
                tls: &self.settings.connector.tls,
                _permit: permit,
            });
        }
    }

    /// Nothing is under way on it any more.
    pub(crate) fn give_back(&self, mut lent: Lent<'_>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.extend(lent.session.take());
    }

    /// Waits for what is under way, and closes all of them. Later calls are refused.
    pub(crate) async fn close(&self) {
        if let Ok(all) = self.permits.acquire_many(self.most).await {
            self.permits.close();
            drop(all);
        }
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Session {
    async fn open(settings: &LaneSettings) -> Result<Self, Problem> {
        settings
            .open(async |link, backend| {
                let asked = link
                    .client
                    .query_one("SELECT current_setting('search_path')", &[])
                    .await?;
                let (client, notices) = link.into_wrapper();
                Ok(Self {
                    client,
                    notices,
                    backend,
                    search_path: asked.try_get(0)?,
                    is_committing: false,
                })
            })
            .await
    }
}
