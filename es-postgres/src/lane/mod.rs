//! The one connection on which a store appends.

mod rows;

use std::sync::Arc;
use std::time::Duration;

use es_runtime::store::{AppendError, InlineError};
use es_runtime::{Clock, Position, StoreError, Timestamp};
use futures_util::future::join;
use tokio::sync::{mpsc, oneshot};
use tokio::task::yield_now;
use tokio::time::timeout;
use tokio_postgres::Statement;

use crate::backend::Backend;
use crate::batch::{self, Answer, Encoded, Filling};
use crate::connection::{Connector, Link};
use crate::doctor::{self, Risk};
use crate::doubt::Doubtful;
use crate::error::Problem;
use crate::holder;
use crate::outcome::{Outcome, Phase, outcome};
use crate::patience::Patience;
use crate::reply::{Answered, NotDone, Replies, Reply, Waiting, ended, pause};
use crate::schema::Schema;
use crate::wake::Wake;

/// Where appends are handed over to the lane. What arrives while a batch is under way goes into the next one, so that the
/// appends of many callers share one round trip, one lock and one flush; a lone append is sent at once.
#[derive(Clone)]
pub(crate) struct Lane {
    requests: mpsc::UnboundedSender<Request>,
    pub(crate) doubtful: Doubtful,
}

enum Request {
    Append(Waiting),
    /// Answered when everything that was requested before has been.
    Barrier(oneshot::Sender<()>),
    /// The same, and nothing is done afterwards.
    Close(oneshot::Sender<()>),
}

/// Settings of the lane.
#[derive(Clone)]
pub(crate) struct LaneSettings {
    pub(crate) connector: Connector,
    pub(crate) schema: Schema,
    /// The longest time that the server may take to answer a batch.
    pub(crate) patience: Duration,
    /// The risks that are allowed.
    pub(crate) allowed: Vec<Risk>,
    /// The statement that appends.
    pub(crate) append: String,
    /// The same, in a transaction in which rows are locked.
    pub(crate) append_with_rows: String,
    /// Where the time of recording is taken from, if not from the server.
    pub(crate) clock: Option<Arc<dyn Clock>>,
    /// Told of every commit.
    pub(crate) wake: Arc<Wake>,
}

impl LaneSettings {
    /// Returns the current time, unless the server decides it.
    pub(crate) fn now(&self) -> Option<Timestamp> {
        self.clock.as_deref().map(Clock::now)
    }

    /// A connection for appends, on which what is committed is durable, as `ready` makes it ready.
    pub(crate) async fn open<T>(
        &self,
        ready: impl AsyncFnOnce(Link, Backend) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let opened = async {
            let link = self.connector.connect().await?;
            doctor::insist_on_durability(&link.client, &self.allowed).await?;
            let backend = Backend::of(&link.client).await?;
            ready(link, backend).await
        };
        timeout(self.patience, opened).await.unwrap_or_else(|_| {
            let waited = self.patience.as_secs_f32();
            Err(Problem::Silent(format!(
                "the server did not let us in within {waited} s"
            )))
        })
    }
}

impl Lane {
    /// Connects, and starts the task.
    pub(crate) async fn open(settings: LaneSettings) -> Result<Self, StoreError> {
        let (requests, queue) = mpsc::unbounded_channel();
        let doubtful = Doubtful::default();
        let mut worker = Worker {
            patience: Patience::new(settings.patience),
            settings,
            queue,
            held_back: None,
            had_company: false,
            unhinted: None,
            session: None,
            doubtful: doubtful.clone(),
        };
        Session::kept_or_opened(&mut worker.session, &worker.settings)
            .await
            .map_err(|problem| problem.while_doing("connect"))?;
        tokio::spawn(worker.run());
        Ok(Self { requests, doubtful })
    }

    pub(crate) async fn append(&self, append: Encoded) -> Result<Reply, InlineError> {
        match self.append_chain(vec![append]).await {
            Ok(mut replies) => replies.pop().unwrap_or_else(|| Err(AppendError::from(ended()).into())),
            Err(NotDone(_)) => unreachable!("of one append it is known which is to blame"),
        }
    }

    /// Appends one after the other, in one batch.
    pub(crate) async fn append_chain(&self, chain: Vec<Encoded>) -> Replies {
        let (reply, replies) = oneshot::channel();
        let request = Request::Append(Waiting::new(chain, reply));
        let replies = match self.requests.send(request) {
            // A request that was sent is always answered: see `Waiting`.
            Ok(()) => replies.await.ok(),
            Err(_) => None,
        };
        replies.unwrap_or_else(|| Ok(vec![Err(AppendError::from(ended()).into())]))
    }

    /// Waits until nothing that was asked for before is still to be sent by this process, and gives the sessions of which it
    /// is not known what they did.
    pub(crate) async fn settled(&self) -> Vec<Backend> {
        let (reply, reached) = oneshot::channel();
        if self.requests.send(Request::Barrier(reply)).is_ok() {
            // A task that has ended sends nothing more, either.
            let _ = reached.await;
        }
        self.doubtful.all()
    }

    /// Does what was requested, and ends.
    pub(crate) async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        if self.requests.send(Request::Close(reply)).is_ok() {
            // A task that is gone has closed its connection too.
            let _ = closed.await;
        }
    }
}

struct Worker {
    settings: LaneSettings,
    patience: Patience,
    queue: mpsc::UnboundedReceiver<Request>,
    /// A request that was taken from the queue, but did not fit into the batch.
    held_back: Option<Request>,
    /// True if the batch before had more than one append.
    had_company: bool,
    /// The head that the last batch made, if nobody was told yet.
    unhinted: Option<Position>,
    session: Option<Session>,
    doubtful: Doubtful,
}

/// The lane's connection.
struct Session {
    link: Link,
    backend: Backend,
    statement: Statement,
    with_rows: Option<rows::Statements>,
    /// True if a transaction may be open on it: then it is not used again.
    is_open: bool,
}

/// A batch that was rolled back, or has no answer.
enum Undone {
    /// All of it met this.
    Failed(Outcome, Problem),
    /// Because of these requests: each with its place in the batch.
    Refused(Vec<(usize, InlineError)>),
    /// Because of the request in this place, which is to be tried again when those before it are done.
    RefusedBehind(usize),
}

impl Worker {
    async fn run(mut self) {
        loop {
            match self.next().await {
                None => return,
                Some(Request::Barrier(reached)) => {
                    // Whoever asked may be gone.
                    let _ = reached.send(());
                }
                Some(Request::Close(closed)) => {
                    self.hint();
                    self.session = None;
                    let _ = closed.send(());
                    return;
                }
                Some(Request::Append(first)) => {
                    let batch = self.fill(first).await;
                    self.had_company = batch.len() > 1;
                    self.append(batch).await;
                }
            }
        }
    }

    /// The next request. Who was answered just now may have it ready: then others are told of the last batch when it is sent, so
    /// that telling them is in nobody's way.
    async fn next(&mut self) -> Option<Request> {
        if let Some(request) = self.held_back.take() {
            return Some(request);
        }
        if self.unhinted.is_some() {
            yield_now().await;
            if let Ok(request) = self.queue.try_recv() {
                return Some(request);
            }
            self.hint();
        }
        self.patience.without_end(self.queue.recv()).await
    }

    /// Tells who waits for events of the last batch.
    fn hint(&mut self) {
        if let Some(head) = self.unhinted.take() {
            self.settings.wake.appended(head);
        }
    }

    /// The batch that starts with `first`: what waits in the queue, and, where there are many callers, what is put there by tasks
    /// that are ready to run, such as those that the batch before has just answered. Else the first of them would be sent
    /// alone, and the others after it.
    async fn fill(&mut self, first: Waiting) -> Vec<Waiting> {
        let mut filling = Filling::default();
        filling.take(&first.chain);
        let mut batch = vec![first];
        loop {
            if self.had_company {
                yield_now().await;
            }
            let before = batch.len();
            while let Ok(request) = self.queue.try_recv() {
                match request {
                    Request::Append(waiting) if filling.take(&waiting.chain) => batch.push(waiting),
                    other => {
                        self.held_back = Some(other);
                        return batch;
                    }
                }
            }
            if batch.len() == before {
                return batch;
            }
        }
    }

    /// Sends a batch and answers all who wait for it.
    async fn append(&mut self, mut batch: Vec<Waiting>) {
        // A caller that no longer waits has not been sent to the server: its append never happened.
        batch.retain(|waiting| !waiting.is_deserted());
        // A batch that is undone because of a part of it is sent again in parts. The next one is the last of these.
        let mut parts = vec![batch];
        while let Some(mut part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            match self.send(&mut part).await {
                Ok(results) => self.reply(part, results),
                Err(Undone::Refused(refused)) => {
                    for (place, error) in refused.into_iter().rev() {
                        part.remove(place).refuse(error);
                    }
                    parts.push(part);
                }
                Err(Undone::RefusedBehind(place)) => {
                    let rest = part.split_off(place);
                    parts.extend([rest, part]);
                }
                Err(Undone::Failed(Outcome::BadValue, _)) if part.len() > 1 => {
                    parts.extend(part.into_iter().rev().map(|waiting| vec![waiting]));
                }
                Err(Undone::Failed(outcome, problem)) => {
                    let holder = self.holder(&problem).await;
                    for waiting in part {
                        waiting.fail(outcome, problem.clone(), holder.as_deref());
                    }
                }
            }
        }
    }

    fn reply(&mut self, batch: Vec<Waiting>, results: Vec<Vec<Answered>>) {
        let heads = results.iter().flatten().filter_map(|answered| match &answered.answer {
            Answer::Appended(appended) => appended.head(),
            _ => None,
        });
        self.unhinted = heads.max().or(self.unhinted);
        for (waiting, answers) in batch.into_iter().zip(results) {
            waiting.answer(answers);
        }
    }

    /// Sends a batch, again where another writer was in the way.
    async fn send(&mut self, batch: &mut [Waiting]) -> Result<Vec<Vec<Answered>>, Undone> {
        const ATTEMPTS: u32 = 10;
        for attempt in 1.. {
            let (outcome, problem) = match self.send_once(batch).await {
                Ok(done) => return done,
                Err((phase, problem)) => (outcome(&problem, phase), problem),
            };
            match outcome {
                Outcome::Indeterminate => self.doubt(),
                Outcome::Repeat if attempt < ATTEMPTS => {
                    tracing::debug!(attempt, "a batch collided with another writer: {problem}");
                    tokio::time::sleep(pause(attempt)).await;
                    continue;
                }
                _ => self.keep_if_usable(),
            }
            return Err(Undone::Failed(outcome, problem));
        }
        unreachable!("the last attempt returns");
    }

    /// Sends a batch. Without an error nothing is under way on the connection any more.
    async fn send_once(
        &mut self,
        batch: &mut [Waiting],
    ) -> Result<Result<Vec<Vec<Answered>>, Undone>, (Phase, Problem)> {
        self.keep_if_usable();
        let session = Session::kept_or_opened(&mut self.session, &self.settings);
        let session = session.await.map_err(|problem| (Phase::Connect, problem))?;
        let has_rows = batch.iter().any(|waiting| !waiting.chain[0].rows.is_empty());
        if has_rows && session.with_rows.is_none() {
            let prepared = self
                .patience
                .with(rows::Statements::prepare(&session.link, &self.settings));
            let prepared = prepared.await.unwrap_or_else(|| Err(silence(&self.settings)));
            session.with_rows = Some(prepared.map_err(|problem| (Phase::Open, problem))?);
        }
        let (wake, unhinted) = (&self.settings.wake, self.unhinted.take());
        let hinted = async {
            if let Some(head) = unhinted {
                // The batch goes out first.
                yield_now().await;
                wake.appended(head);
            }
        };
        for waiting in batch.iter_mut() {
            waiting.is_sent = true;
        }
        let batch: Vec<&[Encoded]> = batch.iter().map(|waiting| &waiting.chain[..]).collect();
        // Before those who wait are told, who may ask about it at once.
        let unheard = self.doubtful.unless_heard(&session.backend);
        let now = self.settings.now();
        let is_open = &mut session.is_open;
        let sent = async {
            let client = &session.link.client;
            match &session.with_rows {
                Some(statements) if has_rows => rows::send(client, is_open, statements, &batch, now).await,
                _ => match batch::send(client, &session.statement, &batch, now).await {
                    Ok(answers) => Ok(rows::Ended::Committed(answers)),
                    Err(problem) => Err((Phase::Sent, problem)),
                },
            }
        };
        let answers = self.patience.with(join(sent, hinted)).await;
        unheard.heard();
        let Some((answers, ())) = answers else {
            return Err((Phase::Sent, silence(&self.settings)));
        };
        let unconfirmed = session.link.notices.take_unconfirmed();
        let answered = |answer| Answered { answer, unconfirmed };
        Ok(match answers? {
            rows::Ended::Committed(answers) => Ok(answers
                .into_iter()
                .map(|answers| answers.into_iter().map(answered).collect())
                .collect()),
            rows::Ended::Refused(refused) => Err(Undone::Refused(refused)),
            rows::Ended::RefusedBehind(place) => Err(Undone::RefusedBehind(place)),
        })
    }

    /// Closes a connection that is gone, or on which a transaction is open. It is rolled back.
    fn keep_if_usable(&mut self) {
        let unusable = |session: &mut Session| session.is_open || session.link.client.is_closed();
        if let Some(session) = self.session.take_if(unusable) {
            session.link.discard();
        }
    }

    /// Gives up the session: it may still do what was sent, so it is not used again, and remembered until it is known
    /// to have ended.
    fn doubt(&mut self) {
        if let Some(session) = self.session.take() {
            self.doubtful.add(session.backend);
            session.link.discard();
        }
    }

    /// Returns the holder of the lock, if the batch waited for that in vain.
    async fn holder(&mut self, problem: &Problem) -> Option<String> {
        if problem.code().map(tokio_postgres::error::SqlState::code) != Some("55P03") {
            return None;
        }
        let session = self.session.as_ref()?;
        let named = holder::name(&session.link.client, &self.settings.schema);
        if let Ok(named) = timeout(self.settings.patience, named).await {
            return named.ok()?;
        }
        // The next batch would wait behind the question.
        self.session.take()?.link.discard();
        None
    }
}

impl Session {
    async fn kept_or_opened<'a>(kept: &'a mut Option<Self>, settings: &LaneSettings) -> Result<&'a mut Self, Problem> {
        match kept {
            Some(session) => Ok(session),
            none => Ok(none.insert(Self::open(settings).await?)),
        }
    }

    async fn open(settings: &LaneSettings) -> Result<Self, Problem> {
        settings
            .open(async |link, backend| {
                // Else the function would set it for each append.
                let idle = "SET idle_in_transaction_session_timeout = '30s'";
                link.client.batch_execute(idle).await?;
                let statement = link.client.prepare(&settings.append).await?;
                Ok(Self {
                    link,
                    backend,
                    statement,
                    with_rows: None,
                    is_open: false,
                })
            })
            .await
    }
}

fn silence(settings: &LaneSettings) -> Problem {
    let waited = settings.patience.as_secs_f32();
    Problem::Silent(format!("the server did not answer within {waited} s"))
}
