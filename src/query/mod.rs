//! From an interface and its parameters to the bytes of an answer. Knows no HTTP.

pub mod by_hand;
pub mod cache;
pub mod cells;
pub mod columns;
pub mod draft;
pub mod encode;
pub mod execute;
pub mod params;
pub mod plan;
pub mod prepare;
pub mod scope;
pub mod sink;
pub mod summary;
pub mod xlsx;
