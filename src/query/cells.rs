//! Writes cells as JSON and CSV, without a value in between.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::engines::Cell;

/// Writes a cell as JSON.
pub fn write_json(out: &mut Vec<u8>, cell: Cell<'_>) {
    match cell {
        Cell::Null => out.extend_from_slice(b"null"),
        Cell::Bool(b) => out.extend_from_slice(if b { b"true" } else { b"false" }),
        Cell::Int(n) => out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes()),
        Cell::UInt(n) => out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes()),
        Cell::Decimal(digits) | Cell::Json(digits) => out.extend_from_slice(digits.as_bytes()),
        Cell::Text(text) => write_json_text(out, text),
        Cell::Float(n) if n.is_finite() => write_float(out, n),
        Cell::Float32(n) if n.is_finite() => write_float32(out, n),
        Cell::Float(n) => write_json_text(out, not_finite(n)),
        Cell::Float32(n) => write_json_text(out, not_finite(f64::from(n))),
        Cell::Bytes(bytes) => {
            out.push(b'"');
            write_base64(out, bytes);
            out.push(b'"');
        }
    }
}

/// Writes a cell as a CSV field: NULL is nothing, an empty text is `""`, and so are no bytes.
pub fn write_csv(out: &mut Vec<u8>, cell: Cell<'_>) {
    match cell {
        Cell::Null => {}
        Cell::Text("") | Cell::Bytes([]) => out.extend_from_slice(b"\"\""),
        Cell::Text(text) | Cell::Json(text) => write_csv_text(out, text),
        Cell::Float(n) if !n.is_finite() => out.extend_from_slice(not_finite(n).as_bytes()),
        Cell::Float32(n) if !n.is_finite() => {
            out.extend_from_slice(not_finite(f64::from(n)).as_bytes());
        }
        Cell::Bytes(bytes) => write_base64(out, bytes),
        other => write_json(out, other),
    }
}

/// Writes a text as a CSV field, quoted where it must be.
pub fn write_csv_text(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    if !bytes.iter().any(|b| matches!(b, b'"' | b',' | b'\n' | b'\r'))
        && !text.starts_with(' ')
        && !text.ends_with(' ')
    {
        out.extend_from_slice(bytes);
        return;
    }
    out.push(b'"');
    for byte in bytes {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

/// Writes a text as a JSON string.
pub fn write_json_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut from = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if *byte >= 0x20 && *byte != b'"' && *byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[from..at]);
        from = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                let hex = |digit: u8| b"0123456789abcdef"[usize::from(digit)];
                out.extend_from_slice(&[
                    b'\\',
                    b'u',
                    b'0',
                    b'0',
                    hex(control >> 4),
                    hex(control & 15),
                ]);
            }
        }
    }
    out.extend_from_slice(&bytes[from..]);
    out.push(b'"');
}

fn write_float(out: &mut Vec<u8>, n: f64) {
    out.extend_from_slice(ryu::Buffer::new().format_finite(n).as_bytes());
}

fn write_float32(out: &mut Vec<u8>, n: f32) {
    out.extend_from_slice(ryu::Buffer::new().format_finite(n).as_bytes());
}

fn not_finite(n: f64) -> &'static str {
    if n.is_nan() {
        "NaN"
    } else if n > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

fn write_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start + base64::encoded_len(bytes.len(), true).unwrap_or_default(), 0);
    // The space is exactly what the encoding takes, so this cannot fail.
    let written = STANDARD.encode_slice(bytes, &mut out[start..]).unwrap_or_default();
    out.truncate(start + written);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_texts_read_back_the_same() {
        for text in ["", "a", "\"\\/\n\r\t\u{0}\u{1f}\u{7f}", "潮闸 😀", "\u{2028}"] {
            let mut out = Vec::new();
            write_json_text(&mut out, text);
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }

    #[test]
    fn cells_keep_their_digits() {
        let json = |cell| {
            let mut out = Vec::new();
            write_json(&mut out, cell);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(json(Cell::Decimal("-12.50")), "-12.50");
        assert_eq!(json(Cell::UInt(u64::MAX)), "18446744073709551615");
        assert_eq!(json(Cell::Float(0.1)), "0.1");
        assert_eq!(json(Cell::Float32(0.1)), "0.1");
        assert_eq!(json(Cell::Float(f64::NEG_INFINITY)), "\"-Infinity\"");
        assert_eq!(json(Cell::Bytes(&[255, 0])), "\"/wA=\"");
    }

    #[test]
    fn csv_tells_null_from_empty() {
        let csv = |cell| {
            let mut out = Vec::new();
            write_csv(&mut out, cell);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(csv(Cell::Null), "");
        assert_eq!(csv(Cell::Text("")), "\"\"");
        assert_eq!(csv(Cell::Bytes(&[])), "\"\"");
        assert_eq!(csv(Cell::Text("a,\"b\"\n")), "\"a,\"\"b\"\"\n\"");
        assert_eq!(csv(Cell::Text("plain")), "plain");
    }
}
