use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use es_runtime::{Clock, Limits, StoreError, StoreErrorKind};
use futures_util::TryFutureExt;
use tokio_postgres::Config;

use crate::PostgresStore;
use crate::batch;
use crate::connection::Connector;
use crate::doctor::{self, Finding, Risk};
use crate::error::Problem;
use crate::lane::{Lane, LaneSettings};
use crate::reader::{Reader, Usual};
use crate::schema::{self, Schema};
use crate::sessions::Sessions;
use crate::sql::Sql;
use crate::tls::{SslMode, Tls, TlsSettings};
use crate::url;
use crate::wake::Wake;

/// Options for connecting a [`PostgresStore`].
#[derive(Clone)]
#[must_use]
pub struct PostgresOptions {
    schema: Schema,
    clock: Option<Arc<dyn Clock>>,
    limits: Limits,
    readers: usize,
    pool: Option<Pool>,
    apply: bool,
    lock_timeout: Duration,
    answer_timeout: Duration,
    tls: TlsSettings,
    allowed: Vec<Risk>,
}

impl PostgresOptions {
    pub(crate) fn new() -> Self {
        Self {
            schema: Schema::default(),
            clock: None,
            limits: Limits::default(),
            readers: 8,
            pool: None,
            apply: false,
            lock_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(30),
            tls: TlsSettings::default(),
            allowed: Vec::new(),
        }
    }

    /// Uses the store in this schema instead of `es`.
    pub fn schema(mut self, schema: Schema) -> Self {
        self.schema = schema;
        self
    }

    /// Sets up the schema, or brings it up to date, before it is used. Without this, the schema is only
    /// [checked](schema::check).
    pub fn apply_schema(mut self) -> Self {
        self.apply = true;
        self
    }

    /// Sets the clock for recording times; the server's clock unless set. Leases and checkpoints always use the
    /// server's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Sets other limits for appends. Ids, names and keys cannot be longer than their columns allow.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the largest number of connections that read; 8 unless set. Appends use one of their own, and appends with
    /// inline projections up to as many again, opened when they are needed.
    pub fn readers(mut self, readers: usize) -> Self {
        self.readers = readers.max(1);
        self
    }

    /// Reads through this pool instead of one of the store's own. Appends use a connection of the store's own.
    pub fn pool(mut self, pool: Pool) -> Self {
        self.pool = Some(pool);
        self
    }

    /// Opens the store although [`doctor::examine`] finds this dangerous risk.
    pub fn allow(mut self, risk: Risk) -> Self {
        self.allowed.push(risk);
        self
    }

    /// Sets how long an append waits for another transaction that appends; 10 seconds unless set. Then it fails, and
    /// names the transaction that it waited for.
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout;
        self
    }

    /// Sets how long the server may take to answer; 30 seconds unless set. An append without an answer is
    /// [indeterminate](es_runtime::store::AppendError::Indeterminate). Must be longer than the lock timeout, and at
    /// most a year.
    pub fn answer_timeout(mut self, timeout: Duration) -> Self {
        const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
        self.answer_timeout = timeout.min(YEAR);
        self
    }

    /// Sets the encryption of [`connect_with`](Self::connect_with); by default as its configuration says. In a URL, use
    /// `sslmode`.
    pub fn ssl_mode(mut self, mode: SslMode) -> Self {
        self.tls.mode = Some(mode);
        self
    }

    /// Sets the file of root certificates for [`connect_with`](Self::connect_with), or `system` for those of the
    /// operating system, which are the default. In a URL: `sslrootcert`.
    pub fn ssl_root_cert(mut self, file: impl Into<PathBuf>) -> Self {
        self.tls.root_cert = Some(file.into());
        self
    }

    /// Sets the files of a client certificate and its key, in PEM, for [`connect_with`](Self::connect_with). In a URL:
    /// `sslcert` and `sslkey`.
    pub fn ssl_client_cert(mut self, cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.tls.client_cert = Some(cert.into());
        self.tls.client_key = Some(key.into());
        self
    }

    /// Connects to the database at `url`.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](StoreErrorKind::Unavailable) if the server cannot be reached; [`Rejected`](StoreErrorKind::Rejected)
    /// if it does not let us in, if the schema is not the one that this build works with, or if the
    /// [doctor](doctor::examine) finds a danger that was not [allowed](Self::allow).
    pub async fn connect(self, url: &str) -> Result<PostgresStore, StoreError> {
        let (config, tls) = url::parse(url)?;
        self.connect_by(config, &tls).await
    }

    /// Connects with a configuration of your own.
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect).
    pub async fn connect_with(self, config: Config) -> Result<PostgresStore, StoreError> {
        let tls = self.tls.clone();
        self.connect_by(config, &tls).await
    }

    async fn connect_by(self, config: Config, tls: &TlsSettings) -> Result<PostgresStore, StoreError> {
        self.check_limits()?;
        let connector = Connector {
            tls: Tls::new(tls, &config)?,
            config,
            lock_timeout: self.lock_timeout,
        };
        self.prepare(&connector).await?;
        let sql = Sql::new(&self.schema);
        let reader = Reader {
            pool: self.reading_pool(&connector)?,
            tls: connector.tls.clone(),
            names: sql.names(),
            patience: self.answer_timeout,
            closed: AtomicBool::new(false),
            usual: Usual::default(),
            named: Mutex::default(),
            sql,
        };
        let wake = Wake::new(connector.clone(), &self.schema, self.answer_timeout);
        let durably = !self.allowed.contains(&Risk::WeakDurability);
        let settings = LaneSettings {
            wake: Arc::clone(&wake),
            connector,
            schema: self.schema.clone(),
            patience: self.answer_timeout,
            clock: self.clock.clone(),
            append: batch::statement(&self.schema, durably, false),
            append_with_rows: batch::statement(&self.schema, durably, true),
            allowed: self.allowed,
        };
        let lane = Lane::open(settings.clone()).await?;
        Ok(PostgresStore {
            lane,
            inline: Arc::new(Sessions::new(settings, self.readers)),
            reader: Arc::new(reader),
            wake,
            limits: self.limits,
            schema: self.schema,
            patience: self.answer_timeout,
            owns_pool: self.pool.is_none(),
            clock: self.clock,
        })
    }

    /// Looks at the way to the server, at the server and at the schema, which is set up before if that is wanted. Nothing is set
    /// for a session before it is known that it is not shared with others.
    async fn prepare(&self, connector: &Connector) -> Result<(), StoreError> {
        /// The time that a session may take to end after its client has left.
        const ENDING: Duration = Duration::from_secs(10);
        let connecting = |error: tokio_postgres::Error| Problem::from(error).while_doing("connect");
        let connect = || in_time(self.answer_timeout, connector.bare().map_err(connecting));
        let (one, mut link) = (connect().await?, connect().await?);
        let way = doctor::examine_way(one, &link.client, ENDING);
        self.judge(&in_time(self.answer_timeout + ENDING, way).await?)?;
        let prepared = async {
            connector.set(&link).await.map_err(connecting)?;
            self.judge(&doctor::examine_server(&link.client).await?)?;
            if self.apply {
                schema::apply(&mut link.client, &self.schema).await?;
            } else {
                schema::check(&link.client, &self.schema).await?;
            }
            self.judge(&doctor::examine_schema(&link.client, &self.schema).await?)
        };
        in_time(self.answer_timeout, prepared).await
    }

    /// Fails on the first dangerous finding that is not allowed, and logs all others.
    fn judge(&self, findings: &[Finding]) -> Result<(), StoreError> {
        for finding in findings {
            if finding.risk.is_dangerous() && !self.allowed.contains(&finding.risk) {
                return Err(StoreError::new(
                    StoreErrorKind::Rejected,
                    format!(
                        "this server is not safe for a store: {finding}; to go on all the same, allow Risk::{:?}",
                        finding.risk
                    ),
                ));
            }
            tracing::warn!("{finding}");
        }
        Ok(())
    }

    fn reading_pool(&self, connector: &Connector) -> Result<Pool, StoreError> {
        if let Some(pool) = &self.pool {
            return Ok(pool.clone());
        }
        let config = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = Manager::from_connect(connector.config.clone(), connector.clone(), config);
        Pool::builder(manager)
            .max_size(self.readers)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(self.answer_timeout))
            .create_timeout(Some(self.answer_timeout))
            .build()
            .map_err(|error| Problem::Silent(error.to_string()).while_doing("make a pool"))
    }

    /// The columns have limits of their own, so that rows fit into their indexes.
    fn check_limits(&self) -> Result<(), StoreError> {
        let limits = &self.limits;
        for (what, limit, most) in [
            ("a category", limits.category, 512),
            ("a stream's id", limits.stream_id, 2000),
            ("an event's name", limits.event_name, 512),
            ("an idempotency key", limits.idempotency_key, 2000),
        ] {
            if limit > most {
                return Err(StoreError::new(
                    StoreErrorKind::Rejected,
                    format!("the limits allow {what} of {limit} bytes, PostgreSQL's columns hold at most {most}"),
                ));
            }
        }
        Ok(())
    }
}

async fn in_time<T>(time: Duration, answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(time, answer).await.unwrap_or_else(|_| {
        let silence = format!("the server did not answer within {} s", time.as_secs_f32());
        Err(Problem::Silent(silence).while_doing("connect"))
    })
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("schema", &self.schema)
            .field("readers", &self.readers)
            .finish_non_exhaustive()
    }
}
