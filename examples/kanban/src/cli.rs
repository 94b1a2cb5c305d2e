//! The command line.

use std::io::{self, ErrorKind, Write as _, stderr};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use es_cli::Es;
use es_runtime::{AppendId, SystemClock, Timestamp};

use es_sqlite::SqliteStore;

use crate::day::{Day, Played};
use crate::story::Story;
use crate::table::Table;
use crate::team::builder;
use crate::{BoardKey, BoardView, CardKey, ColumnKey, Handle, KanbanError, Team};

const EXAMPLES: &str = "\
Examples:
  kanban                                  play a day of ten hours into kanban.db; again, and nothing is left to play
  kanban board WEB                        the board as it is
  kanban board WEB --at 11:30             as it was on that day at half past eleven
  kanban card WEB-12                      all that has happened to a card
  kanban write WEB/Backlog 'Fix the map'  a new card
  kanban move WEB-12 Done                 refused if the column is full
  kanban assign WEB-12 ada
  kanban person mary 'Mary Shelley'       adds somebody, or changes their name
  kanban people
  kanban status                           how far the read model is; `events`, `state` and others look at what is stored
  kanban history card/WEB-12 --diff       what each event changed in a card

Exit status: 0 done, 1 refused or failed, 2 not understood; 3 something needs attention, 4 a dry run is refused.";

/// A kanban board that remembers every move.
///
/// Without a command it plays a scripted day, or what is left of it, and prints the board.
#[derive(Debug, Parser)]
#[command(name = "kanban", version, after_help = EXAMPLES)]
pub struct Cli {
    /// The file with everything
    #[arg(long, global = true, value_name = "FILE", default_value = "kanban.db")]
    file: PathBuf,

    #[command(subcommand)]
    command: Option<Given>,
}

#[derive(Debug, Subcommand)]
enum Given {
    #[command(flatten)]
    Board(Command),
    #[command(flatten)]
    Es(Es),
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print a board as a table of its columns
    Board {
        board: BoardKey,
        /// As it was then: 11:30 on the played day, or such as 2026-03-02T11:30:00Z
        #[arg(long, value_name = "TIME", value_parser = time)]
        at: Option<Timestamp>,
    },
    /// Print everything that has happened to a card
    Card { card: CardKey },
    /// Write a card
    Write {
        /// Such as WEB/Backlog
        column: ColumnKey,
        title: String,
    },
    /// Move a card to another column of its board
    Move { card: CardKey, column: String },
    /// Give a card to somebody, or to nobody
    Assign { card: CardKey, to: Option<Handle> },
    /// List the people
    People,
    /// Add a person, change their name, or remove them
    Person {
        handle: Handle,
        #[arg(required_unless_present = "remove")]
        name: Option<String>,
        /// Remove them
        #[arg(long, conflicts_with = "name")]
        remove: bool,
    },
}

impl Cli {
    /// Does what was asked, and says what became of it.
    pub async fn run(self) -> ExitCode {
        let result = match self.command {
            None => play(self.file).await,
            Some(Given::Es(es)) => return operate(self.file, es).await,
            Some(Given::Board(command)) => perform(self.file, command).await,
        };
        let printed = result.and_then(|text| match io::stdout().write_all(text.as_bytes()) {
            // The reader has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => Ok(written?),
        });
        let Err(error) = printed else {
            return ExitCode::SUCCESS;
        };
        let _ = writeln!(stderr(), "error: {}", error.line());
        ExitCode::FAILURE
    }
}

async fn play(file: PathBuf) -> Result<String, KanbanError> {
    let board: BoardKey = "WEB".parse()?;
    let (day, clock) = (Day::on(board.clone())?, Day::clock());
    let team = Team::open(&file, clock.clone()).await?;
    let hour = |time: Timestamp, played: &Played| {
        let Played { done, refused, .. } = played;
        // Unlike `eprintln`, this does not panic when nobody listens any more.
        let _ = writeln!(stderr(), "{time}  {done} steps done, {refused} refused");
    };
    let played = day.play(&team, &clock, hour).await?;
    let shown = print(&board, &team.board(&board).await?, &team);
    team.close().await?;
    let Played { before, done, refused } = played;
    Ok(format!(
        "{shown}\n{done} steps done, {refused} refused, {before} played before\n"
    ))
}

/// Does what an operator asks.
async fn operate(file: PathBuf, es: Es) -> ExitCode {
    let may_create = es.may_create();
    let builder = async {
        if !may_create && !file.exists() {
            return Err(KanbanError::NoFile(file));
        }
        Ok(builder(SqliteStore::open(&file).await?))
    };
    es.run(builder).await
}

async fn perform(file: PathBuf, command: Command) -> Result<String, KanbanError> {
    // A mistake creates no file.
    if !file.exists() {
        return Err(KanbanError::NoFile(file));
    }
    let team = Team::open(&file, SystemClock).await?;
    let request = AppendId::new().to_string();
    let text = match command {
        Command::Board { board, at: None } => print(&board, &team.board(&board).await?, &team),
        Command::Board { board, at: Some(time) } => print(&board, &team.board_at(&board, time).await?, &team),
        Command::Card { card } => Story::of(&team, &card).await?.to_string(),
        Command::Write { column, title } => format!("{}\n", team.write_card(&column, &title, &request).await?),
        Command::Move { card, column } => {
            let to = card.board().column(&column)?;
            team.move_card(&card, &to, &request).await?;
            Story::of(&team, &card).await?.to_string()
        }
        Command::Assign { card, to } => {
            team.assign(&card, to, &request).await?;
            Story::of(&team, &card).await?.to_string()
        }
        Command::People => people(&team),
        Command::Person { handle, name, .. } => {
            match name {
                Some(name) => team.settings.set_person(handle, name).await?,
                None => team.settings.remove_person(&handle).await?,
            }
            people(&team)
        }
    };
    team.close().await?;
    Ok(text)
}

fn print(key: &BoardKey, board: &BoardView, team: &Team) -> String {
    let shown = team.settings.workspace().shown as usize;
    Table { key, board, shown }.to_string()
}

fn people(team: &Team) -> String {
    let people = team.settings.people().into_iter();
    let lines: Vec<_> = people
        .map(|person| format!("{:<12}  {}", person.handle, person.name))
        .collect();
    lines.join("\n") + "\n"
}

/// Reads a time, or a time of day of the played day.
fn time(text: &str) -> Result<Timestamp, String> {
    let text = if text.len() == 5 {
        format!("2026-03-02T{text}:00Z")
    } else {
        text.to_owned()
    };
    text.parse().map_err(|error| format!("{error}, or like 11:30"))
}
