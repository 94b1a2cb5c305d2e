//! The six modes of libpq against servers of every kind: never a silent downgrade.

mod support;

use std::path::Path;

use es_postgres::{PostgresStore, Schema, schema};
use es_runtime::EventStore;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use support::{Cluster, append};
use tempfile::TempDir;
use tokio_postgres::Client;

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn issuer() -> Issuer {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate with its key, both in PEM.
fn certificate(name: &str, issuer: &Issuer) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    (params.signed_by(&key, issuer).unwrap().pem(), key.serialize_pem())
}

struct Server {
    cluster: Cluster,
    admin: Client,
    files: TempDir,
}

impl Server {
    /// With roles that get in in one way only. `None`, said why, for a server that was built without encryption.
    async fn start() -> Option<Self> {
        let cluster = Cluster::start(&[]);
        let asking = support::connect(&cluster.config).await;
        let library = asking.query_one("SHOW ssl_library", &[]).await.unwrap();
        if library.get::<_, &str>(0).is_empty() {
            println!("skipped: the server was built without SSL");
            return None;
        }
        let (ours, theirs) = (issuer(), issuer());
        let (cert, key) = certificate("localhost", &ours);
        cluster.write("server.crt", &cert);
        cluster.write("server.key", &key);
        cluster.write("root.crt", &ours.pem());
        cluster.write(
            "pg_hba.conf",
            "host all es all trust\nhostssl all encrypted all trust\nhostnossl all plain all trust\n\
             hostssl all password all scram-sha-256\nhostssl all certified all cert\n",
        );
        let files = tempfile::tempdir().unwrap();
        let (cert, key) = certificate("certified", &ours);
        for (name, content) in [
            ("ours.pem", ours.pem()),
            ("theirs.pem", theirs.pem()),
            ("client.pem", cert),
            ("client.key", key),
        ] {
            std::fs::write(files.path().join(name), content).unwrap();
        }
        cluster.stop();
        cluster.start_again(&["ssl=on", "ssl_ca_file=root.crt"]);
        let mut admin = support::connect(&cluster.config).await;
        admin
            .batch_execute(
                "CREATE ROLE encrypted LOGIN SUPERUSER; CREATE ROLE plain LOGIN SUPERUSER; CREATE ROLE certified LOGIN SUPERUSER; \
                 CREATE ROLE password LOGIN SUPERUSER PASSWORD 'hidden-word'",
            )
            .await
            .unwrap();
        schema::apply(&mut admin, &Schema::default()).await.unwrap();
        Some(Self { cluster, admin, files })
    }

    fn file(&self, name: &str) -> String {
        let path: &Path = &self.files.path().join(name);
        path.display().to_string()
    }

    /// Returns whether an append succeeds, over connections that are all encrypted.
    async fn append(&self, user: &str, host: &str, parameters: &str) -> Result<bool, String> {
        let port = self.cluster.config.get_ports()[0];
        let url = format!("postgres://{user}@{host}:{port}/postgres?{parameters}");
        let store = PostgresStore::connect(&url).await.map_err(|error| {
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("hidden-word"), "{shown}");
            shown
        })?;
        store.append(append("1", 0..1)).await.unwrap();
        store.head().await.unwrap();
        let sql = "SELECT bool_and(ssl), bool_or(ssl) FROM pg_stat_ssl NATURAL JOIN pg_stat_activity \
                   WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        let row = self.admin.query_one(sql, &[]).await.unwrap();
        let (all, any): (bool, bool) = (row.get(0), row.get(1));
        assert_eq!(all, any);
        drop(store);
        let others = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
                      WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        self.admin.batch_execute(others).await.unwrap();
        Ok(all)
    }
}

#[tokio::test]
async fn each_mode_does_what_libpq_says() {
    let Some(server) = Server::start().await else { return };
    let (ours, theirs) = (server.file("ours.pem"), server.file("theirs.pem"));
    // Host `127.0.0.1` is not in the certificate, which names `localhost`.
    for (user, host, parameters, encrypted) in [
        ("es", "localhost", "sslmode=disable", Some(false)),
        ("encrypted", "localhost", "sslmode=disable", None),
        ("es", "localhost", "sslmode=allow", Some(false)),
        ("encrypted", "localhost", "sslmode=allow", Some(true)),
        ("es", "localhost", "", Some(true)),
        ("es", "localhost", "sslmode=prefer", Some(true)),
        ("plain", "localhost", "sslmode=prefer", Some(false)),
        ("plain", "localhost", "sslmode=require", None),
        ("es", "127.0.0.1", "sslmode=require", Some(true)),
        (
            "es",
            "127.0.0.1",
            &format!("sslmode=require&sslrootcert={ours}"),
            Some(true),
        ),
        (
            "es",
            "127.0.0.1",
            &format!("sslmode=require&sslrootcert={theirs}"),
            None,
        ),
        (
            "es",
            "127.0.0.1",
            &format!("sslmode=verify-ca&sslrootcert={ours}"),
            Some(true),
        ),
        (
            "es",
            "localhost",
            &format!("sslmode=verify-ca&sslrootcert={theirs}"),
            None,
        ),
        (
            "plain",
            "localhost",
            &format!("sslmode=verify-ca&sslrootcert={ours}"),
            None,
        ),
        (
            "es",
            "localhost",
            &format!("sslmode=verify-full&sslrootcert={ours}"),
            Some(true),
        ),
        (
            "es",
            "127.0.0.1",
            &format!("sslmode=verify-full&sslrootcert={ours}"),
            None,
        ),
        (
            "es",
            "localhost",
            &format!("sslmode=verify-full&sslrootcert={theirs}"),
            None,
        ),
        ("es", "localhost", "sslmode=verify-full&sslrootcert=/missing.pem", None),
    ] {
        let result = server.append(user, host, parameters).await;
        match encrypted {
            Some(encrypted) => assert_eq!(result, Ok(encrypted), "{user} {host} {parameters}"),
            None => assert!(result.is_err(), "{user} {host} {parameters}"),
        }
    }
}

#[tokio::test]
async fn clients_show_who_they_are() {
    let Some(server) = Server::start().await else { return };
    let (cert, key) = (server.file("client.pem"), server.file("client.key"));
    let certified = format!("sslmode=require&sslcert={cert}&sslkey={key}");
    assert_eq!(server.append("certified", "localhost", &certified).await, Ok(true));
    assert!(
        server
            .append("certified", "localhost", "sslmode=require")
            .await
            .is_err()
    );

    let bound = "sslmode=require&channel_binding=require";
    assert_eq!(
        server.append("password:hidden-word", "localhost", bound).await,
        Ok(true)
    );
    assert!(
        server
            .append("password:hidden-word2", "localhost", bound)
            .await
            .is_err()
    );
    let unbound = server.append("es:hidden-word", "localhost", bound).await;
    assert!(unbound.is_err(), "a log-in without a password binds nothing");
}

#[tokio::test]
async fn a_server_without_encryption_is_refused_where_it_is_demanded() {
    let cluster = Cluster::start(&[]);
    let port = cluster.config.get_ports()[0];
    for mode in ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] {
        let url = format!("postgres://es@localhost:{port}/postgres?sslmode={mode}");
        let opened = PostgresStore::options().apply_schema().connect(&url).await;
        let encrypts = ["require", "verify-ca", "verify-full"].contains(&mode);
        assert_eq!(opened.is_err(), encrypts, "{mode}");
    }
}
