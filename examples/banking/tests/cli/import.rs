//! Imports of ledgers: whole, again, interrupted, by two processes, and of what is no ledger.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::process::Child;

use serde_json::{Value, json};

use crate::bank::Bank;

const HEADER: &str = "reference,time,kind,account,to,amount,owner\n";

/// A ledger with this body, whose lines are numbered `R1`, `R2` and so on.
fn ledger(lines: &[&str]) -> String {
    let lines = lines.iter().enumerate();
    let body = lines.map(|(index, line)| format!("R{},2026-01-0{}T09:00:00Z,{line}\n", index + 1, index + 1));
    HEADER.to_owned() + &body.collect::<String>()
}

/// The part of a summary that must be the same, however often and by whomever the ledger was imported.
pub(crate) fn totals(summary: &Value) -> Value {
    let mut totals = summary.clone();
    for changing in ["imported_before", "events", "seconds", "events_per_second"] {
        totals.as_object_mut().unwrap().remove(changing);
    }
    totals
}

/// These figures are those of data/README.md.
#[test]
fn the_shipped_ledger_gives_what_its_maker_worked_out() {
    let (bank, summary) = Bank::imported();
    assert_eq!(summary["lines"], 20_480);
    assert_eq!(summary["accepted"], 19_962);
    assert_eq!(summary["refused"], 485);
    assert_eq!(
        summary["refused_by_reason"],
        json!({
            "insufficient funds": 303,
            "account already open": 57,
            "account not open": 56,
            "amount not positive": 38,
            "transfer to the same account": 28,
            "balance too large": 3,
        })
    );
    assert_eq!(summary["malformed"], 33);
    let lines = summary["malformed_lines"].as_array().unwrap().iter();
    let lines: Vec<_> = lines.map(|line| line["line"].as_u64().unwrap()).collect();
    assert_eq!(
        lines,
        [
            792, 1273, 1415, 1432, 2398, 2877, 3610, 3634, 4197, 4866, 5248, 6688, 6818, 7762, 7777, 8598, 9594, 9668,
            9756, 9889, 11186, 12389, 12457, 14176, 15526, 16745, 17985, 19065, 19840, 19932, 19974, 20401, 20405
        ]
    );
    assert_eq!(summary["imported_before"], 0);
    assert_eq!(summary["events"], 24_896);
    assert_eq!(summary["accounts"], 864);
    let days = bank.json(&["totals"]);
    assert_eq!(days[0]["day"], "2025-01-02");
    let days = days.as_array().unwrap();
    assert_eq!(days.last().unwrap()["day"], "2026-09-03");
    assert!(
        days.is_sorted_by_key(|day| day["day"].as_str()) && days.len() > 600,
        "{}",
        days.len()
    );
    assert_eq!(summary["total"], "3366076.60");
    assert_eq!(summary["balances"], true);
}

#[test]
fn a_second_run_changes_nothing() {
    let (bank, first) = Bank::imported();
    let before = bank.accounts();
    let second = bank.json(&[]);
    assert_eq!(second["imported_before"], 20_447);
    assert_eq!(second["events"], 0);
    assert_eq!(totals(&second), totals(first));
    assert_eq!(bank.accounts(), before);
}

#[test]
fn a_run_that_is_killed_is_completed_by_the_next() {
    let bank = Bank::new("killed");
    for percent in [10, 30, 50, 80] {
        let mut run = bank.command(&[]).spawn().unwrap();
        wait_for(&mut run, &format!("ledger.csv: {percent} % read"));
        run.kill().unwrap();
        assert_eq!(run.wait().unwrap().code(), None, "it ended by itself");
    }
    let completed = bank.json(&[]);
    let known = completed["imported_before"].as_u64().unwrap();
    assert!((10_000..20_000).contains(&known), "{known}");
    let (undisturbed, summary) = Bank::imported();
    assert_eq!(totals(&completed), totals(summary));
    assert_eq!(bank.accounts(), undisturbed.accounts());
    the_ledger_is_as_true_as_the_events(&bank);
}

/// The last line of each account says what it holds, and no line is missing before it.
pub(crate) fn the_ledger_is_as_true_as_the_events(bank: &Bank) {
    let lines = bank.json(&["ledger", "--last", "1000000"]);
    let mut last: HashMap<&str, (&str, u64)> = HashMap::new();
    for line in lines.as_array().unwrap() {
        let (_, count) = last.remove(line["account"].as_str().unwrap()).unwrap_or_default();
        let balance = line["balance"].as_str().unwrap();
        last.insert(line["account"].as_str().unwrap(), (balance, count + 1));
    }
    for account in bank.accounts().as_array().unwrap() {
        let (balance, lines) = last.remove(account["account"].as_str().unwrap()).unwrap_or(("0.00", 0));
        assert_eq!(account["balance"], balance, "{account}");
        // Its first event opened it.
        assert_eq!(account["version"], lines + 1, "{account}");
    }
    assert!(last.is_empty(), "{last:?}");
}

/// A rebuild says how far it is: a line for each tenth, where there is no terminal for a bar.
pub(crate) fn a_rebuild_shows_how_far_it_is(bank: &Bank, throttle: &str) {
    let before = bank.json(&["balances", "--top", "1000000"]);
    let rebuilt = bank.run(&["projections", "rebuild", "--throttle", throttle]);
    assert!(rebuilt.status.success(), "{rebuilt:?}");
    let said = String::from_utf8(rebuilt.stderr).unwrap();
    let tenths: Vec<&str> = said.lines().collect();
    assert!(tenths.len() > 1, "{said}");
    let steps = (1..=10).map(|tenth| format!("balances: {tenth}0 % built"));
    let known: Vec<String> = steps.filter(|step| tenths.contains(&step.as_str())).collect();
    assert_eq!(tenths, known, "in order, and nothing else");
    assert_eq!(bank.json(&["balances", "--top", "1000000"]), before);
}

#[test]
fn a_rebuild_of_the_balances_of_an_import_shows_how_far_it_is() {
    let bank = Bank::new("rebuilt");
    let shipped = include_str!("../../data/ledger.csv");
    bank.write("part.csv", first_lines(shipped, 3_000));
    bank.ok(&["import", "part.csv"]);
    a_rebuild_shows_how_far_it_is(&bank, "2000");
}

/// The first so many lines of a ledger.
pub(crate) fn first_lines(ledger: &str, lines: usize) -> String {
    ledger.split_inclusive('\n').take(lines).collect()
}

/// Reads the child's stderr up to `line`; nobody listens to the rest.
fn wait_for(run: &mut Child, line: &str) {
    let mut said = Vec::new();
    for next in BufReader::new(run.stderr.take().unwrap()).lines() {
        said.push(next.unwrap());
        if said.last().is_some_and(|last| last == line) {
            return;
        }
    }
    panic!("`{line}` never came: {said:#?}");
}

#[test]
fn two_imports_of_one_ledger_at_once_do_each_line_once() {
    let shipped = include_str!("../../data/ledger.csv");
    let part: String = shipped.split_inclusive('\n').take(3_000).collect();
    let (alone, together) = (Bank::new("alone"), Bank::new("together"));
    alone.write("part.csv", &part);
    together.write("part.csv", &part);
    let expected = alone.json(&["import", "part.csv"]);
    let runs = [(); 2].map(|()| together.command(&["--json", "import", "part.csv"]).spawn().unwrap());
    let mut events = 0;
    for run in runs {
        let output = run.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        events += summary["events"].as_u64().unwrap();
    }
    assert_eq!(events, expected["events"]);
    assert_eq!(totals(&together.json(&["import", "part.csv"])), totals(&expected));
    assert_eq!(together.accounts(), alone.accounts());
}

/// The trap: at the end of the first run there is money enough for the line that was refused.
#[test]
fn a_refused_line_stays_refused() {
    let bank = Bank::new("refused");
    let lines = [
        "open,ACC-000001,,,Zoë",
        "withdraw,ACC-000001,,50.00,",
        "deposit,ACC-000001,,80.00,",
    ];
    bank.write("day.csv", ledger(&lines));
    let first = bank.json(&["import", "day.csv"]);
    assert_eq!(first["refused_by_reason"], json!({ "insufficient funds": 1 }));
    assert_eq!(totals(&bank.json(&["import", "day.csv"])), totals(&first));
    // Lines appended to the ledger in the meantime are imported.
    bank.write(
        "day.csv",
        ledger(&[&lines[..], &["withdraw,ACC-000001,,60.00,"]].concat()),
    );
    let longer = bank.json(&["import", "day.csv"]);
    assert_eq!(longer["imported_before"], 3);
    assert_eq!(longer["total"], "20.00");
}

#[test]
fn money_from_elsewhere_does_not_upset_the_balance() {
    let bank = Bank::new("elsewhere");
    bank.write(
        "day.csv",
        ledger(&["open,ACC-000001,,,Zoë", "deposit,ACC-000001,,80.00,"]),
    );
    bank.ok(&["import", "day.csv"]);
    bank.ok(&["deposit", "ACC-000001", "0.50"]);
    let summary = bank.ok(&["import", "day.csv"]);
    assert!(summary.contains("every line was already imported"), "{summary}");
    assert!(summary.contains("80.50, of which 80.00 by this ledger"), "{summary}");
}

#[test]
fn a_line_that_was_changed_after_its_import_is_reported() {
    let bank = Bank::new("changed");
    bank.write(
        "day.csv",
        ledger(&["open,ACC-000001,,,Zoë", "deposit,ACC-000001,,80.00,"]),
    );
    bank.ok(&["import", "day.csv"]);
    bank.write(
        "day.csv",
        ledger(&["open,ACC-000001,,,Zoë", "deposit,ACC-000001,,90.00,"]),
    );
    let error = bank.run(&["import", "day.csv"]);
    assert_eq!(error.status.code(), Some(1));
    let said = String::from_utf8(error.stderr).unwrap();
    assert!(
        said.contains("line 3 of `day.csv`: reference `R2` was imported before"),
        "{said}"
    );
}

#[test]
fn events_carry_the_time_and_the_reference_of_their_line() {
    let bank = Bank::new("carried");
    bank.write(
        "day.csv",
        ledger(&["open,ACC-000001,,,Zoë", "deposit,ACC-000001,,80.00,"]),
    );
    bank.ok(&["import", "day.csv"]);
    let history = bank.json(&["history", "ACC-000001"]);
    assert_eq!(history[1]["occurred_at"], "2026-01-02T09:00:00Z");
    assert_ne!(history[1]["recorded_at"], history[1]["occurred_at"]);
    assert_eq!(history[1]["reference"], "R2");
    assert_eq!(history[1]["actor"], "import");
}

#[test]
fn the_totals_are_those_of_the_days_of_the_ledger() {
    let bank = Bank::new("days");
    let lines = [
        "open,ACC-000001,,,Zoë",
        "deposit,ACC-000001,,80.00,",
        "withdraw,ACC-000001,,30.50,",
    ];
    bank.write("day.csv", ledger(&lines));
    bank.ok(&["import", "day.csv"]);
    let day = |day, opened, paid_in, paid_out| json!({ "day": day, "opened": opened, "paid_in": paid_in, "paid_out": paid_out });
    assert_eq!(
        bank.json(&["totals"]),
        json!([
            day("2026-01-01", 1, "0.00", "0.00"),
            day("2026-01-02", 0, "80.00", "0.00"),
            day("2026-01-03", 0, "0.00", "30.50"),
        ])
    );
}

#[test]
fn an_account_is_shown_as_it_was_before_it_was_imported() {
    let bank = Bank::new("before");
    let lines = [
        "open,ACC-000001,,,Zoë",
        "deposit,ACC-000001,,80.00,",
        "withdraw,ACC-000001,,30.50,",
    ];
    bank.write("day.csv", ledger(&lines));
    bank.ok(&["import", "day.csv"]);
    for (time, balance) in [
        ("2026-01-01T09:00:00Z", "0.00"),
        ("2026-01-03T08:59:59Z", "80.00"),
        ("2026-01-03T09:00:00Z", "49.50"),
    ] {
        assert_eq!(bank.json(&["show", "ACC-000001", "--at", time])["balance"], balance);
    }
    let said = bank.fails(1, &["show", "ACC-000001", "--at", "2026-01-01T08:59:59Z"]);
    assert!(said.contains("was not open at 2026-01-01T08:59:59Z"), "{said}");
}

#[test]
fn memory_holds_the_same_bank() {
    let bank = Bank::new("memory");
    let (_, on_disk) = Bank::imported();
    assert_eq!(totals(&bank.json(&["--store", "memory"])), totals(on_disk));
    assert!(!bank.has("bank.db"));
}

#[test]
fn what_is_no_ledger_is_called_so() {
    let bank = Bank::new("no-ledger");
    let said = bank.fails(1, &["import", "none.csv"]);
    assert!(said.contains("cannot open `none.csv`: No such file"), "{said}");

    bank.write("other.csv", "date,sum\n2026-01-01,5\n");
    let said = bank.fails(1, &["import", "other.csv"]);
    assert!(
        said.contains("its first line is `date,sum` instead of `reference,time,"),
        "{said}"
    );

    bank.write("empty.csv", "");
    let said = bank.fails(1, &["import", "empty.csv"]);
    assert!(said.contains("its first line is ``"), "{said}");

    bank.write(
        "latin1.csv",
        b"reference,time,kind,account,to,amount,owner\nR1,2026-01-01T09:00:00Z,open,ACC-000001,,,Zo\xeb\n",
    );
    let summary = bank.json(&["import", "latin1.csv"]);
    assert_eq!(
        summary["malformed_lines"],
        json!([{ "line": 2, "why": "it is not UTF-8 text" }])
    );

    let said = bank.fails(1, &["import", "."]);
    assert!(said.contains("cannot read `.`"), "{said}");
}
