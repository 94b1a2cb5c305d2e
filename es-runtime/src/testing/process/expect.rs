//! The expectations of a test on the last step.

use std::time::Duration;

use super::{ProcessScenario, decode};
use crate::process::{ProcessManager, RemindsOf, Sendable};
use crate::testing::diff::diff;
use crate::{Key, StreamId};

#[expect(
    clippy::return_self_not_must_use,
    reason = "each assertion may be the last of a test"
)]
impl<P: ProcessManager> ProcessScenario<P> {
    /// The last step sent this command to `key`, as the next of those that were not mentioned.
    ///
    /// # Panics
    ///
    /// If it did not; the message shows the difference.
    #[track_caller]
    pub fn then_sends<K: Key, C: Sendable>(mut self, key: K, command: C) -> Self {
        assert!(
            !self.commands.is_empty(),
            "`{}` was expected to send {command:?} to `{}`, but sends nothing{}",
            P::NAME,
            key.stream_id(),
            if self.last.state.is_none() {
                ": it has ended"
            } else {
                ""
            }
        );
        let sent = self.commands.remove(0);
        assert!(
            sent.command == C::NAME,
            "`{}` was expected to send {command:?} to `{}`, but sends `{}` with {} to `{}`",
            P::NAME,
            key.stream_id(),
            sent.command,
            sent.payload,
            sent.to
        );
        same_command(
            &sent.to,
            &decode::<C>(&sent.command, sent.payload.get()),
            &key.stream_id(),
            &command,
        );
        self
    }

    /// The last step set this timer, due after this time, as the next of those that were not mentioned.
    ///
    /// # Panics
    ///
    /// If it did not; the message shows the difference.
    #[track_caller]
    pub fn then_reminds<T: RemindsOf<P>>(mut self, timer: T, after: Duration) -> Self {
        assert!(
            !self.timers.is_empty(),
            "`{}` was expected to set a timer with {timer:?}, but sets none",
            P::NAME
        );
        let (set, set_after) = self.timers.remove(0);
        assert!(
            set.name == T::TIMER,
            "`{}` was expected to set a timer with {timer:?}, but sets `{}` with {}",
            P::NAME,
            set.name,
            set.payload
        );
        let actual = (decode::<T>(&set.name, set.payload.get()), set_after);
        if actual != (timer.clone(), after) {
            let diff = diff(&(timer, after), &actual);
            panic!("`{}` sets another timer\n\n  - expected\n  + set\n\n{diff}", P::NAME);
        }
        self
    }

    /// The last step sent nothing and set no timer that was not mentioned.
    ///
    /// # Panics
    ///
    /// If it did.
    #[track_caller]
    pub fn then_nothing(self) -> Self {
        self.all_mentioned();
        self
    }

    /// The instance has ended.
    ///
    /// # Panics
    ///
    /// If it runs; the message shows its state.
    #[track_caller]
    pub fn then_ended(self) -> Self {
        self.all_mentioned();
        if let Some(state) = &self.last.state {
            panic!("`{}` was expected to have ended, but runs with\n\n{state:#?}", P::NAME);
        }
        self
    }

    /// Hands the state after the last step to `check`, for assertions of its own.
    ///
    /// # Panics
    ///
    /// If the instance has ended, or never began.
    #[track_caller]
    pub fn then_state(self, check: impl FnOnce(&P)) -> Self {
        match &self.last.state {
            Some(state) => check(state),
            None => panic!("no instance of `{}` runs: it has ended, or was never begun", P::NAME),
        }
        self
    }

    #[track_caller]
    pub(super) fn all_mentioned(&self) {
        if let Some(sent) = self.commands.first() {
            panic!(
                "`{}` also sends `{}` with {} to `{}`, which the test does not mention",
                P::NAME,
                sent.command,
                sent.payload,
                sent.to
            );
        }
        if let Some((timer, after)) = self.timers.first() {
            panic!(
                "`{}` also sets timer `{}` with {}, due after {after:?}, which the test does not mention",
                P::NAME,
                timer.name,
                timer.payload
            );
        }
    }
}

#[track_caller]
pub(super) fn same_command<C: Sendable>(to: &StreamId, sent: &C, expected_to: &StreamId, expected: &C) {
    if (to, sent) != (expected_to, expected) {
        let diff = diff(&(expected_to, expected), &(to, sent));
        panic!("another command is sent\n\n  - expected\n  + sent\n\n{diff}");
    }
}
