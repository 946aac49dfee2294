//! Reads what exports are: CSV, workbooks.

use std::io::{Cursor, Read};

use regex::Regex;

/// The records of a CSV text by RFC 4180; `None` for a field that is empty and not quoted.
pub fn csv(text: &str) -> Vec<Vec<Option<String>>> {
    let mut records = Vec::new();
    let mut record = Vec::new();
    let mut chars = text.chars().peekable();
    while chars.peek().is_some() {
        let mut field = String::new();
        let quoted = chars.next_if_eq(&'"').is_some();
        if quoted {
            loop {
                match chars.next().expect("a quote closes") {
                    '"' if chars.next_if_eq(&'"').is_some() => field.push('"'),
                    '"' => break,
                    c => field.push(c),
                }
            }
        }
        while let Some(c) = chars.next_if(|c| !matches!(c, ',' | '\r')) {
            assert!(!quoted && c != '"' && c != '\n', "`{c}` stands where none may: {field}");
            field.push(c);
        }
        record.push((quoted || !field.is_empty()).then_some(field));
        if chars.next() == Some('\r') {
            assert_eq!(chars.next(), Some('\n'), "a record ends in CR LF");
            records.push(std::mem::take(&mut record));
        }
    }
    assert!(record.is_empty(), "the last record ends in CR LF");
    records
}

/// The first sheet of a workbook, as the text of its cells; nothing is an empty text.
pub fn sheet(bytes: &[u8]) -> Vec<Vec<String>> {
    let xml = member(bytes, "xl/worksheets/sheet1.xml");
    let cell = Regex::new(r#"<c r="([A-Z]+)\d+"[^>]*?(?:/>|>(.*?)</c>)"#).unwrap();
    let inner = Regex::new(r"(?s)<(?:v|t)(?: [^>]*)?>(.*?)</(?:v|t)>").unwrap();
    let row = Regex::new(r"(?s)<row [^>]*>(.*?)</row>").unwrap();
    let rows = row.captures_iter(&xml).map(|row| {
        let mut cells: Vec<String> = Vec::new();
        for found in cell.captures_iter(&row[1]) {
            let column = found[1].bytes().fold(0, |n, b| n * 26 + usize::from(b - b'A') + 1);
            cells.resize(column, String::new());
            let text = found.get(2).and_then(|body| inner.captures(body.as_str()));
            cells[column - 1] = text.map_or_else(String::new, |text| unescape(&text[1]));
        }
        cells
    });
    rows.collect()
}

/// A file of a workbook.
pub fn member(bytes: &[u8], name: &str) -> String {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).expect("a workbook is a ZIP");
    let mut text = String::new();
    archive.by_name(name).unwrap().read_to_string(&mut text).unwrap();
    text
}

fn unescape(text: &str) -> String {
    let plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    plain.replace("&amp;", "&")
}
