use lru::LruCache;

/// Rows that need not be read again. Good for as long as nobody else writes them: under one lease, and until a commit fails.
pub(crate) struct Rows<P> {
    rows: LruCache<String, Cached<P>, foldhash::fast::RandomState>,
    bytes: usize,
}

struct Cached<P> {
    /// `None` if there is none.
    row: Option<P>,
    bytes: usize,
}

impl<P> Rows<P> {
    /// How many bytes of rows are kept, by the size of their stored form.
    const CAPACITY: usize = 32 << 20;
    /// What an entry costs besides.
    const OVERHEAD: usize = 100;

    pub(crate) fn new() -> Self {
        Self {
            rows: LruCache::unbounded_with_hasher(foldhash::fast::RandomState::default()),
            bytes: 0,
        }
    }

    pub(crate) fn take(&mut self, key: &str) -> Option<Option<P>> {
        let cached = self.rows.pop(key)?;
        self.bytes -= cached.bytes;
        Some(cached.row)
    }

    /// Keeps a row whose stored form has so many bytes.
    pub(crate) fn put(&mut self, key: String, row: Option<P>, stored: usize) {
        let bytes = stored + key.len() + Self::OVERHEAD;
        self.bytes += bytes;
        if let Some(before) = self.rows.put(key, Cached { row, bytes }) {
            self.bytes -= before.bytes;
        }
        while self.bytes > Self::CAPACITY {
            let Some((_, oldest)) = self.rows.pop_lru() else { break };
            self.bytes -= oldest.bytes;
        }
    }

    pub(crate) fn clear(&mut self) {
        self.rows.clear();
        self.bytes = 0;
    }
}
