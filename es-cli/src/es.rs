use std::process::ExitCode;

use clap::error::Error as ClapError;
use clap::{ArgMatches, Command as ClapCommand, FromArgMatches, Subcommand};
use es_runtime::{Builder, Error, EventStore, Runtime};

use crate::archive::{Export, Import};
use crate::dry_run::DryRun;
use crate::events::Events;
use crate::failed::Failed;
use crate::history::History;
use crate::keys::Keys;
use crate::output::{Form, Output};
use crate::parked::Parked;
use crate::processes::Processes;
use crate::projections::Projections;
use crate::schema::Schema;
use crate::state::State;
use crate::status::Status;
use crate::stream::Stream;
use crate::subscriptions::Subscriptions;
use crate::timers::Timers;
use crate::trace::Trace;
use crate::verify::Verify;

/// The operator's commands, as subcommands of a [clap](https://docs.rs/clap) command line.
///
/// Flatten them among your own, or nest them below one if a name is taken; then [run](Self::run) the one that was given.
#[derive(Debug, Clone)]
pub struct Es(Command);

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Show how far projections and process managers are; the exit status is 3 if one needs attention
    Status(Status),
    /// List events of all streams
    Events(Events),
    /// List the events of a stream, as they are stored
    Stream(Stream),
    /// Show the state of an aggregate, as it is or as it was
    State(State),
    /// Show each event of an aggregate with the state after it, or with what it changed
    History(History),
    /// Say what a command would do, to the state as it is or as it was; nothing is stored
    DryRun(DryRun),
    /// Show the events that follow from one request, each below the one that caused it
    Trace(Trace),
    /// Show projections with their segments, builds and stored versions; the exit status is 3 if one needs attention
    Projections(Projections),
    /// Show how far subscriptions are; the exit status is 3 if one needs attention
    Subscriptions(Subscriptions),
    /// Look after the events that projections have parked
    #[command(subcommand)]
    Parked(Parked),
    /// Look after the instances of process managers
    #[command(subcommand)]
    Processes(Processes),
    /// List the timers of process managers, the one that is due first at the top
    Timers(Timers),
    /// Look after the idempotency keys of requests
    #[command(subcommand)]
    Keys(Keys),
    /// Show the commands and events of this program, and whether it reads what is stored
    #[command(subcommand)]
    Schema(Schema),
    /// Fold every stream of every aggregate; the exit status is 3 if one cannot be read
    Verify(Verify),
    /// Write the whole store to an archive
    Export(Export),
    /// Store an archive, or the rest of it if an import was interrupted
    Import(Import),
}

impl Es {
    /// Returns whether the command is meant for a store that need not exist yet, as an import is.
    pub fn may_create(&self) -> bool {
        matches!(self.0, Command::Import(_))
    }

    /// Runs the command on the store of the builder, and returns the exit status: 0 if it is done, 1 if it failed, 2 if an argument cannot
    /// be meant so, 3 if it found something that needs attention, 4 if the domain refuses. The result goes to stdout, an error to stderr.
    ///
    /// [Opens](Builder::open) the runtime, so that nothing runs but the command. For an order to a reader of the log it is
    /// [started](Builder::start), as only who runs the projection can carry it out. Events that this build cannot read are no obstacle,
    /// except to the commands that read them. The store is closed in the end.
    pub fn run<S, E>(self, builder: impl Future<Output = Result<Builder<S>, E>>) -> impl Future<Output = ExitCode>
    where
        S: EventStore,
        E: Into<Error>,
    {
        // Boxed, as it holds the largest of all commands, and is part of the caller's future.
        Box::pin(async move {
            let mut output = Output::of_process(self.0.form());
            self.run_to(builder, &mut output).await.into()
        })
    }

    pub(crate) async fn run_to<S, E>(
        self,
        builder: impl Future<Output = Result<Builder<S>, E>>,
        output: &mut Output<'_>,
    ) -> u8
    where
        S: EventStore,
        E: Into<Error>,
    {
        let done = self.0.run(builder, output).await;
        let written = output.flush();
        let Err(failed) = done.and(written) else {
            return 0;
        };
        if let Some(message) = failed.message() {
            output.note(format!("error: {message}"));
        }
        failed.status()
    }
}

impl Command {
    fn form(&self) -> Form {
        match self {
            Self::Status(status) => status.form,
            Self::Events(events) => events.form,
            Self::Stream(stream) => stream.form,
            Self::State(state) => state.form,
            Self::History(history) => history.form,
            Self::DryRun(dry_run) => dry_run.form,
            Self::Trace(trace) => trace.form,
            Self::Projections(projections) => projections.form,
            Self::Subscriptions(subscriptions) => subscriptions.form,
            Self::Parked(parked) => parked.form(),
            Self::Processes(processes) => processes.form(),
            Self::Timers(timers) => timers.form,
            Self::Keys(keys) => keys.form(),
            Self::Schema(schema) => schema.form(),
            Self::Verify(verify) => verify.form,
            Self::Export(export) => export.form,
            Self::Import(import) => import.form,
        }
    }

    async fn run<S, E>(
        self,
        builder: impl Future<Output = Result<Builder<S>, E>>,
        output: &mut Output<'_>,
    ) -> Result<(), Failed>
    where
        S: EventStore,
        E: Into<Error>,
    {
        if let Self::Import(import) = &self {
            // Before anything is made of the store.
            import.verify().await?;
        }
        let builder = builder.await.map_err(|error| Failed::of(&error.into()))?;
        let builder = builder.allow_unreadable_events();
        let runtime = match &self {
            Self::Parked(parked) if parked.is_order() => builder.start().await?,
            Self::Processes(processes) if processes.is_order() => builder.start().await?,
            _ => builder.open().await?,
        };
        let done = self.on(&runtime, output).await;
        let closed = runtime.shutdown().await;
        done?;
        Ok(closed?)
    }

    async fn on(self, runtime: &Runtime, output: &mut Output<'_>) -> Result<(), Failed> {
        match self {
            Self::Status(status) => status.run(runtime, output).await,
            Self::Events(events) => events.run(runtime, output).await,
            Self::Stream(stream) => stream.run(runtime, output).await,
            Self::State(state) => state.run(runtime, output).await,
            Self::History(history) => history.run(runtime, output).await,
            Self::DryRun(dry_run) => dry_run.run(runtime, output).await,
            Self::Trace(trace) => trace.run(runtime, output).await,
            Self::Projections(projections) => projections.run(runtime, output).await,
            Self::Subscriptions(subscriptions) => subscriptions.run(runtime, output).await,
            Self::Parked(parked) => parked.run(runtime, output).await,
            Self::Processes(processes) => processes.run(runtime, output).await,
            Self::Timers(timers) => timers.run(runtime, output).await,
            Self::Keys(keys) => keys.run(runtime, output).await,
            Self::Schema(schema) => schema.run(runtime, output).await,
            Self::Verify(verify) => verify.run(runtime, output).await,
            Self::Export(export) => export.run(runtime, output).await,
            Self::Import(import) => import.run(runtime, output).await,
        }
    }
}

impl FromArgMatches for Es {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, ClapError> {
        Command::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), ClapError> {
        self.0.update_from_arg_matches(matches)
    }
}

impl Subcommand for Es {
    fn augment_subcommands(command: ClapCommand) -> ClapCommand {
        Command::augment_subcommands(command)
    }

    fn augment_subcommands_for_update(command: ClapCommand) -> ClapCommand {
        Command::augment_subcommands_for_update(command)
    }

    fn has_subcommand(name: &str) -> bool {
        Command::has_subcommand(name)
    }
}
