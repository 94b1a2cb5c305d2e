//! The lines in which two texts differ.

/// The most pairs of lines that are compared: above that, everything between the first and the last difference counts as changed.
const PAIRS: usize = 1_000_000;

/// Returns the lines that are gone, each behind `-`, and those that are new, each behind `+`, in their order.
pub(crate) fn difference(before: &str, after: &str) -> Vec<String> {
    let (before, after): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
    let same = before
        .iter()
        .zip(&after)
        .take_while(|(one, other)| one == other)
        .count();
    let (before, after) = (&before[same..], &after[same..]);
    let same = before.iter().rev().zip(after.iter().rev());
    let same = same.take_while(|(one, other)| one == other).count();
    let (before, after) = (&before[..before.len() - same], &after[..after.len() - same]);

    let gone = |line: &&str| format!("- {}", line.trim_start());
    let new = |line: &&str| format!("+ {}", line.trim_start());
    if before.len().saturating_mul(after.len()) > PAIRS {
        return before.iter().map(gone).chain(after.iter().map(new)).collect();
    }
    // The longest list of common lines of each two ends.
    let mut common = vec![vec![0_usize; after.len() + 1]; before.len() + 1];
    for one in (0..before.len()).rev() {
        for other in (0..after.len()).rev() {
            common[one][other] = if before[one] == after[other] {
                common[one + 1][other + 1] + 1
            } else {
                common[one + 1][other].max(common[one][other + 1])
            };
        }
    }
    let (mut one, mut other) = (0, 0);
    let mut lines = Vec::new();
    while one < before.len() || other < after.len() {
        if one < before.len() && other < after.len() && before[one] == after[other] {
            (one, other) = (one + 1, other + 1);
        } else if one < before.len() && (other == after.len() || common[one + 1][other] >= common[one][other + 1]) {
            lines.push(gone(&before[one]));
            one += 1;
        } else {
            lines.push(new(&after[other]));
            other += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_changed_field_is_one_line_gone_and_one_new() {
        let before = "Account {\n    owner: \"Alice\",\n    balance: 100,\n}";
        let after = "Account {\n    owner: \"Alice\",\n    balance: 70,\n}";
        assert_eq!(difference(before, after), ["- balance: 100,", "+ balance: 70,"]);
        assert_eq!(difference("", "Account"), ["+ Account"]);
        assert_eq!(difference(after, after), [""; 0]);
    }

    proptest! {
        #[test]
        fn the_lines_turn_one_text_into_the_other(before in "[ab]{0,8}", after in "[ab]{0,8}") {
            let lines = |text: &str| text.chars().flat_map(|letter| [letter, '\n']).collect::<String>();
            let difference = difference(&lines(&before), &lines(&after));
            // Without its own changed lines, each has the same lines left.
            let left = |text: &str, sign: &str| {
                let mut left: Vec<_> = text.chars().map(String::from).collect();
                for changed in difference.iter().filter_map(|line| line.strip_prefix(sign)) {
                    let place = left.iter().position(|line| line == changed);
                    left.remove(place.expect("it is a line of the text"));
                }
                left.sort();
                left
            };
            prop_assert_eq!(left(&before, "- "), left(&after, "+ "));
            prop_assert_eq!(difference.is_empty(), before == after);
        }
    }
}
