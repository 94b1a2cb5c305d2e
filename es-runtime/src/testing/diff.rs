//! Shows the difference between two values, line by line.

use std::fmt::{Debug, Write as _};

/// The lines of both values in one text: `-` before those of `expected` alone, `+` before those of `actual` alone.
pub(super) fn diff(expected: &impl Debug, actual: &impl Debug) -> String {
    let (expected, actual) = (format!("{expected:#?}"), format!("{actual:#?}"));
    let (expected, actual): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), actual.lines().collect());
    let common = common_lengths(&expected, &actual);
    let mut text = String::new();
    let (mut left, mut right) = (0, 0);
    while left < expected.len() || right < actual.len() {
        let (sign, line) = if left < expected.len() && right < actual.len() && expected[left] == actual[right] {
            (left, right) = (left + 1, right + 1);
            (' ', expected[left - 1])
        } else if right == actual.len() || (left < expected.len() && common[left + 1][right] >= common[left][right + 1])
        {
            left += 1;
            ('-', expected[left - 1])
        } else {
            right += 1;
            ('+', actual[right - 1])
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {sign} {line}");
    }
    text
}

/// `lengths[l][r]`: the length of the longest common subsequence of `left[l..]` and `right[r..]`.
fn common_lengths(left: &[&str], right: &[&str]) -> Vec<Vec<usize>> {
    let mut lengths = vec![vec![0; right.len() + 1]; left.len() + 1];
    for l in (0..left.len()).rev() {
        for r in (0..right.len()).rev() {
            lengths[l][r] = if left[l] == right[r] {
                lengths[l + 1][r + 1] + 1
            } else {
                lengths[l + 1][r].max(lengths[l][r + 1])
            };
        }
    }
    lengths
}
