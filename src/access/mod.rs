//! Who calls, what they may call, and what of the data they see.

pub mod authenticate;
pub mod authorize;
pub mod limit;
pub mod mask_key;
pub mod principal;
pub mod rights;
