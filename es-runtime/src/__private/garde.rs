//! The rules of the crate garde.

use garde::Validate;

use crate::Invalid;

/// A type that garde has rules for.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be checked by garde",
    label = "no `#[derive(garde::Validate)]` without a context",
    note = "add `#[derive(garde::Validate)]` to `struct {Self}`, and a rule `#[garde(…)]` or `#[garde(skip)]` to each field; rules with a `#[garde(context(…))]` go into a method, `validate`, which has one"
)]
pub trait Garde {
    fn check(&self) -> Result<(), Invalid>;
}

#[diagnostic::do_not_recommend]
impl<T: Validate<Context = ()>> Garde for T {
    fn check(&self) -> Result<(), Invalid> {
        let Err(report) = self.validate() else { return Ok(()) };
        // Only the first: the sender hears of the others when it is right.
        let (path, reason) = match report.iter().next() {
            Some((path, error)) => (path.to_string(), error.message().to_owned()),
            None => (String::new(), "garde refuses it, and does not say why".to_owned()),
        };
        // A rule of the struct as a whole has no path.
        let field = if path.is_empty() { "value".to_owned() } else { path };
        Err(Invalid::new(field, reason))
    }
}

/// Checks `value` by its rules.
pub fn check_by_garde<T: Garde>(value: &T) -> Result<(), Invalid> {
    value.check()
}
