use lru::LruCache;

/// Rows that need not be read again. Good for as long as nobody else writes them: under one lease, and until a commit fails.
pub(crate) struct Rows<P> {
    rows: LruCache<String, Cached<P>, foldhash::fast::RandomState>,
    bytes: usize,
}

/// What is known of a row.
pub(crate) struct Cached<P> {
    /// `None` if there is none.
    pub(crate) row: Option<P>,
    /// How many bytes its stored form has.
    pub(crate) stored: usize,
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

    pub(crate) fn take(&mut self, key: &str) -> Option<Cached<P>> {
        let (key, cached) = self.rows.pop_entry(key)?;
        self.bytes -= Self::cost(&key, &cached);
        Some(cached)
    }

    pub(crate) fn put(&mut self, key: String, cached: Cached<P>) {
        self.bytes += Self::cost(&key, &cached);
        if let Some((key, before)) = self.rows.push(key, cached) {
            self.bytes -= Self::cost(&key, &before);
        }
        while self.bytes > Self::CAPACITY {
            let Some((key, oldest)) = self.rows.pop_lru() else {
                break;
            };
            self.bytes -= Self::cost(&key, &oldest);
        }
    }

    fn cost(key: &str, cached: &Cached<P>) -> usize {
        cached.stored + key.len() + Self::OVERHEAD
    }

    pub(crate) fn clear(&mut self) {
        self.rows.clear();
        self.bytes = 0;
    }
}
