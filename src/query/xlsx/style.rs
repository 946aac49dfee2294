//! How cells look: the output types of an interface's fields as Excel's number formats.

use std::fmt::Write as _;

/// How a cell is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CellStyle {
    /// As Excel thinks fit.
    #[default]
    General,
    /// 字符: text, also where the value is a number.
    Text,
    /// 整数: `1,234`
    Integer,
    /// 小数: `1,234.50`
    Decimal,
    /// 百分比: `12.34%`, of a fraction such as 0.1234
    Percent,
    /// 无格式整数: `1234`
    PlainInteger,
    /// 无格式小数: `1234.50`
    PlainDecimal,
    /// 无格式百分比: the number as it is
    PlainPercent,
    /// 1位百分比: `12.3%`
    Percent1,
    /// 1位小数: `1,234.5`
    Decimal1,
    /// 年份: `2025`
    Year,
    /// 日期: `2025-01-31`
    Date,
    /// 月份: `2025-01`
    Month,
    /// `2025-01-31 08:00:00`
    DateTime,
}

/// The style of header cells in the table of styles; those of cells follow it.
pub const HEADER: usize = 1;

/// Cell styles by their place in the table of styles, from `HEADER + 1`.
const TABLE: [(CellStyle, &str); 13] = [
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
];

/// Number of the first format that is not built into Excel.
const FIRST_FORMAT: usize = 164;

impl CellStyle {
    /// Its number in the table of styles.
    pub fn index(self) -> usize {
        TABLE.iter().position(|(style, _)| *style == self).map_or(0, |place| HEADER + 1 + place)
    }

    /// Whether it shows a point in time.
    pub fn is_temporal(self) -> bool {
        matches!(self, Self::Date | Self::Month | Self::DateTime)
    }
}

/// The part `xl/styles.xml`.
pub fn sheet() -> String {
    let mut formats = String::new();
    let mut cells = String::new();
    for (place, (_, format)) in TABLE.iter().enumerate() {
        let id = FIRST_FORMAT + place;
        let _ = write!(formats, r#"<numFmt numFmtId="{id}" formatCode="{format}"/>"#);
        let _ = write!(
            cells,
            r#"<xf numFmtId="{id}" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>"#
        );
    }
    let count = TABLE.len();
    let styles = count + HEADER + 1;
    format!(
        concat!(
            r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>"#,
            r#"<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">"#,
            r#"<numFmts count="{count}">{formats}</numFmts>"#,
            r#"<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>"#,
            r#"<font><b/><sz val="11"/><name val="Calibri"/></font></fonts>"#,
            r#"<fills count="3"><fill><patternFill patternType="none"/></fill>"#,
            r#"<fill><patternFill patternType="gray125"/></fill>"#,
            r#"<fill><patternFill patternType="solid"><fgColor rgb="FFEAEEF3"/></patternFill></fill></fills>"#,
            r#"<borders count="2"><border><left/><right/><top/><bottom/><diagonal/></border>"#,
            r#"<border><left style="thin"/><right style="thin"/><top style="thin"/><bottom style="thin"/><diagonal/></border></borders>"#,
            r#"<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>"#,
            r#"<cellXfs count="{styles}"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>"#,
            r#"<xf numFmtId="0" fontId="1" fillId="2" borderId="1" xfId="0" applyFont="1" applyFill="1" applyBorder="1" applyAlignment="1">"#,
            r#"<alignment horizontal="center" vertical="center"/></xf>{cells}</cellXfs>"#,
            r#"<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>"#,
        ),
        count = count,
        formats = formats,
        styles = styles,
        cells = cells,
    )
}
