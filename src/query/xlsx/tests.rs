//! Workbooks read back from their bytes.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use zip::ZipArchive;

use super::{CellStyle, HeaderCell, XlsxError, XlsxWriter};
use crate::engines::Cell;

/// The parts of a workbook by their paths.
fn parts(bytes: Vec<u8>) -> BTreeMap<String, String> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut parts = BTreeMap::new();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        parts.insert(file.name().unwrap().into_owned(), text);
    }
    parts
}

/// The XML of a one-column sheet with one cell, from `<c` to `</c>`.
fn cell_xml(cell: &Cell<'_>, style: CellStyle) -> String {
    let mut writer = XlsxWriter::new("s", &[HeaderCell::new("h")]).unwrap();
    writer.begin_row().unwrap();
    writer.cell(cell, style);
    writer.end_row().unwrap();
    let sheet = parts(writer.finish().unwrap()).remove("xl/worksheets/sheet1.xml").unwrap();
    let row = sheet.split(r#"<row r="2">"#).nth(1).unwrap();
    row.split("</row>").next().unwrap().to_owned()
}

/// The value of that cell and whether it is a number.
fn shown(cell: &Cell<'_>, style: CellStyle) -> (String, bool) {
    let xml = cell_xml(cell, style);
    let between = |from: &str, to: &str| {
        xml.split(from).nth(1).and_then(|rest| rest.split(to).next()).map(str::to_owned)
    };
    match between("<v>", "</v>") {
        Some(number) => (number, true),
        None => (between(r#""preserve">"#, "</t>").unwrap(), false),
    }
}

fn number(text: &str) -> (String, bool) {
    (text.to_owned(), true)
}

fn text(text: &str) -> (String, bool) {
    (text.to_owned(), false)
}

#[test]
fn a_workbook_has_all_its_parts() {
    let writer = XlsxWriter::new("销售", &[HeaderCell::new("日期")]).unwrap();
    let parts = parts(writer.finish().unwrap());
    let names: Vec<_> = parts.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "[Content_Types].xml",
            "_rels/.rels",
            "xl/_rels/workbook.xml.rels",
            "xl/styles.xml",
            "xl/workbook.xml",
            "xl/worksheets/sheet1.xml",
        ]
    );
    assert!(parts["xl/workbook.xml"].contains(r#"<sheet name="销售" sheetId="1""#));
    assert!(parts["xl/worksheets/sheet1.xml"].contains(r#"<pane ySplit="1""#));
    assert!(!parts["xl/worksheets/sheet1.xml"].contains("mergeCell"));
}

#[test]
fn numbers_stay_numbers_while_a_double_keeps_their_digits() {
    use CellStyle::General;
    for (cell, expected) in [
        (Cell::Int(-42), number("-42")),
        (Cell::Int(999_999_999_999_999), number("999999999999999")),
        (Cell::Int(1_000_000_000_000_001), text("1000000000000001")),
        (Cell::Int(i64::MIN), text("-9223372036854775808")),
        (Cell::UInt(u64::MAX), text("18446744073709551615")),
        (Cell::Decimal("-12.50"), number("-12.50")),
        (Cell::Decimal("0.001234567890123456"), text("0.001234567890123456")),
        (Cell::Decimal("0.00123456789012345"), number("0.00123456789012345")),
        (Cell::Decimal("12345678901234.56"), text("12345678901234.56")),
        (Cell::Decimal("120000000000000000000"), number("120000000000000000000")),
        (Cell::Decimal("0.00"), number("0.00")),
        (Cell::Decimal("1e400"), text("1e400")),
        (Cell::Decimal("NaN"), text("NaN")),
        (Cell::Float(0.1), number("0.1")),
        (Cell::Float(12.0), number("12")),
        (Cell::Float(-1.5e300), number("-1.5e300")),
        (Cell::Float(f64::MAX), text("1.7976931348623157e308")),
        (Cell::Float(f64::NAN), text("NaN")),
        (Cell::Float(f64::NEG_INFINITY), text("-Infinity")),
        (Cell::Float32(0.1), number("0.1")),
    ] {
        assert_eq!(shown(&cell, General), expected, "{cell:?}");
    }
    assert_eq!(shown(&Cell::Int(7), CellStyle::Text), text("7"));
    assert_eq!(shown(&Cell::Decimal("1.50"), CellStyle::Text), text("1.50"));
}

#[test]
fn dates_become_days() {
    use CellStyle::{Date, DateTime, Month};
    for (value, style, expected) in [
        ("2025-01-31", Date, number("45688.0")),
        ("1900-01-01", Date, number("1.0")),
        ("1900-02-28", Date, number("59.0")),
        ("1900-03-01", Date, number("61.0")),
        ("1899-12-31", Date, text("1899-12-31")),
        ("2025-02-29", Date, text("2025-02-29")),
        ("一月三十一日", Date, text("一月三十一日")),
        ("", Date, text("")),
        ("2025-01", Month, number("45658.0")),
        ("2025-01-15", Month, number("45672.0")),
        ("2025-01", Date, text("2025-01")),
        ("2025-01-31 06:00:00", DateTime, number("45688.25")),
        ("2025-01-31T12:00:00", DateTime, number("45688.5")),
        ("2025-01-31T12:00:00+08:00", DateTime, text("2025-01-31T12:00:00+08:00")),
        ("2025-01-31T12:00:00Z", DateTime, text("2025-01-31T12:00:00Z")),
        ("2025-01-31", CellStyle::General, text("2025-01-31")),
    ] {
        assert_eq!(shown(&Cell::Text(value), style), expected, "{value} as {style:?}");
    }
    let plain = cell_xml(&Cell::Int(20_250_131), Date);
    assert_eq!(plain, r#"<c r="A2"><v>20250131</v></c>"#);
}

#[test]
fn texts_are_texts_whatever_they_look_like() {
    for (value, expected) in [
        ("=1+1", "=1+1"),
        ("<a href=\"x\">&amp;</a>", "&lt;a href=&quot;x&quot;&gt;&amp;amp;&lt;/a&gt;"),
        ("a\tb\nc\rd\0e", "a\tb\nc_x000D_d_x0000_e"),
        ("_x0041_", "_x005F_x0041_"),
        ("_x_ _xyz_", "_x_ _xyz_"),
        ("  🌊  ", "  🌊  "),
        ("\u{ffff}", "_xFFFF_"),
    ] {
        assert_eq!(shown(&Cell::Text(value), CellStyle::General), text(expected));
    }
    let long = shown(&Cell::Text(&"🌊".repeat(20_000)), CellStyle::General).0;
    assert_eq!(long, "🌊".repeat(32_767 / 2));
    assert_eq!(shown(&Cell::Bytes(&[0, 255]), CellStyle::General), text("AP8="));
    assert_eq!(shown(&Cell::Json("[1]"), CellStyle::General), text("[1]"));
    assert_eq!(cell_xml(&Cell::Bool(true), CellStyle::General), r#"<c r="A2" t="b"><v>1</v></c>"#);
    assert_eq!(cell_xml(&Cell::Null, CellStyle::Integer), "");
}

#[test]
fn each_style_has_its_format() {
    let writer = XlsxWriter::new("s", &[]).unwrap();
    let styles = parts(writer.finish().unwrap()).remove("xl/styles.xml").unwrap();
    let cells = styles.split("<cellXfs").nth(1).unwrap();
    for (style, format) in [
        (CellStyle::Text, "@"),
        (CellStyle::Integer, "#,##0"),
        (CellStyle::Decimal, "#,##0.00"),
        (CellStyle::Percent, "0.00%"),
        (CellStyle::PlainInteger, "0"),
        (CellStyle::PlainDecimal, "0.00"),
        (CellStyle::PlainPercent, "General"),
        (CellStyle::Percent1, "0.0%"),
        (CellStyle::Decimal1, "#,##0.0"),
        (CellStyle::Year, "0"),
        (CellStyle::Date, "yyyy-mm-dd"),
        (CellStyle::Month, "yyyy-mm"),
        (CellStyle::DateTime, "yyyy-mm-dd hh:mm:ss"),
    ] {
        let entry = cells.split("<xf ").nth(style.index() + 1).unwrap();
        let id = entry.split('"').nth(1).unwrap();
        let rule = format!(r#"<numFmt numFmtId="{id}" formatCode="{format}"/>"#);
        assert!(styles.contains(&rule), "{style:?} is {id}");
    }
    assert_eq!(CellStyle::General.index(), 0);
}

#[test]
fn groups_are_merged() {
    let headers = [
        HeaderCell::new("日期"),
        HeaderCell::grouped("线上", "金额"),
        HeaderCell::grouped("线上", "单数"),
        HeaderCell::grouped("线下", "金额"),
        HeaderCell::new("备注"),
        HeaderCell::new("人"),
    ];
    let mut writer = XlsxWriter::new("s", &headers).unwrap();
    writer.begin_row().unwrap();
    writer.cell(&Cell::Int(1), CellStyle::Integer);
    writer.end_row().unwrap();
    let sheet = parts(writer.finish().unwrap()).remove("xl/worksheets/sheet1.xml").unwrap();
    let merges: Vec<_> = sheet
        .split(r#"<mergeCell ref=""#)
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert_eq!(merges, ["A1:A2", "B1:C1", "E1:E2", "F1:F2"]);
    let texts = |row: u32| -> Vec<String> {
        let xml = sheet.split(&format!(r#"<row r="{row}">"#)).nth(1).unwrap();
        let cells = xml.split("</row>").next().unwrap().split("<c ").skip(1);
        cells
            .map(|cell| {
                cell.split(r#""preserve">"#).nth(1).map_or("", |t| t.split('<').next().unwrap())
            })
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(texts(1), ["日期", "线上", "", "线下", "备注", "人"]);
    assert_eq!(texts(2), ["", "金额", "单数", "金额", "", ""]);
    assert!(sheet.contains(r#"<pane ySplit="2" topLeftCell="A3""#));
    assert!(sheet.contains(r#"<c r="A3" s="3"><v>1</v></c>"#));
}

#[test]
fn a_full_sheet_is_followed_by_another() {
    let mut writer = XlsxWriter::with_max_rows("long/name", &[HeaderCell::new("n")], 4).unwrap();
    for n in 0..8 {
        writer.begin_row().unwrap();
        writer.cell(&Cell::Int(n), CellStyle::General);
        writer.cell(&Cell::Int(99), CellStyle::General);
        writer.end_row().unwrap();
    }
    let parts = parts(writer.finish().unwrap());
    let rows =
        |sheet: u32| parts[&format!("xl/worksheets/sheet{sheet}.xml")].matches("<v>").count();
    assert_eq!([rows(1), rows(2), rows(3)], [3, 3, 2]);
    for name in ["longname", "longname (2)", "longname (3)"] {
        assert!(parts["xl/workbook.xml"].contains(&format!(r#"<sheet name="{name}""#)), "{name}");
    }
    assert!(parts["xl/worksheets/sheet3.xml"].contains(">n</t>"), "headers are repeated");
}

#[test]
fn there_is_an_end_to_sheets_and_columns() {
    let mut writer = XlsxWriter::with_max_rows("s", &[HeaderCell::new("n")], 2).unwrap();
    let result = (0..300).try_for_each(|_| {
        writer.begin_row()?;
        writer.end_row()
    });
    assert!(matches!(result, Err(XlsxError::TooManyRows)));
    let wide = vec![HeaderCell::default(); 16_385];
    assert!(matches!(XlsxWriter::new("s", &wide), Err(XlsxError::TooManyColumns)));
}

#[test]
fn bytes_can_be_taken_while_rows_arrive() {
    let mut writer =
        XlsxWriter::new("s", &[HeaderCell::new("n"), HeaderCell::new("text")]).unwrap();
    let (mut file, mut takes) = (Vec::new(), 0);
    for n in 0..50_000_u64 {
        let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        writer.begin_row().unwrap();
        writer.cell(&Cell::UInt(n), CellStyle::General);
        writer.cell(&Cell::Text(&format!("{mixed:x}")), CellStyle::General);
        writer.end_row().unwrap();
        let bytes = writer.take();
        assert!(bytes.len() < 256 * 1024, "{} bytes at once", bytes.len());
        takes += usize::from(!bytes.is_empty());
        file.extend(bytes);
    }
    assert!(takes > 10, "only {takes} pieces");
    file.extend(writer.finish().unwrap());
    let sheet = parts(file).remove("xl/worksheets/sheet1.xml").unwrap();
    assert_eq!(sheet.matches("<row ").count(), 50_001);
}

#[test]
fn names_of_sheets_are_made_fit() {
    for (wish, name) in [
        ("a[b]:c*d?e/f\\g", "abcdefg"),
        ("'quoted'", "quoted"),
        ("", "Sheet"),
        ("?*", "Sheet"),
        ("history", "Sheet"),
        ("R&D", "R&amp;D"),
        (&"长".repeat(40), &"长".repeat(31)),
    ] {
        let writer = XlsxWriter::new(wish, &[HeaderCell::new("h")]).unwrap();
        let book = parts(writer.finish().unwrap()).remove("xl/workbook.xml").unwrap();
        assert!(book.contains(&format!(r#"<sheet name="{name}" "#)), "{wish}: {book}");
    }
    assert_eq!(super::parts::column_letters(0), "A");
    assert_eq!(super::parts::column_letters(25), "Z");
    assert_eq!(super::parts::column_letters(26), "AA");
    assert_eq!(super::parts::column_letters(16_383), "XFD");
}

#[test]
fn a_writer_can_move_between_threads() {
    fn movable<T: Send + 'static>() {}
    movable::<XlsxWriter>();
}
