//! The connection of appends, cut at every byte of one, in both directions, in each way in which a connection can end.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use es_postgres::PostgresStore;
use es_runtime::store::{Append, AppendError, AppendRef};
use es_runtime::{EventStore, ExpectedVersion, Version};
use support::{Database, address, append, at_port, log, nothing_idle_in_transaction, scaled};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_postgres::Config;

/// How a connection ends.
#[derive(Debug, Clone, Copy)]
enum End {
    /// In order.
    Fin,
    /// By a reset.
    Rst,
    /// Without a word: nothing is passed on any more.
    Silence,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    ToServer,
    ToClient,
}

/// Cut after so many bytes of what goes one way over the connection of appends, counted from when it was set.
#[derive(Debug, Clone, Copy)]
struct Cut {
    way: Way,
    after: usize,
    end: End,
}

/// What the connections of the proxy share.
#[derive(Default)]
struct Plan {
    cut: Option<Cut>,
    /// Bytes of appends in each direction since the plan was made.
    passed: [usize; 2],
    was_cut: bool,
}

struct Proxy {
    config: Config,
    plan: Arc<Mutex<Plan>>,
}

impl Proxy {
    async fn before(database: &Database) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = address(&database.config);
        let plan = Arc::<Mutex<Plan>>::default();
        let shared = Arc::clone(&plan);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(server.clone()).await.unwrap();
                relay(client, server, &shared);
            }
        });
        let config = at_port(&database.config, port);
        Self { config, plan }
    }

    fn set(&self, cut: Option<Cut>) {
        *self.plan.lock().unwrap() = Plan { cut, ..Plan::default() };
    }

    fn passed(&self, way: Way) -> usize {
        self.plan.lock().unwrap().passed[way as usize]
    }

    fn was_cut(&self) -> bool {
        self.plan.lock().unwrap().was_cut
    }
}

fn relay(client: TcpStream, server: TcpStream, plan: &Arc<Mutex<Plan>>) {
    for socket in [&client, &server] {
        socket.set_nodelay(true).unwrap();
    }
    let (ended, end) = watch::channel(None);
    let ended = Arc::new(ended);
    // The others, for reads and for hints, go their own ways at their own times.
    let is_of_appends = Arc::new(AtomicBool::new(false));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::spawn(pass(
        Way::ToServer,
        from_client,
        to_server,
        Arc::clone(plan),
        Arc::clone(&is_of_appends),
        Arc::clone(&ended),
        end.clone(),
    ));
    tokio::spawn(pass(
        Way::ToClient,
        from_server,
        to_client,
        Arc::clone(plan),
        is_of_appends,
        ended,
        end,
    ));
}

/// Passes bytes on in one direction, until the plan or an end of the connection says otherwise.
async fn pass(
    way: Way,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    plan: Arc<Mutex<Plan>>,
    is_of_appends: Arc<AtomicBool>,
    ended: Arc<watch::Sender<Option<End>>>,
    mut end: watch::Receiver<Option<End>>,
) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read.unwrap_or(0),
            _ = end.changed() => 0,
        };
        let (allowed, cut) = if is_of_appends.load(Ordering::SeqCst) {
            plan.lock().unwrap().allow(way, read)
        } else {
            (read, None)
        };
        if way == Way::ToServer && prepares_append(&buffer[..read]) {
            is_of_appends.store(true, Ordering::SeqCst);
        }
        if allowed > 0 && to.write_all(&buffer[..allowed]).await.is_err() {
            break;
        }
        if let Some(cut) = cut {
            ended.send_replace(Some(cut));
            break;
        }
        if read == 0 {
            break;
        }
    }
    let said = *ended.borrow();
    match said {
        // Both sockets stay open and nobody hears from the other, as when a cable is pulled.
        Some(End::Silence) => tokio::time::sleep(Duration::from_secs(3600)).await,
        Some(End::Rst) => {
            let socket: &TcpStream = to.as_ref();
            let _ = socket.set_zero_linger();
        }
        _ => {
            let _ = to.shutdown().await;
        }
    }
    ended.send_replace(said);
}

/// Whether a statement that appends is prepared.
fn prepares_append(bytes: &[u8]) -> bool {
    const CALL: &[u8] = b".append(";
    bytes.windows(CALL.len()).any(|window| window == CALL)
}

impl Plan {
    /// How many of these bytes are passed on, and whether and how the connection ends behind them.
    fn allow(&mut self, way: Way, bytes: usize) -> (usize, Option<End>) {
        let passed = &mut self.passed[way as usize];
        let before = *passed;
        *passed += bytes;
        match self.cut {
            Some(cut) if cut.way == way && before + bytes > cut.after => {
                self.cut = None;
                self.was_cut = true;
                (cut.after - before, Some(cut.end))
            }
            _ => (bytes, None),
        }
    }
}

/// So many appends of which each rests on the one before: by version and without one in turn, the two kinds that are resolved.
fn chain(length: u64, version: u64, by_version: bool) -> Vec<Append> {
    let link = |number| {
        let mut link = append("a", 0..2);
        if by_version {
            link.streams[0].expected = ExpectedVersion::Exact(Version(version + 2 * number));
        }
        link
    };
    (0..length).map(link).collect()
}

/// Appends chains of this length through the proxy, once for each cut, and compares what was said with what is stored.
async fn cut_everywhere(end: End, step: usize, length: u64) {
    let database = Database::new().await;
    let proxy = Proxy::before(&database).await;
    let options = PostgresStore::options()
        .readers(2)
        .lock_timeout(Duration::from_secs(2))
        .answer_timeout(match end {
            End::Silence => Duration::from_millis(300),
            _ => Duration::from_secs(10),
        });
    let store = support::open(options, &proxy.config).await;
    let observer = database.open().await;
    let mut version = 0;
    // How many bytes an append takes, on a connection that has prepared its statement.
    for _ in 0..2 {
        proxy.set(None);
        let answers = store.append_chain(chain(length, version, true)).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        version += 2 * length;
    }
    let lengths = [Way::ToServer, Way::ToClient].map(|way| (way, proxy.passed(way)));
    let (mut cuts, mut indeterminate) = (0, 0);
    for (way, bytes) in lengths {
        for after in (0..bytes).step_by(step) {
            // On a connection that is there already: a cut of the log-in is another matter.
            store.append(append("warm", 0..1)).await.unwrap();
            let sent = chain(length, version, after % 2 == 0);
            let references: Vec<AppendRef> = sent.iter().map(AppendRef::of).collect();
            proxy.set(Some(Cut { way, after, end }));
            let answers = tokio::time::timeout(Duration::from_secs(20), store.append_chain(sent)).await;
            let answers = answers.unwrap_or_else(|_| panic!("{way:?} {after} {end:?}: the append hangs"));
            let was_cut = proxy.was_cut();
            proxy.set(None);
            cuts += usize::from(was_cut);
            let mut resolved = Vec::new();
            for reference in &references {
                let outcome = tokio::time::timeout(Duration::from_secs(20), store.resolve(reference)).await;
                let outcome = outcome.expect("an answer");
                let outcome = outcome.unwrap_or_else(|error| panic!("{way:?} {after}: {error}"));
                resolved.push(outcome.is_some());
            }
            let stored = observer.version(&references[0].stream).await.unwrap().0;
            let first = (stored - version) / 2;
            assert!(
                (0..)
                    .zip(&resolved)
                    .all(|(number, resolved)| *resolved == (number < first)),
                "{way:?} {after}: {resolved:?} of {first} that are stored"
            );
            let done = answers.iter().filter(|answer| answer.is_ok()).count();
            assert!(
                resolved[..done].iter().all(|resolved| *resolved),
                "{way:?} {after}: acknowledged"
            );
            match answers.last() {
                Some(Ok(_)) => assert_eq!(done, references.len()),
                Some(Err(AppendError::Indeterminate { append, .. })) => {
                    assert_eq!(
                        **append, references[done],
                        "{way:?} {after}: the first of which nothing is known"
                    );
                    indeterminate += 1;
                }
                Some(Err(error)) => assert!(
                    matches!(error, AppendError::Store(_)) && !resolved[done..].contains(&true),
                    "{way:?} {after}: {error}"
                ),
                None => panic!("{way:?} {after}: no answer"),
            }
            assert!(
                !was_cut || answers.last().is_some_and(Result::is_err),
                "{way:?} {after}: an answer was heard through a cut"
            );
            version = stored;
        }
    }
    let stored = log(&observer).await;
    let of_a = stored.iter().filter(|event| event.stream.id() == "a").count();
    assert_eq!(of_a as u64, version, "nothing is lost and nothing is doubled");
    println!("{end:?}: {cuts} cuts, {indeterminate} of them indeterminate");
    assert!(cuts > 0 && indeterminate > 0);
    nothing_idle_in_transaction(&database.client().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_fin() {
    cut_everywhere(End::Fin, 1, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_rst() {
    cut_everywhere(End::Rst, 1, 1).await;
}

/// Each of them takes a time-out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_silence() {
    cut_everywhere(End::Silence, scaled(17, 1), 1).await;
}

/// Of a chain the first appends are stored, each as a whole, wherever the cut is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_by_fin() {
    cut_everywhere(End::Fin, 1, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_by_rst() {
    cut_everywhere(End::Rst, scaled(3, 1), 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_by_silence() {
    cut_everywhere(End::Silence, scaled(41, 1), 3).await;
}
