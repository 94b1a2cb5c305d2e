//! The inputs of a process manager besides events: the answers to its commands, and its timers.

use std::fmt;

use super::{RefusalOf, Sendable};
use crate::command::{Declined, WrongTarget};
use crate::{AnyRefusal, Invalid, StreamId, Timestamp, Version};

/// A command that was executed. Its events, this answer and the reaction to it are stored together.
#[derive(Debug, Clone, PartialEq)]
pub struct Done<C> {
    /// The command.
    pub command: C,
    /// The stream of the aggregate that executed it.
    pub stream: StreamId,
    /// The version of that stream after it.
    pub version: Version,
}

/// A command that changed nothing, and why.
#[derive(Debug)]
pub struct Failed<C: Sendable> {
    /// The command.
    pub command: C,
    /// The stream of the aggregate that it was sent to.
    pub stream: StreamId,
    /// The reason.
    pub why: Why<RefusalOf<C>>,
}

/// Any command that changed nothing, for a method that hears of several.
#[derive(Debug)]
pub struct AnyFailed {
    /// The command's name.
    pub command: &'static str,
    /// The stream of the aggregate that it was sent to.
    pub stream: StreamId,
    /// The reason.
    pub why: Why<AnyRefusal>,
}

/// Why a command changed nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why<R> {
    /// The aggregate refused it.
    Refused(R),
    /// It needs an existing aggregate.
    NotFound,
    /// It creates the aggregate, which exists.
    AlreadyExists,
    /// It has a value that it must not have.
    Invalid(Invalid),
}

/// A timer that is due.
#[derive(Debug, Clone, PartialEq)]
pub struct Due<T> {
    /// The value that the timer was set with.
    pub timer: T,
    /// The time for which it was set, by the store's clock.
    pub at: Timestamp,
}

impl<C: Sendable> From<Failed<C>> for AnyFailed {
    fn from(failed: Failed<C>) -> Self {
        Self {
            command: C::NAME,
            stream: failed.stream,
            why: match failed.why {
                Why::Refused(refusal) => Why::Refused(AnyRefusal::new(refusal)),
                Why::NotFound => Why::NotFound,
                Why::AlreadyExists => Why::AlreadyExists,
                Why::Invalid(invalid) => Why::Invalid(invalid),
            },
        }
    }
}

impl<R> From<Declined<R>> for Why<R> {
    fn from(declined: Declined<R>) -> Self {
        match declined {
            Declined::Refused(refusal) => Self::Refused(refusal),
            Declined::WrongTarget(WrongTarget::NotFound) => Self::NotFound,
            Declined::WrongTarget(WrongTarget::AlreadyExists) => Self::AlreadyExists,
        }
    }
}

impl<R: fmt::Display> fmt::Display for Why<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::NotFound => WrongTarget::NotFound.fmt(f),
            Self::AlreadyExists => WrongTarget::AlreadyExists.fmt(f),
            Self::Invalid(invalid) => invalid.fmt(f),
        }
    }
}
