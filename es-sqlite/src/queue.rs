use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Work on its way to one thread or several.
///
/// Nobody is woken who does not sleep: while the writer is busy, a caller hands its append over without a system call.
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
}

struct State<T> {
    items: VecDeque<T>,
    sleeping: usize,
    closed: bool,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                items: VecDeque::new(),
                sleeping: 0,
                closed: false,
            }),
            filled: Condvar::new(),
        }
    }

    /// Adds `item`, or gives it back if the queue is closed.
    pub(crate) fn push(&self, item: T) -> Result<(), T> {
        let mut state = self.lock();
        if state.closed {
            return Err(item);
        }
        state.items.push_back(item);
        let wake = state.sleeping > 0;
        drop(state);
        if wake {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Waits for an item. `None` once the queue is closed and empty.
    pub(crate) fn pop(&self) -> Option<T> {
        self.wait().items.pop_front()
    }

    /// Waits for an item, then moves it and those that wait behind it to `batch`, while they fit. Leaves `batch` empty once
    /// the queue is closed and empty.
    pub(crate) fn pop_batch(&self, batch: &mut Vec<T>, mut fits: impl FnMut(&T) -> bool) {
        let mut state = self.wait();
        while state.items.front().is_some_and(|item| fits(item) || batch.is_empty()) {
            batch.extend(state.items.pop_front());
        }
    }

    /// Lets nothing more in. What is queued is still taken out.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }

    fn wait(&self) -> MutexGuard<'_, State<T>> {
        let mut state = self.lock();
        while state.items.is_empty() && !state.closed {
            state.sleeping += 1;
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.sleeping -= 1;
        }
        state
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Queue;

    #[test]
    fn a_batch_ends_before_the_item_that_does_not_fit() {
        let queue = Queue::new();
        for item in [9, 1, 2, 9] {
            queue.push(item).unwrap();
        }
        let mut batch = Vec::new();
        queue.pop_batch(&mut batch, |item| *item < 5);
        assert_eq!(batch, [9, 1, 2], "the first item is taken whether it fits or not");
    }

    #[test]
    fn a_closed_queue_gives_out_what_it_holds() {
        let queue = Queue::new();
        queue.push(1).unwrap();
        queue.close();
        assert_eq!(queue.push(2), Err(2));
        assert_eq!(queue.pop(), Some(1));
        assert_eq!(queue.pop(), None);
    }
}
