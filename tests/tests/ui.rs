//! What does not compile, with its message, one mistake a file: `tests/ui/<macro>/<mistake>.rs`.
//!
//! After a change of a message: `TRYBUILD=overwrite cargo test -p es-tests --test ui`, and look at each that changed.

#[test]
fn ui() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("ui/*/*.rs");
}
