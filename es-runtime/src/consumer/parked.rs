use crate::store::{CursorStore, Parked};
use crate::{Position, StoreError};

/// How many are read at once.
const PAGE: u32 = 1_000;

/// Goes through what the reader has parked, page by page, in the order of the positions.
async fn each_page(store: &dyn CursorStore, reader: &str, mut take: impl FnMut(Vec<Parked>)) -> Result<(), StoreError> {
    let mut after = Some(Position::ZERO);
    while let Some(position) = after {
        let page = store.parked(reader, position, PAGE).await?;
        after = page
            .last()
            .filter(|_| page.len() == PAGE as usize)
            .map(|last| last.position);
        take(page);
    }
    Ok(())
}

/// All that the reader has parked.
pub(crate) async fn all_parked(store: &dyn CursorStore, reader: &str) -> Result<Vec<Parked>, StoreError> {
    let mut all = Vec::new();
    each_page(store, reader, |page| all.extend(page)).await?;
    Ok(all)
}

/// How many the reader has parked.
pub(crate) async fn count_parked(store: &dyn CursorStore, reader: &str) -> Result<u64, StoreError> {
    let mut count = 0;
    each_page(store, reader, |page| count += page.len() as u64).await?;
    Ok(count)
}
