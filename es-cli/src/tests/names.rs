use super::bank::Bank;
use super::run;

#[tokio::test]
async fn a_mistyped_name_is_answered_with_the_nearest() {
    let bank = Bank::seeded().await;
    let cases: [(&[&str], &str); 11] = [
        (
            &["events", "--type", "deposit"],
            "there is no event `deposit`: the nearest names are `deposited`, `frozen`, `opened`",
        ),
        (
            &["events", "--stream", "acount"],
            "there is no aggregate `acount`: the nearest names are `account`",
        ),
        (
            &["events", "--stream", "acount/alice"],
            "there is no aggregate `acount`: the nearest names are `account`",
        ),
        (
            &["stream", "acount/alice"],
            "there is no aggregate `acount`: the nearest names are `account`",
        ),
        (
            &["stream", "alice"],
            "invalid value 'alice' for '<AGGREGATE/ID>': write AGGREGATE/ID",
        ),
        (
            &["events", "--after", "9223372036854775807"],
            "invalid value '9223372036854775807' for '--after <POSITION>': 9223372036854775807 is not in 0..9223372036854775807",
        ),
        (
            &["dry-run", "account/alice", "withdrew", "{}"],
            "there is no command `withdrew`: the nearest names are `withdraw`, `open`, `freeze`",
        ),
        (
            &["state", "acount/alice"],
            "there is no aggregate `acount`: the nearest names are `account`",
        ),
        (
            &["projections", "balance"],
            "there is no projection `balance`: the nearest names are `balances`",
        ),
        (
            &["parked", "retry", "balance@1", "7"],
            "there is no projection `balance@1`: the nearest names are `balances`",
        ),
        (&["strem", "account/alice"], "unrecognized subcommand 'strem'"),
    ];
    for (arguments, message) in cases {
        let ran = run(bank.builder(), arguments).await;
        assert_eq!((ran.status, &*ran.out), (2, ""), "{arguments:?} {ran:?}");
        let first = ran.notes.lines().next().unwrap();
        assert_eq!(first, format!("error: {message}"));
    }
}
