//! The parts of a workbook around its rows.

use std::fmt::Write as _;

use super::HeaderCell;
use super::style::{self, HEADER};
use super::value::escape;

/// Longest name of a sheet, in UTF-16 units.
const MAX_NAME: usize = 31;
/// Longest text of a header, in UTF-16 units.
const MAX_HEADER: usize = 255;
/// Narrowest and widest column, in digits.
const WIDTHS: (usize, usize) = (9, 60);

const DECLARATION: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>"#;
const SPREADSHEET: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
const RELATIONS: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006";
const CONTENT: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml";

/// `A` for 0, `Z` for 25, `AA` for 26.
pub fn column_letters(index: usize) -> String {
    let mut letters = Vec::new();
    let mut rest = index + 1;
    while rest > 0 {
        rest -= 1;
        letters.push(b'A' + u8::try_from(rest % 26).unwrap_or_default());
        rest /= 26;
    }
    letters.iter().rev().map(|letter| char::from(*letter)).collect()
}

/// A name that Excel takes for a sheet.
pub fn sheet_name(wish: &str) -> String {
    let allowed =
        |c: &char| !matches!(c, '[' | ']' | ':' | '*' | '?' | '/' | '\\') && !c.is_control();
    let name: String = wish.chars().filter(allowed).collect();
    let name = name.trim_matches(|c: char| c == '\'' || c.is_whitespace());
    // Excel keeps `History` for itself.
    if name.is_empty() || name.eq_ignore_ascii_case("history") {
        return "Sheet".to_owned();
    }
    shorten(name, MAX_NAME).to_owned()
}

fn shorten(text: &str, limit: usize) -> &str {
    let mut units = 0;
    let end = text.char_indices().find(|(_, c)| {
        units += c.len_utf16();
        units > limit
    });
    end.map_or(text, |(at, _)| &text[..at])
}

/// The name of sheet `number`, from 1: the second is `Name (2)`.
fn numbered_name(name: &str, number: usize) -> String {
    if number == 1 {
        return name.to_owned();
    }
    let suffix = format!(" ({number})");
    format!("{}{suffix}", shorten(name, MAX_NAME - suffix.len()))
}

/// Where sheet `number` stands in the archive.
pub fn sheet_path(number: usize) -> String {
    format!("xl/worksheets/sheet{number}.xml")
}

/// Begins a sheet and writes its header rows; gives their number.
pub fn begin_sheet<'a>(xml: &mut String, headers: &'a [HeaderCell], letters: &[String]) -> u32 {
    let grouped = headers.iter().any(|header| header.group.is_some());
    let rows = 1 + u32::from(grouped);
    let top = rows + 1;
    let _ = write!(
        xml,
        concat!(
            r#"{}<worksheet xmlns="{}"><sheetViews><sheetView workbookViewId="0">"#,
            r#"<pane ySplit="{}" topLeftCell="A{}" activePane="bottomLeft" state="frozen"/>"#,
            r#"</sheetView></sheetViews><sheetFormatPr defaultRowHeight="15"/>"#
        ),
        DECLARATION, SPREADSHEET, rows, top
    );
    write_widths(xml, headers);
    xml.push_str("<sheetData>");
    if grouped {
        // Of merged cells only the first has a text.
        let mut last: Option<&str> = None;
        let above = headers.iter().map(|header| {
            let text = header.group.as_deref().filter(|group| last != Some(*group));
            last = header.group.as_deref();
            if last.is_some() { text.unwrap_or_default() } else { &header.title }
        });
        write_header_row(xml, 1, letters, above);
    }
    let below = |header: &'a HeaderCell| {
        if grouped && header.group.is_none() { "" } else { header.title.as_str() }
    };
    write_header_row(xml, rows, letters, headers.iter().map(below));
    rows
}

fn write_widths(xml: &mut String, headers: &[HeaderCell]) {
    if headers.is_empty() {
        return;
    }
    xml.push_str("<cols>");
    for (index, header) in headers.iter().enumerate() {
        let number = index + 1;
        // A Chinese character is as wide as two digits.
        let digits: usize = header.title.chars().map(|c| 1 + usize::from(!c.is_ascii())).sum();
        let width = (digits + 4).clamp(WIDTHS.0, WIDTHS.1);
        let _ =
            write!(xml, r#"<col min="{number}" max="{number}" width="{width}" customWidth="1"/>"#);
    }
    xml.push_str("</cols>");
}

fn write_header_row<'a>(
    xml: &mut String,
    row: u32,
    letters: &[String],
    titles: impl Iterator<Item = &'a str>,
) {
    let _ = write!(xml, r#"<row r="{row}">"#);
    for (letters, title) in letters.iter().zip(titles) {
        let _ = write!(xml, r#"<c r="{letters}{row}" s="{HEADER}""#);
        if title.is_empty() {
            xml.push_str("/>");
            continue;
        }
        xml.push_str(r#" t="inlineStr"><is><t xml:space="preserve">"#);
        escape(xml, title, MAX_HEADER);
        xml.push_str("</t></is></c>");
    }
    xml.push_str("</row>");
}

/// Ends a sheet. Under two header rows, groups are merged across, and heads without a group down.
pub fn end_sheet(xml: &mut String, headers: &[HeaderCell], letters: &[String]) {
    xml.push_str("</sheetData>");
    let merges = merges(headers, letters);
    if !merges.is_empty() {
        let _ = write!(xml, r#"<mergeCells count="{}">"#, merges.len());
        for merge in merges {
            let _ = write!(xml, r#"<mergeCell ref="{merge}"/>"#);
        }
        xml.push_str("</mergeCells>");
    }
    xml.push_str("</worksheet>");
}

fn merges(headers: &[HeaderCell], letters: &[String]) -> Vec<String> {
    let mut merges = Vec::new();
    if headers.iter().all(|header| header.group.is_none()) {
        return merges;
    }
    let mut first = 0;
    for columns in headers.chunk_by(|a, b| a.group.is_some() && a.group == b.group) {
        let last = first + columns.len() - 1;
        if columns[0].group.is_none() {
            merges.push(format!("{0}1:{0}2", letters[first]));
        } else if last > first {
            merges.push(format!("{}1:{}1", letters[first], letters[last]));
        }
        first = last + 1;
    }
    merges
}

/// The parts that name the sheets and say how everything hangs together, by their paths.
pub fn workbook(name: &str, sheets: usize) -> [(&'static str, String); 5] {
    let mut types = format!(
        concat!(
            r#"{}<Types xmlns="{}/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>"#,
            r#"<Default Extension="xml" ContentType="application/xml"/>"#,
            r#"<Override PartName="/xl/workbook.xml" ContentType="{}.sheet.main+xml"/>"#,
            r#"<Override PartName="/xl/styles.xml" ContentType="{}.styles+xml"/>"#
        ),
        DECLARATION, PACKAGE, CONTENT, CONTENT
    );
    let mut book =
        format!(r#"{DECLARATION}<workbook xmlns="{SPREADSHEET}" xmlns:r="{RELATIONS}"><sheets>"#);
    let mut relations = format!(
        r#"{DECLARATION}<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="styles" Type="{RELATIONS}/styles" Target="styles.xml"/>"#
    );
    for number in 1..=sheets {
        let path = sheet_path(number);
        let _ = write!(
            types,
            r#"<Override PartName="/{path}" ContentType="{CONTENT}.worksheet+xml"/>"#
        );
        book.push_str(r#"<sheet name=""#);
        escape(&mut book, &numbered_name(name, number), MAX_NAME);
        let _ = write!(book, r#"" sheetId="{number}" r:id="sheet{number}"/>"#);
        let _ = write!(
            relations,
            r#"<Relationship Id="sheet{number}" Type="{RELATIONS}/worksheet" Target="worksheets/sheet{number}.xml"/>"#
        );
    }
    types.push_str("</Types>");
    book.push_str("</sheets></workbook>");
    relations.push_str("</Relationships>");
    let root = format!(
        r#"{DECLARATION}<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="book" Type="{RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>"#
    );
    [
        ("xl/workbook.xml", book),
        ("xl/_rels/workbook.xml.rels", relations),
        ("xl/styles.xml", style::sheet()),
        ("_rels/.rels", root),
        ("[Content_Types].xml", types),
    ]
}
