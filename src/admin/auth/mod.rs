//! How people and scripts come in at the admin address.
//!
//! ```text
//! Authorization: Bearer ─► admin token · API token ─┐
//! cookie ─► session ─► (changes) CSRF token, origin ─┴─► Person ─► role ─► handler ─► journal
//! ```

pub mod gate;
pub mod journal;
pub mod lockout;
pub mod password;
pub mod person;
pub mod secret;
pub mod setup;

use self::lockout::Lockout;
use self::password::Passwords;
use self::setup::Setup;

/// What logging in works with.
#[derive(Debug, Default)]
pub struct Auth {
    pub passwords: Passwords,
    pub lockout: Lockout,
    pub setup: Setup,
}
