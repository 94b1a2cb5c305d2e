//! Encrypted connections, with the meaning that libpq gives to its `ssl…` parameters.

mod binding;
mod connector;
mod verifier;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use es_runtime::{StoreError, StoreErrorKind};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio::runtime::Handle;
use tokio_postgres::config::{Host, SslMode as Attempt};
use tokio_postgres::{CancelToken, Config, Error};

pub(crate) use connector::RustlsConnector;
use verifier::Verifier;

/// The level of encryption, and of certainty about who is at the other end. The words and their meaning are those
/// of libpq.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SslMode {
    /// Never.
    Disable,
    /// Only if the server refuses an unencrypted connection.
    Allow,
    /// If the server supports it. An attacker on the way can pretend that it does not.
    #[default]
    Prefer,
    /// Always, with any server. As [`VerifyCa`](Self::VerifyCa) if root certificates are named.
    Require,
    /// Always, with a server whose certificate comes from one of the roots.
    VerifyCa,
    /// Always, with a server whose certificate comes from one of the roots, and names the requested host.
    VerifyFull,
}

impl FromStr for SslMode {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        Ok(match text {
            "disable" => Self::Disable,
            "allow" => Self::Allow,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => {
                return Err(rejected(format!(
                    "sslmode `{text}` is none of disable, allow, prefer, require, verify-ca, verify-full"
                )));
            }
        })
    }
}

/// The TLS parameters of a connection string.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TlsSettings {
    pub(crate) mode: Option<SslMode>,
    /// A file of root certificates, or `system`.
    pub(crate) root_cert: Option<PathBuf>,
    pub(crate) client_cert: Option<PathBuf>,
    pub(crate) client_key: Option<PathBuf>,
}

/// The encryption of connections.
#[derive(Clone)]
pub(crate) struct Tls {
    mode: SslMode,
    connector: RustlsConnector,
}

impl Tls {
    /// Reads the files that the settings name. `config` says what was demanded there.
    pub(crate) fn new(settings: &TlsSettings, config: &Config) -> Result<Self, StoreError> {
        let mode = settings.mode.unwrap_or(match config.get_ssl_mode() {
            Attempt::Disable => SslMode::Disable,
            Attempt::Require => SslMode::Require,
            _ => SslMode::Prefer,
        });
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = match (mode, &settings.root_cert) {
            (SslMode::VerifyFull, root) => Verifier::full(roots(root.as_deref())?, &provider)?,
            (SslMode::VerifyCa, root) => Verifier::chain(roots(root.as_deref())?, &provider)?,
            (SslMode::Require, Some(root)) => Verifier::chain(roots(Some(root))?, &provider)?,
            _ => Verifier::nobody(&provider),
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| rejected("TLS cannot be set up").caused_by(error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let client = match (&settings.client_cert, &settings.client_key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(cert), Some(key)) => builder
                .with_client_auth_cert(certificates(cert)?, private_key(key)?)
                .map_err(|error| {
                    rejected(format!("`{}` is no key for `{}`", key.display(), cert.display())).caused_by(error)
                })?,
            _ => return Err(rejected("a client certificate needs both sslcert and sslkey")),
        };
        Ok(Self {
            mode,
            connector: RustlsConnector::new(client),
        })
    }

    /// The ways to connect, in the order in which they are tried.
    fn attempts(&self, config: &Config) -> &'static [Attempt] {
        // Nothing is encrypted on the way through a socket file, whatever is asked for.
        if !config.get_hosts().is_empty() && config.get_hosts().iter().all(|host| !matches!(host, Host::Tcp(_))) {
            return &[Attempt::Disable];
        }
        match self.mode {
            SslMode::Disable => &[Attempt::Disable],
            SslMode::Allow => &[Attempt::Disable, Attempt::Require],
            SslMode::Prefer => &[Attempt::Prefer, Attempt::Disable],
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => &[Attempt::Require],
        }
    }

    /// Connects in the first way that works; else gives the error of the first.
    pub(crate) async fn connect(&self, config: &Config) -> Result<Connected, Error> {
        let mut config = config.clone();
        let mut failed = None;
        for attempt in self.attempts(&config) {
            config.ssl_mode(*attempt);
            match config.connect(self.connector.clone()).await {
                Ok(connected) => return Ok(connected),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        Err(failed.unwrap_or_else(|| unreachable!("there is at least one way to connect")))
    }

    /// Has the server give up the statement that is under way on a connection: one that waits for a lock, or computes, does not notice
    /// that its client is gone. Does not wait for it.
    pub(crate) fn cancel(&self, token: CancelToken) {
        let connector = self.connector.clone();
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = token.cancel_query(connector).await {
                    tracing::debug!("could not cancel what nobody waits for: {error}");
                }
            });
        }
    }
}

type Connected = (
    tokio_postgres::Client,
    tokio_postgres::Connection<tokio_postgres::Socket, connector::RustlsStream>,
);

fn roots(file: Option<&Path>) -> Result<RootCertStore, StoreError> {
    let mut roots = RootCertStore::empty();
    match file {
        Some(file) if file != Path::new("system") => {
            for certificate in certificates(file)? {
                roots.add(certificate).map_err(|error| {
                    rejected(format!("`{}` holds something that cannot be a root", file.display())).caused_by(error)
                })?;
            }
        }
        _ => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
    }
    if roots.is_empty() {
        return Err(rejected(
            "there are no root certificates to verify the server by: name a file with sslrootcert",
        ));
    }
    Ok(roots)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| rejected(format!("no certificates can be read from `{}`", file.display())).caused_by(error))
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, StoreError> {
    PrivateKeyDer::from_pem_file(file)
        .map_err(|error| rejected(format!("no private key can be read from `{}`", file.display())).caused_by(error))
}

fn rejected(message: impl Into<String>) -> StoreError {
    StoreError::new(StoreErrorKind::Rejected, message)
}
