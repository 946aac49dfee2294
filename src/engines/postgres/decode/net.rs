//! Addresses, identifiers and bit strings as `psql` prints them.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::wire::{Reader, fixed, malformed, utf8};
use crate::engines::EngineError;

/// The server's number for IPv4; IPv6 is the next one.
const FAMILY_IPV4: u8 = 2;

/// Bytes as lower-case hex, with `separator` between them where one is given.
pub(super) fn push_hex(bytes: &[u8], separator: Option<char>, out: &mut String) {
    for (i, byte) in bytes.iter().enumerate() {
        if i > 0 {
            out.extend(separator);
        }
        let _ = write!(out, "{byte:02x}");
    }
}

/// A `uuid` in its usual form.
pub(super) fn push_uuid(bytes: &[u8], out: &mut String) -> Result<(), EngineError> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let bytes: [u8; 16] = fixed(bytes, "uuid")?;
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    Ok(())
}

/// An `inet` or `cidr`.
pub(super) fn push_address(bytes: &[u8], out: &mut String) -> Result<(), EngineError> {
    let mut reader = Reader(bytes);
    let (family, prefix, is_cidr, length) =
        (reader.u8()?, reader.u8()?, reader.u8()? != 0, reader.u8()?);
    let address = reader.take(usize::from(length))?;
    let full = if family == FAMILY_IPV4 {
        let _ = write!(out, "{}", Ipv4Addr::from(fixed::<4>(address, "inet")?));
        32
    } else {
        push_ipv6(Ipv6Addr::from(fixed::<16>(address, "inet")?), out);
        128
    };
    if is_cidr || prefix != full {
        let _ = write!(out, "/{prefix}");
    }
    Ok(())
}

/// Addresses of the form `::a.b.c.d` keep their dots on the server, unlike in the standard library.
fn push_ipv6(address: Ipv6Addr, out: &mut String) {
    let words = address.segments();
    let leading_zeros = words.iter().take_while(|word| **word == 0).count();
    let _ = if leading_zeros == 6 {
        let [.., a, b, c, d] = address.octets();
        write!(out, "::{a}.{b}.{c}.{d}")
    } else {
        write!(out, "{address}")
    };
}

/// A `bit` or `varbit`: its digits.
pub(super) fn push_bits(bytes: &[u8], out: &mut String) -> Result<(), EngineError> {
    let mut reader = Reader(bytes);
    let count = reader.count()?;
    let bits = reader.take(count.div_ceil(8))?;
    for i in 0..count {
        let set = bits[i / 8] & (0x80 >> (i % 8)) != 0;
        out.push(if set { '1' } else { '0' });
    }
    Ok(())
}

/// A `"char"`: one byte, empty when zero, in octal when it is not ASCII.
pub(super) fn push_char(bytes: &[u8], out: &mut String) -> Result<(), EngineError> {
    match fixed::<1>(bytes, "\"char\"")? {
        [0] => {}
        [byte] if byte.is_ascii() => out.push(char::from(byte)),
        [byte] => {
            let _ = write!(out, "\\{byte:03o}");
        }
    }
    Ok(())
}

/// A type without a decoder: text where the bytes are text, else hex as `bytea` prints.
pub(super) fn push_opaque(bytes: &[u8], out: &mut String) {
    match utf8(bytes) {
        Ok(text) if !text.contains(|c: char| c.is_control() && !c.is_whitespace()) => {
            out.push_str(text);
        }
        _ => {
            out.push_str("\\x");
            push_hex(bytes, None, out);
        }
    }
}

/// A `tid`, such as `(0,1)`.
pub(super) fn push_tid(bytes: &[u8], out: &mut String) -> Result<(), EngineError> {
    let mut reader = Reader(bytes);
    let _ = write!(out, "({},{})", reader.u32()?, reader.u16()?);
    Ok(())
}

/// A `pg_lsn`, such as `16/B374D848`.
pub(super) fn push_lsn(bytes: &[u8], out: &mut String) -> Result<(), EngineError> {
    let mut reader = Reader(bytes);
    let _ = write!(out, "{:X}/{:X}", reader.u32()?, reader.u32()?);
    Ok(())
}

/// Text behind a version byte: `jsonb`, `jsonpath`, `ltree` and its kin.
pub(super) fn versioned_text(bytes: &[u8]) -> Result<&str, EngineError> {
    match bytes.split_first() {
        Some((1, text)) => utf8(text),
        _ => Err(malformed("version")),
    }
}
