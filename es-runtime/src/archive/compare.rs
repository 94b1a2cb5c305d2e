use std::fmt;

use futures_util::TryStreamExt as _;
use futures_util::future::try_join;

use super::difference::difference;
use super::{ArchiveError, Archived, Contents};

/// The first difference between two stores.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The appends and states before it, which are equal.
    pub equal: Archived,
    what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// Compares everything that an archive would keep of two stores, and returns the first difference; `None` if they hold the same.
///
/// # Errors
///
/// [`ArchiveError::Unsupported`] for a store that gives out no whole appends, [`ArchiveError::Read`] if one of them fails.
pub async fn compare(one: impl Into<Contents>, other: impl Into<Contents>) -> Result<Option<Difference>, ArchiveError> {
    let stores = [one.into(), other.into()];
    let archives = [stores[0].archive()?, stores[1].archive()?];
    let mut one = stores[0].records(&*archives[0]);
    let mut other = stores[1].records(&*archives[1]);
    let mut equal = Archived::default();
    loop {
        let records = try_join(one.try_next(), other.try_next()).await;
        let (one, other) = records.map_err(ArchiveError::Read)?;
        let what = difference([one.as_ref(), other.as_ref()], ["the first store", "the second"]);
        match (what, one) {
            (Some(what), _) => return Ok(Some(Difference { equal, what })),
            (None, Some(record)) => record.count(&mut equal),
            (None, None) => return Ok(None),
        }
    }
}
