use std::fmt;
use std::time::{Duration, Instant};

use es_runtime::prelude::*;
use serde_json::{Value, json};

use crate::audit::Audit;
use crate::error::BankError;
use crate::import::Import;
use crate::importer::Importer;
use crate::ledger::Ledger;
use crate::progress::Progress;
use crate::report::Report;
use crate::tally::Tally;

/// The result of an import.
pub(crate) struct Summary {
    pub(crate) ledger: String,
    pub(crate) tally: Tally,
    pub(crate) import: Import,
    pub(crate) audit: Audit,
    pub(crate) elapsed: Duration,
}

impl Summary {
    /// Imports the ledger, and looks at the bank after it.
    pub(crate) async fn of(bank: &Runtime, ledger: Ledger, progress: Progress) -> Result<Self, BankError> {
        let name = ledger.name().to_owned();
        let importer = Importer::new(bank.clone(), &name);
        let start = Instant::now();
        let tally = importer.run(ledger, progress).await?;
        let elapsed = start.elapsed();
        Ok(Self {
            tally,
            import: importer.load().await?,
            audit: Audit::of(bank, &name).await?,
            ledger: name,
            elapsed,
        })
    }

    /// Returns whether the accounts hold, to the cent, the sum of the accepted lines.
    pub(crate) fn balances(&self) -> bool {
        self.tally.money == Some(self.audit.imported)
    }

    #[expect(clippy::cast_precision_loss, reason = "a speed is not exact")]
    fn per_second(&self, count: u64) -> f64 {
        (count as f64 / self.elapsed.as_secs_f64()).round()
    }

    fn file_money(&self) -> String {
        self.tally
            .money
            .map_or_else(|| "too large to add up".to_owned(), |money| money.to_string())
    }
}

impl Report for Summary {
    fn json(&self) -> Value {
        let Self {
            tally, audit, import, ..
        } = self;
        let reasons: Value = import
            .refused
            .iter()
            .map(|(reason, count)| (reason.to_string(), json!(count)))
            .collect::<serde_json::Map<_, _>>()
            .into();
        let flaws = tally.flaws.iter();
        json!({
            "ledger": self.ledger,
            "lines": tally.lines,
            "accepted": tally.accepted,
            "refused": tally.refused,
            "refused_by_reason": reasons,
            "malformed": tally.malformed,
            "malformed_lines": flaws
                .map(|line| json!({ "line": line.number, "why": line.why.to_string() }))
                .collect::<Value>(),
            "imported_before": tally.known,
            "events": tally.events,
            "accounts": audit.accounts,
            "total": audit.total.to_string(),
            "total_imported": audit.imported.to_string(),
            "total_of_file": self.file_money(),
            "balances": self.balances(),
            "seconds": self.elapsed.as_secs_f64(),
            "events_per_second": self.per_second(tally.events),
        })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            tally, audit, import, ..
        } = self;
        let seconds = self.elapsed.as_secs_f64();
        writeln!(f, "{}: {} lines in {seconds:.1} s", self.ledger, tally.lines)?;
        let decided = tally.accepted + tally.refused;
        if tally.known > 0 && tally.known == decided {
            writeln!(f, "  every line was already imported: nothing has changed")?;
        } else if tally.known > 0 {
            writeln!(f, "  {} lines were imported by an earlier run", tally.known)?;
        }
        writeln!(f, "  accepted  {:>8}", tally.accepted)?;
        writeln!(f, "  refused   {:>8}", tally.refused)?;
        for (reason, count) in &import.refused {
            writeln!(f, "    {reason:<30}{count:>6}")?;
        }
        writeln!(f, "  malformed {:>8}", tally.malformed)?;
        for line in &tally.flaws {
            writeln!(f, "    line {:>6}: {}", line.number, line.why)?;
        }
        let unnamed = tally.malformed - tally.flaws.len() as u64;
        if unnamed > 0 {
            writeln!(f, "    and {unnamed} more")?;
        }
        writeln!(f, "  accounts  {:>8}", audit.accounts)?;
        write!(f, "  total     {:>15}", audit.total)?;
        if audit.total != audit.imported {
            write!(f, ", of which {} by this ledger", audit.imported)?;
        }
        if self.balances() {
            writeln!(f, ", to the cent what its accepted lines add up to")?;
        } else {
            writeln!(f, ", BUT its accepted lines add up to {}", self.file_money())?;
        }
        write!(
            f,
            "  speed     {:>8} events/s ({} events)",
            self.per_second(tally.events),
            tally.events
        )
    }
}
