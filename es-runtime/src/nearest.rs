//! Names that are like another one.

/// The names, the nearest to `wanted` first.
pub fn nearest_first<'n>(wanted: &str, names: impl IntoIterator<Item = &'n str>) -> Vec<&'n str> {
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_by_cached_key(|name| distance(wanted, name));
    names
}

/// The names in backticks, or that there are none.
pub(crate) fn listed<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    if names.is_empty() {
        return "none".to_owned();
    }
    names.join(", ")
}

/// Returns the number of letters to insert, remove or change to turn one into the other; one if one is a part of the
/// other.
fn distance(one: &str, other: &str) -> usize {
    let (one, other) = (one.to_lowercase(), other.to_lowercase());
    if one != other && !one.is_empty() && (one.contains(&other) || other.contains(&one)) {
        return 1;
    }
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, letter) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], index + 1);
        for (column, same) in other.iter().map(|other| *other == letter).enumerate() {
            let change = diagonal + usize::from(!same);
            diagonal = row[column + 1];
            row[column + 1] = change.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_comes_first() {
        let names = ["owner", "opened_at", "cents"];
        assert_eq!(nearest_first("centz", names)[0], "cents");
        assert_eq!(nearest_first("openedAt", names)[0], "opened_at");
        assert_eq!(nearest_first("Owner", names)[0], "owner");
        assert_eq!(nearest_first("opened", names)[0], "opened_at");
        assert_eq!(
            (distance("kitten", "sitting"), distance("", "abc"), distance("ä", "ä")),
            (3, 3, 0)
        );
    }
}
