//! The meaning of a failure for the batch of appends, or the commit of a projection, that met it.

use tokio_postgres::error::{Severity, SqlState};

use crate::error::Problem;

/// The progress of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// There was no connection to send it on.
    Connect,
    /// It was sent in a transaction whose commit was not.
    Open,
    /// It was sent, and a commit with it: at the latest that of the statement itself.
    Sent,
}

/// The outcome of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was rolled back because of another writer, and may be sent again as it is.
    Repeat,
    /// It was rolled back because of a value in it: of which append is found out by sending each alone.
    BadValue,
    /// It was rolled back, or never sent.
    NotCommitted,
    /// It may be committed or not.
    Indeterminate,
}

/// The table over phase, severity and SQLSTATE.
pub(crate) fn outcome(problem: &Problem, phase: Phase) -> Outcome {
    match (phase, of_sent(problem)) {
        (Phase::Connect, _) | (Phase::Open, Outcome::Indeterminate) => Outcome::NotCommitted,
        (Phase::Open | Phase::Sent, outcome) => outcome,
    }
}

fn of_sent(problem: &Problem) -> Outcome {
    let Problem::Postgres(error) = problem else {
        return Outcome::Indeterminate;
    };
    match error.as_db_error() {
        None => Outcome::Indeterminate,
        Some(error) => of_answer(error.parsed_severity(), error.code()),
    }
}

/// The server's answer to a statement: an `ERROR` rolled it back. A session that ended may have ended behind the commit.
fn of_answer(severity: Option<Severity>, code: &SqlState) -> Outcome {
    if severity != Some(Severity::Error) {
        return Outcome::Indeterminate;
    }
    match (code.code(), code.code().get(..2).unwrap_or_default()) {
        // A position or a version was taken by somebody who did not hold the lock.
        ("23505" | "40001" | "40P01", _) => Outcome::Repeat,
        (_, "22" | "23" | "54") => Outcome::BadValue,
        // "statement completion unknown"
        ("40003", _) | (_, "08") => Outcome::Indeterminate,
        _ => Outcome::NotCommitted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: &str) -> Outcome {
        of_answer(Some(Severity::Error), &SqlState::from_code(code))
    }

    #[test]
    fn an_error_means_that_nothing_is_stored() {
        for code in [
            "55P03", "57014", "25006", "42501", "42883", "53100", "53200", "XX000", "P0001", "0A000", "25000",
        ] {
            assert_eq!(error(code), Outcome::NotCommitted, "{code}");
        }
    }

    #[test]
    fn another_writer_means_to_repeat_and_a_bad_value_to_look_for_it() {
        for code in ["23505", "40001", "40P01"] {
            assert_eq!(error(code), Outcome::Repeat, "{code}");
        }
        for code in ["22021", "22P02", "22023", "23502", "23514", "54000"] {
            assert_eq!(error(code), Outcome::BadValue, "{code}");
        }
    }

    #[test]
    fn a_session_that_ended_leaves_it_open() {
        for severity in [Some(Severity::Fatal), Some(Severity::Panic), None] {
            for code in ["57P01", "57P02", "53100", "23505", "XX000"] {
                assert_eq!(
                    of_answer(severity, &SqlState::from_code(code)),
                    Outcome::Indeterminate,
                    "{code}"
                );
            }
        }
        for code in ["08006", "08007", "40003"] {
            assert_eq!(error(code), Outcome::Indeterminate, "{code}");
        }
    }

    #[test]
    fn what_was_never_sent_is_not_committed_and_silence_leaves_it_open() {
        let silence = Problem::Silent("no answer".to_owned());
        assert_eq!(outcome(&silence, Phase::Connect), Outcome::NotCommitted);
        assert_eq!(outcome(&silence, Phase::Open), Outcome::NotCommitted);
        assert_eq!(outcome(&silence, Phase::Sent), Outcome::Indeterminate);
    }
}
