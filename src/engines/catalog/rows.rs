//! Takes the rows that a catalogue query gives: so many texts each.

use crate::engines::{Cell, Column, EngineError, Flow, Row, RowSink};

/// Rows of `N` texts, at most so many.
pub(super) struct Rows<const N: usize> {
    pub rows: Vec<[Option<String>; N]>,
    limit: usize,
}

impl<const N: usize> Rows<N> {
    pub fn up_to(limit: usize) -> Self {
        Self { rows: Vec::new(), limit }
    }

    /// The rows with empty texts for NULL.
    pub fn texts(self) -> Vec<[String; N]> {
        self.rows.into_iter().map(|row| row.map(Option::unwrap_or_default)).collect()
    }
}

impl<const N: usize> RowSink for Rows<N> {
    fn columns(&mut self, columns: &[Column]) -> Result<(), EngineError> {
        if columns.len() == N {
            return Ok(());
        }
        Err(EngineError::Value(format!("the catalogue has {} columns", columns.len())))
    }

    fn row<R: Row>(&mut self, row: &R) -> Result<Flow, EngineError> {
        let mut texts = [const { None }; N];
        for (i, text) in texts.iter_mut().enumerate() {
            let mut scratch = String::new();
            if let Cell::Text(cell) = row.cell(i, &mut scratch)? {
                *text = Some(cell.to_owned());
            }
        }
        self.rows.push(texts);
        Ok(if self.rows.len() < self.limit { Flow::Continue } else { Flow::Stop })
    }

    async fn flush(&mut self) -> Flow {
        Flow::Continue
    }
}
