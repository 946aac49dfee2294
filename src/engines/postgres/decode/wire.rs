//! Reading the server's binary wire format: big-endian numbers and length-prefixed values.

use crate::engines::EngineError;

/// A cursor over the bytes of one value.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

/// The error for bytes that are not what their type says.
pub(super) fn malformed(what: &str) -> EngineError {
    EngineError::Value(format!("malformed {what} from the server"))
}

/// The bytes as text; the server sends UTF-8, as the session asks for.
pub(super) fn utf8(bytes: &[u8]) -> Result<&str, EngineError> {
    std::str::from_utf8(bytes).map_err(|_| malformed("text"))
}

/// Exactly `N` bytes.
pub(super) fn fixed<const N: usize>(bytes: &[u8], what: &str) -> Result<[u8; N], EngineError> {
    bytes.try_into().map_err(|_| malformed(what))
}

impl<'a> Reader<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], EngineError> {
        let (head, tail) = self.0.split_at_checked(length).ok_or_else(|| malformed("value"))?;
        self.0 = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], EngineError> {
        let (head, tail) = self.0.split_first_chunk::<N>().ok_or_else(|| malformed("value"))?;
        self.0 = tail;
        Ok(*head)
    }

    pub(super) fn u8(&mut self) -> Result<u8, EngineError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, EngineError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn i16(&mut self) -> Result<i16, EngineError> {
        self.array().map(i16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, EngineError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32, EngineError> {
        self.array().map(i32::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64, EngineError> {
        self.array().map(i64::from_be_bytes)
    }

    pub(super) fn f64(&mut self) -> Result<f64, EngineError> {
        self.array().map(f64::from_be_bytes)
    }

    /// A count, which the protocol sends as a signed number.
    pub(super) fn count(&mut self) -> Result<usize, EngineError> {
        usize::try_from(self.i32()?).map_err(|_| malformed("count"))
    }

    /// A value behind its length; a length of -1 is NULL.
    pub(super) fn value(&mut self) -> Result<Option<&'a [u8]>, EngineError> {
        match self.i32()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(|_| malformed("length"))?;
                self.take(length).map(Some)
            }
        }
    }

    /// Text up to a zero byte.
    pub(super) fn c_string(&mut self) -> Result<&'a str, EngineError> {
        let end = self.0.iter().position(|b| *b == 0).ok_or_else(|| malformed("string"))?;
        let text = utf8(self.take(end)?)?;
        self.take(1)?;
        Ok(text)
    }
}
