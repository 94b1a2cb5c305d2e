//! The bank as one file, and from there into another store.

use serde_json::{Value, json};

use crate::bank::Bank;
use crate::commands::with_accounts;

#[test]
fn a_bank_moves_into_another_file_with_everything_it_knows() {
    let bank = with_accounts(Bank::new("archive-from"));
    bank.ok(&["transfer", "ACC-000001", "ACC-000002", "30.00", "--reference", "t1"]);
    let exported = bank.json(&["export", "bank.archive"]);
    assert_eq!((&exported["appends"], &exported["events"]), (&json!(5), &json!(6)));
    let copy = Bank::new("archive-to");
    copy.write("bank.archive", std::fs::read(bank.path("bank.archive")).unwrap());
    moved(&bank, &copy);
}

/// Imports `bank.archive` into the copy, which then is the bank.
pub(crate) fn moved(bank: &Bank, copy: &Bank) {
    let imported = copy.json(&["import-archive", "bank.archive"]);
    assert_eq!(imported["stored"], imported["appends"]);
    for question in [
        &["accounts"][..],
        &["history", "ACC-000001", "--diff"],
        &["history", "ACC-000002"],
        &["balances"],
        &["totals"],
        &["ledger"],
    ] {
        assert_eq!(copy.json(question), bank.json(question), "{question:?}");
    }
    // A request from before is known.
    let again = copy.json(&["transfer", "ACC-000001", "ACC-000002", "30.00", "--reference", "t1"]);
    assert_eq!(again["done_before"], true);
    assert_eq!(copy.accounts(), bank.accounts());
    assert_eq!(copy.json(&["import-archive", "bank.archive"])["stored"], 0);
    copy.ok(&["export", "again.archive"]);
    let [first, second] = ["bank.archive", "again.archive"].map(|name| std::fs::read(copy.path(name)).unwrap());
    assert!(first == second, "the same archive comes out again");

    copy.ok(&["deposit", "ACC-000001", "0.01"]);
    let said = copy.fails(1, &["import-archive", "bank.archive"]);
    assert!(
        said.contains("the store holds something else than line 7 of the archive"),
        "{said}"
    );
}

#[test]
fn the_shipped_ledger_moves_and_shows_how_far_it_is() {
    let (bank, _) = Bank::imported();
    let copy = Bank::new("archive-shipped");
    let archive = copy.path("bank.archive");
    let output = bank.run(&["export", archive.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("bank.archive: 50 % exported") && said.contains("bank.archive: 100 % exported"),
        "{said}"
    );
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("bank.archive: exported 25"), "{printed}");
    let output = copy.run(&["import-archive", "bank.archive"]);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("bank.archive: 50 % imported") && said.contains("bank.archive: 100 % imported"),
        "{said}"
    );
    assert_eq!(copy.accounts(), bank.accounts());
    assert_eq!(copy.json(&["totals"]), bank.json(&["totals"]));
    // Its lines are known, though another store imported them.
    assert_eq!(copy.json(&[])["events"], 0);
}

#[test]
fn what_is_no_archive_makes_no_bank() {
    let bank = with_accounts(Bank::new("archive-none"));
    bank.ok(&["export", "bank.archive"]);
    let whole = std::fs::read(bank.path("bank.archive")).unwrap();
    let mut damaged = whole.clone();
    damaged[700] ^= 1;
    let copy = Bank::new("archive-none-copy");
    copy.write("damaged.archive", &damaged);
    copy.write("cut.archive", &whole[..whole.len() - 1]);
    copy.write("diary.txt", "Dear diary,\n");
    for (file, because) in [
        (
            "damaged.archive",
            "line 3 of the archive is not as it was written: its checksum",
        ),
        (
            "cut.archive",
            "the archive ends in or behind line 6, before its last line",
        ),
        ("diary.txt", "line 1 of the archive is not as it was written"),
        ("missing.archive", "`missing.archive` cannot be used: No such file"),
    ] {
        let said = copy.fails(1, &["import-archive", file]);
        assert!(said.contains(because), "{file}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    assert!(!copy.has("bank.db"), "nothing is made of it");
    let said = bank.fails(1, &["export", "bank.archive"]);
    assert!(said.contains("`bank.archive` cannot be used: File exists"), "{said}");
    assert_eq!(std::fs::read(bank.path("bank.archive")).unwrap(), whole);
    let error: Value = serde_json::from_slice(&copy.run(&["--json", "import-archive", "cut.archive"]).stdout).unwrap();
    assert_eq!(error["error"]["kind"], "failed");
}
