//! The comparison of items with what is stored of them.

use futures_util::TryStreamExt as _;

use super::ImportError;
use super::batch::Part;
use crate::runtime::Runtime;
use crate::store::ReadStream;
use crate::{AppendId, LoadError, RecordedEvent, StoreError, StreamId, Version};

/// The number of events that are stored already, of those to be appended to a stream, and the version behind which the
/// rest goes.
pub(super) struct Found {
    pub(super) stored: usize,
    pub(super) version: Version,
}

/// The knowledge of an import about a stream.
#[derive(Clone, Copy)]
pub(super) enum Known {
    /// Everything that it wrote before is at or below this version.
    Version(Version),
    /// It wrote nothing before.
    Nothing,
    /// It may have written before, and has forgotten.
    Forgotten,
}

/// The reason why a stream could not be compared, or differs.
pub(super) enum Fault {
    Differs(Box<ImportError>),
    Load(LoadError),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Load(error.into())
    }
}

/// Compares what stands in the stream of `parts`, behind what the import knows of it, with what they are about to
/// append to it.
pub(super) async fn find(
    runtime: &Runtime,
    import: AppendId,
    parts: &[Part],
    stream: &StreamId,
    known: Known,
) -> Result<Found, Fault> {
    let mut wanted = Vec::new();
    for part in parts {
        wanted.extend(
            (part.first..)
                .zip(&part.events)
                .map(|(number, event)| (part, number, event)),
        );
    }
    let mut found = Found {
        stored: 0,
        version: match known {
            Known::Version(version) => version,
            Known::Nothing | Known::Forgotten => Version::ZERO,
        },
    };
    let query = ReadStream::new(stream.clone()).from(found.version.next());
    let mut events = runtime.0.store.read_stream(query);
    while let Some(&(part, number, new)) = wanted.get(found.stored) {
        let Some(event) = events.try_next().await? else {
            break;
        };
        match import.index_of(event.id) {
            None => return Err(foreign(part.item, event)),
            Some(at) if at == number && (part.is_same)(&event, new) => {
                found.stored += 1;
            }
            Some(at) if at < number && found.stored == 0 && matches!(known, Known::Forgotten) => {}
            Some(_) => return Err(changed(part.item, event)),
        }
        found.version = event.version;
    }
    Ok(found)
}

fn foreign(item: u64, event: RecordedEvent) -> Fault {
    Fault::Differs(Box::new(ImportError::Foreign {
        item,
        stream: event.stream,
        version: event.version,
        name: event.name,
    }))
}

fn changed(item: u64, event: RecordedEvent) -> Fault {
    Fault::Differs(Box::new(ImportError::Changed {
        item,
        stream: event.stream,
        version: event.version,
        name: event.name,
    }))
}
