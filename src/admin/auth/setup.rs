//! The first account: made by whoever has the one-time token that the start of an appliance without accounts prints.

use parking_lot::Mutex;

use super::secret;

/// The one-time token, while there is one.
#[derive(Debug, Default)]
pub struct Setup(Mutex<Option<String>>);

impl Setup {
    /// Makes the token; the one before no longer works.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub fn open(&self) -> std::io::Result<String> {
        let token = secret::fresh()?;
        *self.0.lock() = Some(secret::hash(&token));
        Ok(token)
    }

    /// Whether this is the token.
    pub fn is_right(&self, token: &str) -> bool {
        self.0.lock().as_ref().is_some_and(|kept| secret::is_same(kept, &secret::hash(token)))
    }

    /// From now on there is none.
    pub fn close(&self) {
        *self.0.lock() = None;
    }
}
