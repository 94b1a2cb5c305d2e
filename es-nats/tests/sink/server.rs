//! A server on loopback.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use es_nats::async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use es_nats::async_nats::jetstream::stream::{Config, StorageType, Stream};
use es_nats::async_nats::jetstream::{self, Message};
use es_nats::async_nats::{self, Client};
use es_tests::tempdir;
use futures_util::StreamExt as _;
use tempfile::TempDir;

/// A server with a folder of its own. It is killed in the end.
pub(crate) struct Server {
    folder: TempDir,
    port: u16,
    child: Child,
}

impl Server {
    /// Starts it, and waits until it answers.
    pub(crate) async fn start() -> Self {
        let folder = tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = spawn(&folder, port);
        let server = Self { folder, port, child };
        server.client().await;
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// A client that has been answered.
    pub(crate) async fn client(&self) -> Client {
        for _ in 0..600 {
            match async_nats::connect(self.url()).await {
                Ok(client) => return client,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        panic!("the server does not answer");
    }

    /// SIGKILL, and a new start on the same files.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        self.child = spawn(&self.folder, self.port);
        self.client().await;
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// A stream that takes everything below `bank`.
    pub(crate) async fn stream(&self, config: Config) -> Stream {
        let config = Config {
            name: "BANK".to_owned(),
            subjects: vec!["bank.>".to_owned()],
            storage: StorageType::File,
            ..config
        };
        jetstream::new(self.client().await).create_stream(config).await.unwrap()
    }

    /// All that the stream has.
    pub(crate) async fn messages(&self) -> Vec<Message> {
        let jetstream = jetstream::new(self.client().await);
        let mut stream = jetstream.get_stream("BANK").await.unwrap();
        let count = usize::try_from(stream.info().await.unwrap().state.messages).unwrap();
        let consumer = pull::Config {
            ack_policy: AckPolicy::None,
            deliver_policy: DeliverPolicy::All,
            ..pull::Config::default()
        };
        let consumer = stream.create_consumer(consumer).await.unwrap();
        let messages = consumer.messages().await.unwrap().take(count);
        messages.map(Result::unwrap).collect().await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Each message is flushed before it is confirmed, so that a kill loses none.
fn spawn(folder: &TempDir, port: u16) -> Child {
    let program = std::env::var("ES_TEST_NATS_SERVER").expect("set ES_TEST_NATS_SERVER to `$(scripts/nats-server)`");
    let config = folder.path().join("nats.conf");
    let store = folder.path().display();
    let text = format!(
        "listen: 127.0.0.1:{port}\nmax_payload: 65536\njetstream {{ store_dir: \"{store}\", sync_interval: always }}\n"
    );
    std::fs::write(&config, text).unwrap();
    Command::new(program)
        .arg("-c")
        .arg(config)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the server starts")
}

/// The value of a header.
pub(crate) fn header(message: &Message, name: &str) -> String {
    let headers = message.headers.as_ref().unwrap();
    headers.get(name).map(ToString::to_string).unwrap_or_default()
}
