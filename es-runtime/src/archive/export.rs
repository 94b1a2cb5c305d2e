use std::fmt;
use std::pin::Pin;

use futures_util::TryStreamExt as _;
use tokio::io::AsyncWrite;
use tracing::Instrument as _;

use super::line::Line;
use super::write::Writer;
use super::{ArchiveError, Archived, Contents};

/// Called with the progress of an export or an import.
pub(super) type Progress<'a> = Box<dyn FnMut(Archived) + Send + 'a>;

/// Exports a store: `archive::export(store, output).await`, with options before the `await`.
#[must_use = "nothing is exported until it is awaited"]
pub struct Export<'a, W> {
    contents: Contents,
    output: W,
    progress: Progress<'a>,
}

impl<'a, W> Export<'a, W> {
    pub(super) fn new(contents: Contents, output: W) -> Self {
        Self {
            contents,
            output,
            progress: Box::new(|_| {}),
        }
    }

    /// Calls `progress` each time that a part is written.
    pub fn progress(mut self, progress: impl FnMut(Archived) + Send + 'a) -> Self {
        self.progress = Box::new(progress);
        self
    }
}

impl<W: AsyncWrite + Unpin> Export<'_, W> {
    async fn run(mut self) -> Result<Archived, ArchiveError> {
        let archive = self.contents.archive()?;
        let mut archived = Archived::default();
        let mut writer = Writer::new(self.output);
        writer.line(&Line::start()).await?;
        let mut records = self.contents.records(&*archive);
        while let Some(record) = records.try_next().await.map_err(ArchiveError::Read)? {
            record.count(&mut archived);
            if writer.line(&Line::of(&record)).await? {
                archived.bytes = writer.bytes;
                (self.progress)(archived);
            }
        }
        writer.line(&Line::end(archived)).await?;
        archived.bytes = writer.bytes;
        writer.finish().await?;
        (self.progress)(archived);
        Ok(archived)
    }
}

impl<'a, W> IntoFuture for Export<'a, W>
where
    W: AsyncWrite + Unpin + Send + 'a,
{
    type Output = Result<Archived, ArchiveError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run().instrument(tracing::info_span!("es.export")))
    }
}

impl<W> fmt::Debug for Export<'_, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Export").finish_non_exhaustive()
    }
}
