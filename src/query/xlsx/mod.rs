//! A workbook written while its rows arrive: what is finished can be taken away, so memory does not grow with the rows.

mod parts;
mod style;
#[cfg(test)]
mod tests;
mod value;

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::Arc;

use parking_lot::Mutex;
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, ZipWriter};

pub use self::style::CellStyle;
use crate::engines::Cell;

/// Rows of a sheet, as Excel has it; what follows goes on another sheet.
const MAX_ROWS: u32 = 1_048_576;
/// Columns of a sheet, as Excel has it.
const MAX_COLUMNS: usize = 16_384;
/// Bytes of a sheet before compression; below what an archive member may have without extensions that readers lack.
const MAX_SHEET_BYTES: u64 = 3 << 30;
/// Sheets of a workbook.
const MAX_SHEETS: usize = 256;
/// XML that is collected before it is compressed.
const CHUNK_BYTES: usize = 16 * 1024;
/// Fast rather than small: exports are mostly digits, which shrink well at any level.
const COMPRESSION_LEVEL: i64 = 3;

/// The head of a column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderCell {
    pub title: String,
    /// Consecutive columns of one group share a merged cell above their titles.
    pub group: Option<String>,
}

impl HeaderCell {
    /// A head without a group.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), group: None }
    }

    /// A head below `group`.
    pub fn grouped(group: impl Into<String>, title: impl Into<String>) -> Self {
        Self { title: title.into(), group: Some(group.into()) }
    }
}

/// Why a workbook cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum XlsxError {
    #[error("more than {MAX_COLUMNS} columns")]
    TooManyColumns,
    #[error("more rows than {MAX_SHEETS} sheets hold")]
    TooManyRows,
    #[error("the archive cannot be written: {0}")]
    Archive(#[from] zip::result::ZipError),
    #[error("the archive cannot be written: {0}")]
    Io(#[from] io::Error),
}

/// Writes a workbook: for each row `begin_row`, `cell` for each column, `end_row`; `finish` at the end.
pub struct XlsxWriter {
    archive: ZipWriter<StreamWriter<Output>>,
    output: Output,
    sheet_name: String,
    headers: Vec<HeaderCell>,
    /// `A`, `B`, … for each column.
    letters: Vec<String>,
    /// XML of the open sheet that is not compressed yet.
    xml: String,
    /// The last row of the open sheet, from 1.
    row: u32,
    /// The next column of the open row, from 0.
    column: usize,
    sheets: usize,
    sheet_bytes: u64,
    max_rows: u32,
}

/// Where the archive goes until it is taken.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl XlsxWriter {
    /// Begins a workbook whose first sheet is `sheet_name`, made fit for Excel. Where any head has a group, there are two
    /// header rows. Headers stay in view and are repeated on each sheet.
    ///
    /// # Errors
    /// `TooManyColumns`.
    pub fn new(sheet_name: &str, headers: &[HeaderCell]) -> Result<Self, XlsxError> {
        Self::with_max_rows(sheet_name, headers, MAX_ROWS)
    }

    fn with_max_rows(
        sheet_name: &str,
        headers: &[HeaderCell],
        max_rows: u32,
    ) -> Result<Self, XlsxError> {
        if headers.len() > MAX_COLUMNS {
            return Err(XlsxError::TooManyColumns);
        }
        let output = Output::default();
        let mut writer = Self {
            archive: ZipWriter::new_stream(output.clone()),
            output,
            sheet_name: parts::sheet_name(sheet_name),
            headers: headers.to_vec(),
            letters: (0..headers.len()).map(parts::column_letters).collect(),
            xml: String::new(),
            row: 0,
            column: 0,
            sheets: 0,
            sheet_bytes: 0,
            max_rows,
        };
        writer.begin_sheet()?;
        Ok(writer)
    }

    /// Begins the next row, on the next sheet if this one is full.
    ///
    /// # Errors
    /// `TooManyRows` where no sheet is left.
    pub fn begin_row(&mut self) -> Result<(), XlsxError> {
        if self.row >= self.max_rows || self.sheet_bytes >= MAX_SHEET_BYTES {
            self.end_sheet()?;
            self.begin_sheet()?;
        }
        self.row += 1;
        self.column = 0;
        let _ = write!(self.xml, "<row r=\"{}\">", self.row);
        Ok(())
    }

    /// Writes the row's next cell. Cells beyond the headers are left out.
    pub fn cell(&mut self, cell: &Cell<'_>, style: CellStyle) {
        if let Some(letters) = self.letters.get(self.column) {
            self.column += 1;
            value::write(&mut self.xml, letters, self.row, cell, style);
        }
    }

    /// Ends the row.
    ///
    /// # Errors
    /// Where the archive cannot be written.
    pub fn end_row(&mut self) -> Result<(), XlsxError> {
        self.xml.push_str("</row>");
        if self.xml.len() >= CHUNK_BYTES { self.compress() } else { Ok(()) }
    }

    /// The bytes that are finished since the last call; all of them in order, then those of `finish`, are the file.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut *self.output.0.lock())
    }

    /// Ends the workbook and gives the bytes that were not taken yet.
    ///
    /// # Errors
    /// Where the archive cannot be written.
    pub fn finish(mut self) -> Result<Vec<u8>, XlsxError> {
        self.end_sheet()?;
        for (name, xml) in parts::workbook(&self.sheet_name, self.sheets) {
            self.archive.start_file(name, options())?;
            self.archive.write_all(xml.as_bytes())?;
        }
        let output = self.output.clone();
        self.archive.finish()?;
        Ok(std::mem::take(&mut *output.0.lock()))
    }

    fn begin_sheet(&mut self) -> Result<(), XlsxError> {
        if self.sheets == MAX_SHEETS {
            return Err(XlsxError::TooManyRows);
        }
        self.sheets += 1;
        self.sheet_bytes = 0;
        self.archive.start_file(parts::sheet_path(self.sheets), options())?;
        self.row = parts::begin_sheet(&mut self.xml, &self.headers, &self.letters);
        Ok(())
    }

    fn end_sheet(&mut self) -> Result<(), XlsxError> {
        parts::end_sheet(&mut self.xml, &self.headers, &self.letters);
        self.compress()
    }

    fn compress(&mut self) -> Result<(), XlsxError> {
        self.archive.write_all(self.xml.as_bytes())?;
        self.sheet_bytes += self.xml.len() as u64;
        self.xml.clear();
        Ok(())
    }
}

fn options() -> SimpleFileOptions {
    SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(COMPRESSION_LEVEL))
}
