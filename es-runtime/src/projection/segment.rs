//! The segments of a projection: its streams, dealt out to several readers of the log.

use crate::StreamId;

/// The streams of which one reader takes the events: those whose id hashes to `index`, of `of` that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) index: u32,
    pub(crate) of: u32,
}

impl Segment {
    /// How many a projection may have.
    pub(crate) const MOST: u32 = 64;

    /// Of a projection that is not partitioned.
    pub(crate) const WHOLE: Self = Self { index: 0, of: 1 };

    /// All of a projection that has so many.
    pub(crate) fn all(of: u32) -> impl Iterator<Item = Self> {
        (0..of).map(move |index| Self { index, of })
    }

    /// That of the streams with this id, whatever their category, and so of the row with this key.
    pub(crate) fn of_id(id: &str, of: u32) -> Self {
        Self {
            index: hash(id) % of,
            of,
        }
    }

    pub(crate) fn is_whole(self) -> bool {
        self.of == 1
    }

    /// Whether the events of the stream are its.
    pub(crate) fn takes(self, stream: &StreamId) -> bool {
        self.is_whole() || Self::of_id(stream.id(), self.of) == self
    }

    /// Its number as a field of what is traced: none where there is but one.
    pub(crate) fn number(self) -> Option<u32> {
        (!self.is_whole()).then_some(self.index)
    }
}

/// FNV-1a of 64 bits, folded to 32. Never to be changed: what is written under a checkpoint depends on it.
fn hash(id: &str) -> u32 {
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the upper half is folded into the lower one"
    )]
    let folded = (hash ^ (hash >> 32)) as u32;
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_segment_of_a_stream_is_the_same_for_ever() {
        // The values of FNV-1a are those of its authors' test suite, folded.
        for (id, fnv) in [
            ("", 0xcbf2_9ce4_8422_2325_u64),
            ("a", 0xaf63_dc4c_8601_ec8c),
            ("foobar", 0x8594_4171_f739_67e8),
        ] {
            assert_eq!(u64::from(hash(id)), (fnv & 0xffff_ffff) ^ (fnv >> 32), "{id}");
        }
        for (id, segments) in [
            ("DE02120300000000202051", [0, 2, 14]),
            ("0198c7a2-5d3e-7c11-9b55-6f0a2d4c8e01", [0, 0, 4]),
            ("Zürich", [1, 1, 25]),
        ] {
            let found = [2, 4, 64].map(|of| Segment::of_id(id, of).index);
            assert_eq!(found, segments, "{id}");
        }
    }

    #[test]
    fn each_stream_is_in_one_segment_whatever_its_category_and_none_is_idle() {
        for of in [2, 3, 4, 7, Segment::MOST] {
            let mut counts = vec![0; of as usize];
            for number in 0..6_400 {
                let id = uuid::Uuid::from_u128(0x0198_c7a2_5d3e_7c11_9b55_6f0a_0000_0000 + number).to_string();
                let own = StreamId::new("account", id.as_str());
                let taking: Vec<_> = Segment::all(of).filter(|segment| segment.takes(&own)).collect();
                assert_eq!(taking, [Segment::of_id(&id, of)]);
                assert!(taking[0].takes(&StreamId::new("limit", id.as_str())));
                counts[taking[0].index as usize] += 1;
            }
            let fair = 6_400 / of;
            assert!(
                counts.iter().all(|count| (fair / 2..=fair * 2).contains(count)),
                "{counts:?}"
            );
        }
    }
}
