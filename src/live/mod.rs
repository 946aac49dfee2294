//! The generation that serves, and how the next one takes its place.

pub mod generation;
pub mod history;
pub mod reload;
mod retire;
pub mod upkeep;
pub mod watch;
