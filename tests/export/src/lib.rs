//! Tests of the export of schemas, in `tests/`.
