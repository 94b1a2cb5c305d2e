//! The commands on single accounts.

use std::io::{BufRead as _, BufReader};

use serde_json::{Value, json};

use crate::bank::{Bank, total};

/// A bank with two accounts, each with 100.00.
fn bank(name: &str) -> Bank {
    with_accounts(Bank::new(name))
}

/// The same, of a bank that is empty.
pub(crate) fn with_accounts(bank: Bank) -> Bank {
    for (account, owner) in [("ACC-000001", "Zoë Müller"), ("ACC-000002", "美咲 田中")] {
        bank.ok(&["open", account, owner]);
        bank.ok(&["deposit", account, "100.00"]);
    }
    bank
}

#[test]
fn money_moves() {
    let bank = bank("moves");
    bank.ok(&["withdraw", "ACC-000001", "0.01"]);
    let done = bank.json(&["transfer", "ACC-000001", "ACC-000002", "9.99", "--reference", "t1"]);
    assert_eq!(
        done,
        json!({
            "reference": "t1",
            "done_before": false,
            "accounts": [
                { "account": "ACC-000001", "owners": ["Zoë Müller"], "balance": "90.00", "version": 4 },
                { "account": "ACC-000002", "owners": ["美咲 田中"], "balance": "109.99", "version": 3 },
            ],
        })
    );
    let again = bank.json(&["transfer", "ACC-000001", "ACC-000002", "9.99", "--reference", "t1"]);
    assert_eq!(again["done_before"], true);
    assert_eq!(again["accounts"], done["accounts"]);
    assert_eq!(bank.accounts(), done["accounts"]);
    assert!(!bank.has("bank.db-wal"), "the bank is one file, that can be copied");
}

#[test]
fn the_bank_says_no_and_nothing_happens() {
    let bank = bank("no");
    let before = bank.accounts();
    for (arguments, because) in [
        (
            &["withdraw", "ACC-000001", "100.01"][..],
            "insufficient funds: the balance is 100.00",
        ),
        (
            &["transfer", "ACC-000001", "ACC-000002", "100.01"],
            "insufficient funds: the balance is 100.00",
        ),
        (
            &["transfer", "ACC-000001", "ACC-000001", "1"],
            "a transfer needs two accounts",
        ),
        (
            &["transfer", "ACC-000001", "ACC-000003", "1"],
            "account ACC-000003 is not open",
        ),
        (&["deposit", "ACC-000001", "-1.00"], "the amount must be positive"),
        (
            &["deposit", "ACC-000001", "92233720368547758.07"],
            "the balance would become too large",
        ),
        (
            &["deposit", "ACC-000009", "1.00"],
            "account ACC-000009 is not open: open it with `banking open",
        ),
        (&["open", "ACC-000001", "Max"], "account ACC-000001 is open already"),
        (&["open", "ACC-000004", " "], "an account needs an owner"),
    ] {
        let said = bank.fails(1, arguments);
        assert!(said.contains(because), "{arguments:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    assert_eq!(bank.accounts(), before);
}

#[test]
fn a_reference_stands_for_one_request() {
    let bank = bank("reference");
    bank.ok(&["deposit", "ACC-000001", "1.00", "--reference", "r7"]);
    let said = bank.fails(1, &["deposit", "ACC-000001", "2.00", "--reference", "r7"]);
    assert!(
        said.contains("reference `r7` was used before for another request"),
        "{said}"
    );
}

#[test]
fn an_account_is_shown_as_it_was() {
    let bank = bank("was");
    bank.ok(&["withdraw", "ACC-000001", "30.00"]);
    let history = bank.json(&["history", "ACC-000001"]);
    let balances: Vec<_> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|step| &step["balance"])
        .collect();
    assert_eq!(balances, ["0.00", "100.00", "70.00"]);
    for (index, step) in history.as_array().unwrap().iter().enumerate() {
        let version = (index + 1).to_string();
        let shown = bank.json(&["show", "ACC-000001", "--at-version", &version]);
        assert_eq!(shown["balance"], step["balance"]);
        let time = step["recorded_at"].as_str().unwrap();
        assert_eq!(bank.json(&["show", "ACC-000001", "--at", time]), shown);
    }
    let said = bank.fails(1, &["show", "ACC-000001", "--at-version", "4"]);
    assert!(
        said.contains("account ACC-000001 has no version 4: its last one is 3"),
        "{said}"
    );
    let said = bank.fails(1, &["show", "ACC-000001", "--at", "2001-01-01T00:00:00Z"]);
    assert!(said.contains("was not open at 2001-01-01T00:00:00Z"), "{said}");
    let printed = bank.ok(&["history", "ACC-000001"]);
    assert!(printed.contains("opened for Zoë Müller"), "{printed}");
}

#[test]
fn a_history_tells_what_each_event_changed() {
    let bank = Bank::new("diff");
    bank.ok(&["open", "ACC-000001", "Zoë", "--joint", "Max", "--overdraft", "5.00"]);
    bank.ok(&["deposit", "ACC-000001", "100.00"]);
    bank.ok(&["withdraw", "ACC-000001", "30.00"]);
    let printed = bank.ok(&["es", "history", "account/ACC-000001", "--diff"]);
    let changes: Vec<_> = printed
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with(['-', '+']))
        .collect();
    let last = ["- 10000,", "+ 7000,"];
    assert_eq!(changes[changes.len() - 2..], last, "{printed}");
    let lines = bank.ok(&["--json", "es", "history", "account/ACC-000001", "--diff"]);
    let steps: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((steps.len(), &steps[2]["changes"]), (3, &json!(last)));
}

#[test]
fn a_history_ends_where_it_is_asked_to() {
    let bank = bank("until");
    let history = bank.json(&["history", "ACC-000001"]);
    let opened = history[0]["occurred_at"].as_str().unwrap();
    let then = bank.json(&["history", "ACC-000001", "--at", opened]);
    assert_eq!((then.as_array().unwrap().len(), &then[0]), (1, &history[0]));
    let said = bank.fails(1, &["history", "ACC-000001", "--at", "2001-01-01T00:00:00Z"]);
    assert!(said.contains("was not open at 2001-01-01T00:00:00Z"), "{said}");
}

#[test]
fn what_would_come_of_a_request_is_told_and_not_done() {
    let bank = bank("what-if");
    bank.ok(&["withdraw", "ACC-000001", "30.00"]);
    let before = bank.json(&["history", "ACC-000001"]);
    let dry_run = ["es", "dry-run", "account/ACC-000001"];
    let withdraw = ["withdraw", r#"{"amount": 8000}"#];
    let asked = bank.json(&[&dry_run[..], &withdraw, &["--at-version", "2"]].concat());
    assert_eq!(
        (&asked["name"], &asked["data"]),
        (&json!("withdrawn"), &json!({"amount": 8000}))
    );
    for (arguments, because) in [
        (&withdraw[..], "insufficient funds: the balance is 70.00"),
        (
            &[withdraw[0], withdraw[1], "--at-version", "3"],
            "insufficient funds: the balance is 70.00",
        ),
        (&["deposit", r#"{"amount": -1}"#], "the amount must be positive"),
    ] {
        let said = bank.fails(4, &[&dry_run[..], arguments].concat());
        assert!(said.contains(because), "{arguments:?}: {said}");
    }
    let said = bank.fails(2, &[&dry_run[..], &["withdrw", "{}"]].concat());
    assert!(said.contains("the nearest names are `withdraw`"), "{said}");
    let printed = bank.ok(&[&dry_run[..], &["deposit", r#"{"amount": 500}"#]].concat());
    assert!(printed.ends_with("deposited  {\"amount\":500}\n"), "{printed}");
    assert_eq!(bank.json(&["history", "ACC-000001"]), before);
}

#[test]
fn a_reader_of_events_that_goes_away_is_no_failure() {
    let (bank, _) = Bank::imported();
    let mut events = bank.command(&["es", "events", "--after", "0"]).spawn().unwrap();
    let mut lines = BufReader::new(events.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("POSITION"));
    drop(lines);
    let output = events.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), &*output.stderr),
        (Some(0), &b""[..]),
        "{output:?}"
    );
}

#[test]
fn the_tools_of_an_operator_make_no_bank_by_mistake() {
    let bank = Bank::new("no-bank");
    let said = bank.fails(1, &["es", "status"]);
    assert!(said.contains("does not exist"), "{said}");
    assert!(!bank.has("bank.db"));
}

#[test]
fn transfers_of_two_processes_at_once_lose_no_cent() {
    let bank = bank("two");
    let transfer = |from, to| {
        for _ in 0..12 {
            bank.ok(&["transfer", from, to, "1.00"]);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| transfer("ACC-000001", "ACC-000002"));
        scope.spawn(|| transfer("ACC-000002", "ACC-000001"));
    });
    let accounts = bank.accounts();
    for account in accounts.as_array().unwrap() {
        assert_eq!(account["balance"], "100.00");
        assert_eq!(account["version"], 26);
    }
}

#[test]
fn with_json_an_error_is_a_document_too() {
    let bank = bank("document");
    let output = bank.run(&["--json", "withdraw", "ACC-000001", "500.00"]);
    assert_eq!(output.status.code(), Some(1));
    let error: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        error,
        json!({ "error": { "kind": "refused", "message": "insufficient funds: the balance is 100.00" } })
    );
}

#[test]
fn what_is_not_understood_is_explained() {
    let bank = Bank::new("usage");
    for (arguments, because) in [
        (
            &["show", "ACC-1"][..],
            "`ACC-1` is not an account number: it is `ACC-` and six digits",
        ),
        (&["deposit", "ACC-000001", "12.345"], "after the point stand two digits"),
        (
            &["--store", "mysql://here"],
            "write `memory`, `sqlite:PATH` or `postgres://…`",
        ),
        (
            &["show", "ACC-000001", "--at", "yesterday"],
            "`yesterday` is not a time",
        ),
        (&["stroll"], "unrecognized subcommand"),
    ] {
        let said = bank.fails(2, arguments);
        assert!(said.contains(because), "{arguments:?}: {said}");
    }
    assert!(bank.ok(&["--help"]).contains("Examples:"));
}

#[test]
fn a_bank_that_is_not_there_is_not_made_by_looking_at_it() {
    let bank = Bank::new("absent");
    let said = bank.fails(1, &["show", "ACC-000001"]);
    assert!(said.contains("`bank.db` does not exist"), "{said}");
    assert!(!bank.has("bank.db"));
}

#[test]
fn a_file_that_is_no_bank_is_left_alone() {
    let bank = Bank::new("foreign");
    let text = "Dear diary,\n".repeat(400);
    bank.write("bank.db", &text);
    let said = bank.fails(1, &["accounts"]);
    assert!(said.contains("bank.db"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let bank = bank("away");
    let mut run = bank.command(&["accounts"]).spawn().unwrap();
    drop((run.stdout.take(), run.stderr.take()));
    assert!(run.wait().unwrap().success());
}

#[test]
fn the_read_model_holds_what_the_accounts_do() {
    let bank = bank("balances");
    the_balances_are_kept_and_built_anew(&bank);
    assert!(!bank.has("bank.db-wal"), "the bank is one file, that can be copied");
}

/// Of a bank [`with_accounts`].
pub(crate) fn the_balances_are_kept_and_built_anew(bank: &Bank) {
    let by_amount = |owners: [(&str, &str, &str); 2]| {
        owners.map(|(account, owner, balance)| json!({ "account": account, "owners": [owner], "balance": balance }))
    };
    let same = [
        ("ACC-000002", "美咲 田中", "100.00"),
        ("ACC-000001", "Zoë Müller", "100.00"),
    ];
    assert_eq!(bank.json(&["balances"]), json!(by_amount(same)));
    bank.ok(&["deposit", "ACC-000001", "0.01"]);
    let richer = [
        ("ACC-000001", "Zoë Müller", "100.01"),
        ("ACC-000002", "美咲 田中", "100.00"),
    ];
    assert_eq!(bank.json(&["balances"]), json!(by_amount(richer)));
    assert_eq!(bank.json(&["balances", "--top", "1"]).as_array().unwrap().len(), 1);

    let rebuilt = bank.json(&["projections", "rebuild"]);
    assert_eq!(rebuilt["projections"][0]["ready"], true);
    assert_eq!(rebuilt["projections"][0]["lag_events"], 0);
    assert_eq!(rebuilt["projections"][0]["build"], json!(null));
    assert_eq!(rebuilt["projections"][0]["rebuilt"]["replaced"], true);
    assert_eq!(rebuilt["projections"][0]["rebuilt"]["differences"]["count"], 0);
    assert_eq!(bank.json(&["balances"]), json!(by_amount(richer)));
    assert_eq!(bank.ok(&["es", "parked", "list"]), "");
    bank.ok(&["es", "status", "--late", "1d"]);
    assert_eq!(bank.json(&["projections", "status"])["head"], 5);
}

#[test]
fn the_ledger_has_a_line_for_each_movement_as_soon_as_it_is_done() {
    let bank = bank("ledger");
    a_line_for_each_movement(&bank);
    let said = bank.fails(1, &["--store", "memory", "ledger"]);
    assert!(said.contains("--store sqlite:PATH"), "{said}");
}

/// Of a bank [`with_accounts`].
pub(crate) fn a_line_for_each_movement(bank: &Bank) {
    let lines = || {
        let lines = bank.json(&["ledger"]);
        let line = |line: &Value| {
            let text = |field: &str| line[field].as_str().unwrap().to_owned();
            (text("account"), text("amount"), text("balance"))
        };
        lines.as_array().unwrap().iter().map(line).collect::<Vec<_>>()
    };
    let line = |account: &str, amount: &str, balance: &str| (account.to_owned(), amount.to_owned(), balance.to_owned());
    let before = lines();
    bank.ok(&["transfer", "ACC-000001", "ACC-000002", "30.00"]);
    let after = lines();
    assert_eq!(after[..before.len()], before);
    assert_eq!(
        after[before.len()..],
        [
            line("ACC-000001", "-30.00", "70.00"),
            line("ACC-000002", "30.00", "130.00")
        ]
    );
    bank.fails(1, &["withdraw", "ACC-000001", "1000.00"]);
    assert_eq!(lines(), after);
}

#[test]
fn the_totals_of_a_day_hold_what_was_moved() {
    let bank = bank("totals");
    // Over all days, should it be about midnight.
    let totals = || {
        let days = bank.json(&["totals"]);
        ["opened", "paid_in", "paid_out"].map(|what| total(&days, what))
    };
    assert_eq!(totals(), [2, 20_000, 0]);
    bank.ok(&["transfer", "ACC-000001", "ACC-000002", "30.00"]);
    // Each event once, however often it is asked.
    for _ in 0..2 {
        assert_eq!(totals(), [2, 23_000, 3_000]);
    }
    let said = bank.fails(1, &["--store", "memory", "totals"]);
    assert!(said.contains("kept in a database"), "{said}");
}

/// The lines that the command prints with `--json`.
fn watched(bank: &Bank, name: &str) -> Vec<Value> {
    let printed = bank.ok(&["--json", "watch", "--name", name]);
    printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn who_watches_is_shown_what_is_new() {
    let bank = bank("watch");
    let first = watched(&bank, "audit");
    let positions = |postings: &[Value]| -> Vec<u64> {
        postings
            .iter()
            .map(|posting| posting["position"].as_u64().unwrap())
            .collect()
    };
    assert_eq!(positions(&first), (1..=first.len() as u64).collect::<Vec<_>>());
    assert_eq!(first[0]["what"], "opened for Zoë Müller");
    assert_eq!(watched(&bank, "audit"), Vec::<Value>::new());

    bank.ok(&["deposit", "ACC-000001", "0.01", "--reference", "r1"]);
    let new = watched(&bank, "audit");
    assert_eq!(new.len(), 1);
    assert_eq!(
        (&new[0]["account"], &new[0]["what"]),
        (&json!("ACC-000001"), &json!("deposited 0.01"))
    );
    assert_eq!(
        watched(&bank, "other").len(),
        first.len() + 1,
        "another name is shown everything"
    );
    assert!(!bank.has("bank.db-wal"), "the bank is one file, that can be copied");
}

#[test]
fn who_follows_is_shown_what_happens_in_another_process() {
    let bank = bank("follow");
    let mut follower = bank.command(&["watch", "--follow"]).spawn().unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let mut until = |what: &str| loop {
        let line = lines.next().expect("it goes on").unwrap();
        if line.ends_with(what) {
            break;
        }
    };
    until("opened for Zoë Müller");
    bank.ok(&["deposit", "ACC-000001", "12.34"]);
    until("deposited 12.34");
    follower.kill().unwrap();
    follower.wait().unwrap();
}

#[test]
fn another_process_is_seen_to_run_the_read_models_until_it_is_interrupted() {
    let bank = Bank::new("projections-run");
    bank.ok(&["open", "ACC-000001", "Alice"]);
    let mut running = bank.command(&["projections", "run"]).spawn().unwrap();
    let status = || bank.json(&["projections", "status"])["projections"][0].clone();
    let mut seen = status();
    for _ in 0..600 {
        if seen["owner"]
            .as_str()
            .is_some_and(|owner| owner.contains(&format!("process {} ", running.id())))
        {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
        seen = status();
    }
    assert_eq!(seen["runs_here"], false, "{seen}");
    assert!(seen["owner"].is_string(), "{seen}");
    let interrupted = std::process::Command::new("kill")
        .args(["-INT", &running.id().to_string()])
        .status();
    assert!(interrupted.unwrap().success());
    assert!(running.wait().unwrap().success());
    assert_eq!(
        bank.json(&["projections", "status"])["projections"][0]["last_error"],
        json!(null)
    );
}
