//! The procedural macros of `es-runtime`, which re-exports them.
