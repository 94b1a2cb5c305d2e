//! Checksums that detect events changed by the disk.

use es_runtime::{RecordedEvent, StoredEvent, StreamId};

use crate::crc::Crc;

/// The checksums of an event: of what folding reads, and of the rest. One number in the table, so that a load checks what it reads and
/// need not read more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checksum {
    folded: u32,
    rest: u32,
}

impl Checksum {
    pub(crate) fn from_column(column: i64) -> Self {
        let both = column.cast_unsigned();
        Self {
            folded: u32::try_from(both & u64::from(u32::MAX)).unwrap_or_default(),
            rest: u32::try_from(both >> 32).unwrap_or_default(),
        }
    }

    pub(crate) fn column(self) -> i64 {
        (u64::from(self.folded) | u64::from(self.rest) << 32).cast_signed()
    }
}

/// The checksums of one stream's events. Its name is in them, so that an event that is found under another one is noticed.
#[derive(Clone, Copy)]
pub(crate) struct Checksums(Crc);

/// The part of an event that folding reads.
pub(crate) struct Folded<'e> {
    pub(crate) id: &'e [u8; 16],
    pub(crate) version: u64,
    pub(crate) position: u64,
    pub(crate) recorded_at: i64,
    pub(crate) name: &'e str,
    pub(crate) shape_version: u32,
    pub(crate) payload: &'e [u8],
}

impl Checksums {
    pub(crate) fn of(stream: &StreamId) -> Self {
        let name = Crc::new().sized(stream.category().as_bytes());
        Self(name.sized(stream.id().as_bytes()))
    }

    /// The checksums to store. The metadata are in their stored form.
    pub(crate) fn event(self, folded: &Folded<'_>, metadata: &[u8]) -> Checksum {
        Checksum {
            folded: self.folded(folded),
            rest: rest(folded.position, metadata),
        }
    }

    /// Returns whether a recorded event is the one that was stored.
    pub(crate) fn is_of(self, event: &RecordedEvent, metadata: &[u8], stored: Checksum) -> bool {
        let folded = Folded {
            id: event.id.0.as_bytes(),
            version: event.version.0,
            position: event.position.0,
            recorded_at: event.recorded_at.as_micros(),
            name: &event.name,
            shape_version: event.shape_version,
            payload: &event.payload,
        };
        self.event(&folded, metadata) == stored
    }

    /// Returns whether the part that folding reads is as it was stored.
    pub(crate) fn is_of_folded(self, event: &StoredEvent, stored: Checksum) -> bool {
        let folded = Folded {
            id: event.id.0.as_bytes(),
            version: event.version.0,
            position: event.position.0,
            recorded_at: event.recorded_at.as_micros(),
            name: &event.name,
            shape_version: event.shape_version,
            payload: &event.payload,
        };
        self.folded(&folded) == stored.folded
    }

    fn folded(self, event: &Folded<'_>) -> u32 {
        let placed = self
            .0
            .number(event.version)
            .number(event.position)
            .fixed(event.id)
            .fixed(&event.recorded_at.to_le_bytes());
        let named = placed
            .sized(event.name.as_bytes())
            .fixed(&event.shape_version.to_le_bytes());
        named.sized(event.payload).finish()
    }
}

/// With the position, so that it goes with the event.
fn rest(position: u64, metadata: &[u8]) -> u32 {
    Crc::new().number(position).sized(metadata).finish()
}
