//! Who calls, and what they may call.

pub mod authenticate;
pub mod authorize;
pub mod limit;
pub mod principal;
