//! The sentence that a program prints of an error.

use std::process::Command;

#[test]
fn a_main_that_fails_prints_the_message_and_each_cause_in_a_line() {
    let ended = Command::new(env!("CARGO_BIN_EXE_refused")).output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let printed = String::from_utf8(ended.stderr).unwrap();
    let expected = "Error: the account is not opened\n  \
                    caused by: the owner could not be checked\n  \
                    caused by: the register is closed on Sundays\n";
    assert_eq!(printed, expected);
}

#[derive(Debug, thiserror::Error)]
#[error("the day is not closed")]
struct NotClosed(#[source] NotCounted);

#[derive(Debug, thiserror::Error)]
#[error("the till was not counted: {0}")]
struct NotCounted(#[source] Missing);

#[derive(Debug, thiserror::Error)]
#[error("a coin is missing")]
struct Missing;

#[test]
fn a_cause_that_another_one_quotes_is_not_printed_twice() {
    let error = es_runtime::Error::from(NotClosed(NotCounted(Missing)));
    assert_eq!(
        format!("{error:?}"),
        "the day is not closed\n  caused by: the till was not counted: a coin is missing"
    );
}
