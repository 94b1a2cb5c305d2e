//! The bank as one file, and from there into another store.

use serde_json::json;

use crate::bank::Bank;
use crate::commands::with_accounts;

#[test]
fn a_bank_moves_into_another_file_with_everything_it_knows() {
    let bank = with_accounts(Bank::new("archive-from"));
    bank.ok(&["transfer", "ACC-000001", "ACC-000002", "30.00", "--reference", "t1"]);
    let exported = bank.json(&["es", "export", "bank.archive"]);
    assert_eq!((&exported["appends"], &exported["events"]), (&json!(5), &json!(6)));
    let copy = Bank::new("archive-to");
    copy.write("bank.archive", std::fs::read(bank.path("bank.archive")).unwrap());
    moved(&bank, &copy);
}

/// Imports `bank.archive` into the copy, which then is the bank.
pub(crate) fn moved(bank: &Bank, copy: &Bank) {
    let imported = copy.json(&["es", "import", "bank.archive"]);
    assert_eq!(imported["stored"], imported["appends"]);
    for question in [
        &["accounts"][..],
        &["history", "ACC-000001"],
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
    assert_eq!(copy.json(&["es", "import", "bank.archive"])["stored"], 0);
    copy.ok(&["es", "export", "again.archive"]);
    let [first, second] = ["bank.archive", "again.archive"].map(|name| std::fs::read(copy.path(name)).unwrap());
    assert!(first == second, "the same archive comes out again");

    copy.ok(&["deposit", "ACC-000001", "0.01"]);
    let said = copy.fails(1, &["es", "import", "bank.archive"]);
    assert!(
        said.contains("the store holds something else than line 7 of the archive"),
        "{said}"
    );
}

#[test]
fn the_shipped_ledger_moves() {
    let (bank, _) = Bank::imported();
    let copy = Bank::new("archive-shipped");
    let archive = copy.path("bank.archive");
    let printed = bank.ok(&["es", "export", archive.to_str().unwrap()]);
    assert!(printed.starts_with("exported 25"), "{printed}");
    let printed = copy.ok(&["es", "import", "bank.archive"]);
    assert!(printed.starts_with("imported 25"), "{printed}");
    assert_eq!(copy.accounts(), bank.accounts());
    assert_eq!(copy.json(&["totals"]), bank.json(&["totals"]));
    // Its lines are known, though another store imported them.
    assert_eq!(copy.json(&[])["events"], 0);
}

#[test]
fn what_is_no_archive_makes_no_bank() {
    let bank = with_accounts(Bank::new("archive-none"));
    bank.ok(&["es", "export", "bank.archive"]);
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
        ("missing.archive", "missing.archive: No such file"),
    ] {
        let said = copy.fails(1, &["es", "import", file]);
        assert!(said.contains(because), "{file}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    assert!(!copy.has("bank.db"), "nothing is made of it");
    let said = bank.fails(1, &["es", "export", "bank.archive"]);
    assert!(said.contains("bank.archive: File exists"), "{said}");
    assert_eq!(std::fs::read(bank.path("bank.archive")).unwrap(), whole);
}

#[test]
fn a_pipe_copies_one_bank_into_another() {
    let bank = with_accounts(Bank::new("pipe-from"));
    let copy = Bank::new("pipe-to");
    let mut export = bank.command(&["es", "export", "-"]).spawn().unwrap();
    let import = copy
        .command(&["es", "import", "-"])
        .stdin(export.stdout.take().unwrap())
        .output()
        .unwrap();
    assert!(
        export.wait().unwrap().success() && import.status.success(),
        "{import:?}"
    );
    assert_eq!(copy.accounts(), bank.accounts());
}
