//! Who calls, what they may call, and what of the data they see.

pub mod api_keys;
pub mod attempts;
pub mod authenticate;
pub mod authorize;
mod fetch;
pub mod jwks;
mod key_set;
pub mod limit;
pub mod mask_key;
pub mod principal;
pub mod rights;
pub mod token;
pub mod usage;
