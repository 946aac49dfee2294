//! The engines of a generation by datasource: built from definitions, kept across reloads, guarded by their limits.
