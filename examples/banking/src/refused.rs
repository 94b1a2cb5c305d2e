use crate::Cents;

/// Why the bank does not do what it was asked.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum Refused {
    /// The amount is zero or less.
    #[error("the amount must be positive")]
    NotPositive,
    /// The account holds less.
    #[error("insufficient funds: the balance is {balance}")]
    InsufficientFunds {
        /// The account's balance.
        balance: Cents,
    },
    /// The account would hold more than can be written down.
    #[error("the balance would become too large")]
    TooLarge,
    /// The transfer is from an account to itself.
    #[error("a transfer needs two accounts, not the same one twice")]
    SameAccount,
}
