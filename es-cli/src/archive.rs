use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use es_runtime::Runtime;
use es_runtime::archive::{self, ArchiveError, Archived};
use serde_json::json;
use tokio::fs::File;

use crate::failed::Failed;
use crate::output::{Form, Output};

/// The pause between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Export {
    /// A file that does not exist yet, or - for stdout
    file: PathBuf,
    #[command(flatten)]
    pub(crate) form: Form,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Import {
    /// The file, or - for stdin
    file: PathBuf,
    #[command(flatten)]
    pub(crate) form: Form,
}

impl Export {
    pub(crate) async fn run(self, runtime: &Runtime, output: &mut Output<'_>) -> Result<(), Failed> {
        if is_pipe(&self.file) {
            let mut progress = Progress::new(output);
            let export = archive::export(runtime, tokio::io::stdout()).progress(|so_far| progress.at(so_far));
            let archived = export.await?;
            // The archive is the output.
            output.note(summary("exported", archived));
            return Ok(());
        }
        // Not over a file that may be the only archive of another store.
        let mut file = File::create_new(&self.file)
            .await
            .map_err(|error| at(&self.file, &error))?;
        let mut progress = Progress::new(output);
        let exported = archive::export(runtime, &mut file)
            .progress(|so_far| progress.at(so_far))
            .await;
        let synced = match exported {
            Ok(archived) => file
                .sync_all()
                .await
                .map(|()| archived)
                .map_err(|error| at(&self.file, &error)),
            Err(error) => Err(error.into()),
        };
        if synced.is_err() {
            // The file is only the beginning of an archive.
            let _ = tokio::fs::remove_file(&self.file).await;
        }
        done("exported", synced?, output)
    }
}

impl Import {
    /// Reads the archive to its end, so that nothing is stored of one that is damaged. What is piped can be read only once.
    pub(crate) async fn verify(&self) -> Result<(), Failed> {
        if !is_pipe(&self.file) {
            verified(&self.file).await?;
        }
        Ok(())
    }

    pub(crate) async fn run(self, runtime: &Runtime, output: &mut Output<'_>) -> Result<(), Failed> {
        let imported = if is_pipe(&self.file) {
            let mut progress = Progress::new(output);
            let import = archive::import(tokio::io::stdin(), runtime);
            import.progress(|so_far| progress.at(so_far)).await
        } else {
            let mut progress = Progress::new(output);
            let import = archive::import(opened(&self.file).await?, runtime);
            import.progress(|so_far| progress.at(so_far)).await
        };
        done("imported", imported?, output)
    }
}

/// Reads an archive to its end.
pub(crate) async fn verified(path: &Path) -> Result<Archived, Failed> {
    let verified: Result<_, ArchiveError> = archive::verify(opened(path).await?).await;
    Ok(verified?)
}

async fn opened(path: &Path) -> Result<File, Failed> {
    File::open(path).await.map_err(|error| at(path, &error))
}

fn at(path: &Path, error: &io::Error) -> Failed {
    Failed::Error(format!("{}: {error}", path.display()))
}

fn is_pipe(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Tells what was moved.
pub(crate) fn done(verb: &str, archived: Archived, output: &mut Output<'_>) -> Result<(), Failed> {
    if !output.is_json() {
        return output.line(summary(verb, archived));
    }
    output.json(&json!({
        "appends": archived.appends,
        "events": archived.events,
        "states": archived.states,
        "stored": archived.stored,
        "bytes": archived.bytes,
    }))
}

fn summary(verb: &str, archived: Archived) -> String {
    let Archived {
        appends,
        events,
        states,
        stored,
        bytes,
        ..
    } = archived;
    let there = match appends + states - stored {
        before if verb == "imported" && before > 0 => format!("; {before} of them were there before"),
        _ => String::new(),
    };
    format!("{verb} {events} events in {appends} appends, and {states} states ({bytes} bytes){there}")
}

/// Says how far it is, once in a while.
struct Progress<'o, 'w> {
    output: &'o mut Output<'w>,
    next: Instant,
}

impl<'o, 'w> Progress<'o, 'w> {
    fn new(output: &'o mut Output<'w>) -> Self {
        Self {
            output,
            next: Instant::now() + PROGRESS,
        }
    }

    fn at(&mut self, so_far: Archived) {
        if Instant::now() >= self.next {
            self.next = Instant::now() + PROGRESS;
            self.output.note(format!("{} events so far", so_far.events));
        }
    }
}
