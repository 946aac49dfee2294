//! Who calls, and what they may call.

pub mod api_keys;
pub mod attempts;
pub mod authenticate;
pub mod authorize;
mod fetch;
pub mod jwks;
mod key_set;
pub mod limit;
pub mod principal;
pub mod token;
pub mod usage;
