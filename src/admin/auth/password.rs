//! Passwords: hashed by argon2id, a few at a time, away from the threads that answer.

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use rand::TryRngCore;
use rand::rngs::OsRng;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Characters of a password.
pub const MIN_CHARS: usize = 10;
pub const MAX_CHARS: usize = 256;
/// Passwords hashed at once: each takes 19 MiB and a processor for some tens of milliseconds.
const MAX_AT_ONCE: usize = 2;
/// Bytes of a salt.
const SALT_BYTES: usize = 16;

/// Hashes and checks passwords.
#[derive(Debug)]
pub struct Passwords(Semaphore);

impl Default for Passwords {
    fn default() -> Self {
        Self(Semaphore::new(MAX_AT_ONCE))
    }
}

/// The hash of a password, in the PHC form. Takes its time.
///
/// # Errors
/// Where the system gives no random bytes.
pub fn hash(password: &str) -> Result<String, String> {
    let mut salt = [0; SALT_BYTES];
    OsRng.try_fill_bytes(&mut salt).map_err(|error| error.to_string())?;
    let salt = SaltString::encode_b64(&salt).map_err(|error| error.to_string())?;
    let hash = Argon2::default().hash_password(password.as_bytes(), &salt);
    hash.map(|hash| hash.to_string()).map_err(|error| error.to_string())
}

/// What is wrong with a new password.
pub fn flaw(password: &str, username: &str) -> Option<&'static str> {
    let chars = password.chars().count();
    if !(MIN_CHARS..=MAX_CHARS).contains(&chars) {
        return Some("A password has 10 to 256 characters.");
    }
    let first = password.chars().next();
    if password.chars().all(|c| Some(c) == first) {
        return Some("A password is not one character repeated.");
    }
    if password.to_lowercase().contains(&username.to_lowercase()) {
        return Some("A password does not hold the name of its account.");
    }
    None
}

impl Passwords {
    /// [`hash`] on a thread of its own.
    ///
    /// # Errors
    /// As it says.
    pub async fn hash(&self, password: String) -> Result<String, String> {
        let _turn = self.0.acquire().await;
        spawn_blocking(move || hash(&password)).await.map_err(|error| error.to_string())?
    }

    /// Whether a password is that of `kept`. Without one it takes as long, so that nobody learns which accounts there are.
    pub async fn is_right(&self, password: String, kept: Option<String>) -> bool {
        let _turn = self.0.acquire().await;
        let check = move || {
            let Some(kept) = kept else {
                // Of no account; what comes of it does not matter.
                let _ = hash(&password);
                return false;
            };
            PasswordHash::new(&kept).is_ok_and(|kept| {
                Argon2::default().verify_password(password.as_bytes(), &kept).is_ok()
            })
        };
        spawn_blocking(check).await.unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_lets_its_password_in_and_no_other() {
        let kept = hash("a long password").unwrap();
        assert!(kept.starts_with("$argon2id$"), "{kept}");
        assert_ne!(kept, hash("a long password").unwrap(), "each has a salt of its own");
        let passwords = Passwords::default();
        assert!(passwords.is_right("a long password".into(), Some(kept.clone())).await);
        assert!(!passwords.is_right("a long passwort".into(), Some(kept)).await);
        assert!(!passwords.is_right("a long password".into(), None).await);
        assert!(!passwords.is_right("a long password".into(), Some("nonsense".into())).await);
    }

    #[test]
    fn weak_passwords_are_refused() {
        for weak in ["short", "aaaaaaaaaaaa", "my-clerk-password"] {
            assert!(flaw(weak, "clerk").is_some(), "{weak}");
        }
        assert_eq!(flaw("correct horse battery", "clerk"), None);
    }
}
