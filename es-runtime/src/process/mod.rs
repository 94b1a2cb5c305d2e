#![doc = include_str!("../../docs/processes.md")]

mod answer;
mod answers;
mod any;
mod engine;
mod handle;
mod heard;
mod index;
mod instance;
mod manager;
mod plan;
mod react;
mod reactions;
mod step;
mod timers;
mod todo;

pub use answers::{AnyFailed, Done, Due, Failed, Why};
pub use any::{AnyProcess, AnyProcessManager, AnyProcessStep};
pub use handle::{ListInstances, ProcessManagerHandle};
pub use instance::{Instance, InstanceStatus, PendingCommand, ProcessError, SetTimer, Step};
pub use manager::{
    AnsweredBy, HearsFailure, HearsTimer, ProcessManager, ProcessState, RefusalOf, RemindsOf, Sendable, TimerValue,
};
pub use reactions::Reactions;
pub use step::Cause;
pub use todo::Todo;

pub(crate) use heard::Heard;
pub(crate) use plan::{Plan, Registered};
pub(crate) use react::{Origin, Unfit};
pub(crate) use step::{Last, Next, Pending, Timer, When};

/// Where a process manager begins to hear events when it is started for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// With the first event of the store.
    Start,
    /// With the next event to be appended.
    Head,
}
