//! Tests of the feature `schema`, in `tests/`.
