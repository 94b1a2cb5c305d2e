//! Tests of the workspace as a user sees it, in `tests/`: what compiles, with which message it does not, and what it does.
