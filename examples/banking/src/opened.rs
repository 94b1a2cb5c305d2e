//! The event that has changed twice since the bank began, and how what was stored then reads today.

use es_runtime::prelude::*;

use crate::Cents;

/// The account was opened.
#[event(version = 3, from = OpenedV2)]
pub struct Opened {
    /// Whose account it is: at least one.
    pub owners: Vec<String>,
    /// By how much it may be overdrawn.
    pub overdraft: Cents,
}

/// As it was while an account had one owner. The bank's first accounts could not be overdrawn either.
#[event(name = "opened", version = 2)]
pub struct OpenedV2 {
    /// Whose account it is.
    pub owner: String,
    /// By how much it may be overdrawn.
    #[event(added(since = 2, default = Cents::ZERO))]
    pub overdraft: Cents,
}

impl From<OpenedV2> for Opened {
    fn from(old: OpenedV2) -> Self {
        Self {
            owners: vec![old.owner],
            overdraft: old.overdraft,
        }
    }
}

#[cfg(test)]
mod tests {
    use es_runtime::Stored as _;

    use super::*;

    fn opened(owner: &str, overdraft: i64) -> Opened {
        Opened {
            owners: vec![owner.into()],
            overdraft: Cents(overdraft),
        }
    }

    #[test]
    fn accounts_of_the_first_days_have_no_overdraft() -> Result<()> {
        assert_eq!(Opened::decode(1, br#"{"owner":"Zoe"}"#)?, opened("Zoe", 0));
        Ok(())
    }

    #[test]
    fn an_account_with_one_owner_is_owned_by_that_one() -> Result<()> {
        let stored = br#"{"owner":"Zoe","overdraft":5000}"#;
        assert_eq!(Opened::decode(2, stored)?, opened("Zoe", 5_000));
        Ok(())
    }
}
