//! What is projected in the end.

use std::collections::BTreeMap;

use super::{About, Facts, Findings};

impl Facts<'_> {
    pub(super) fn views(&self) -> Findings {
        let mut findings = Findings::default();
        let Some(views) = &self.history.stored.views else {
            return findings;
        };
        let last = |(stream, events): (_, &[(_, _)])| events.last().map(|(_, row)| (stream, *row));
        let folded: BTreeMap<_, _> = self.accounts.streams().filter_map(last).collect();
        let mut rows = views.rows.clone();
        for (stream, folded) in &folded {
            let row = rows.remove(*stream);
            if row != Some(*folded) {
                let found = format!("the row of {stream} is {row:?}, and the fold {folded:?}");
                let about = About::Stream(stream, folded.events);
                findings.add(self, "each event is in the rows exactly once, in order", found, about);
            }
        }
        if !rows.is_empty() {
            findings.add(self, "a row comes from events", format!("{rows:?}"), About::Whole);
        }
        let Some(totals) = &views.totals else { return findings };
        let of_row =
            |(stream, row): (&&str, &super::super::Row)| ((*stream).to_owned(), row.cents, row.events.cast_signed());
        let expected: Vec<_> = folded.iter().map(of_row).collect();
        for (total, expected) in totals
            .iter()
            .zip(&expected)
            .filter(|(total, expected)| total != expected)
        {
            let found = format!("the table has {total:?}, and the fold is {expected:?}");
            let about = About::Stream(&expected.0, expected.2.cast_unsigned());
            findings.add(self, "each event is in the tables exactly once", found, about);
        }
        if totals.len() != expected.len() {
            let found = format!(
                "the table has {} rows, and there are {} accounts",
                totals.len(),
                expected.len()
            );
            findings.add(self, "each account is in the tables", found, About::Whole);
        }
        findings
    }
}
