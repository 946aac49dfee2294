//! Figures over a column of an answer: sum, average, least, greatest, count. Decimal digits are kept.

use crate::definitions::spec::interface::Aggregate;
use crate::engines::Cell;

/// A figure being made.
#[derive(Clone, Debug)]
pub struct Figure {
    aggregate: Aggregate,
    count: u64,
    /// Exact sum as digits and how many of them stand after the point; `None` once it did not fit.
    exact: Option<(i128, u32)>,
    float: f64,
    /// Least or greatest so far, as JSON text with its number where it is one.
    extreme: Option<(Vec<u8>, Option<f64>)>,
}

impl Figure {
    /// A figure over nothing yet.
    pub fn new(aggregate: Aggregate) -> Self {
        Self { aggregate, count: 0, exact: Some((0, 0)), float: 0.0, extreme: None }
    }

    /// Takes one cell; NULL does not count.
    pub fn add(&mut self, cell: Cell<'_>) {
        if cell == Cell::Null {
            return;
        }
        self.count += 1;
        match self.aggregate {
            Aggregate::Count => {}
            Aggregate::Sum | Aggregate::Avg => self.add_number(cell),
            Aggregate::Min | Aggregate::Max => self.add_extreme(cell),
        }
    }

    fn add_number(&mut self, cell: Cell<'_>) {
        let mut text = Vec::new();
        super::cells::write_json(&mut text, cell);
        let text = std::str::from_utf8(&text).unwrap_or_default().trim_matches('"');
        self.float += text.parse::<f64>().unwrap_or(0.0);
        self.exact = self.exact.zip(decimal(text)).and_then(|(sum, add)| add_decimals(sum, add));
    }

    fn add_extreme(&mut self, cell: Cell<'_>) {
        let mut text = Vec::new();
        super::cells::write_json(&mut text, cell);
        let number = match cell {
            Cell::Text(_) | Cell::Json(_) | Cell::Bytes(_) => None,
            _ => std::str::from_utf8(&text).ok().and_then(|text| text.parse::<f64>().ok()),
        };
        let wins = match &self.extreme {
            None => true,
            Some((old_text, old_number)) => {
                let order = match (number, old_number) {
                    (Some(new), Some(old)) => new.total_cmp(old),
                    _ => text.cmp(old_text),
                };
                if self.aggregate == Aggregate::Min { order.is_lt() } else { order.is_gt() }
            }
        };
        if wins {
            self.extreme = Some((text, number));
        }
    }

    /// Writes the figure as JSON; null over no values, but for a count.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self.aggregate {
            Aggregate::Count => out.extend_from_slice(self.count.to_string().as_bytes()),
            _ if self.count == 0 => out.extend_from_slice(b"null"),
            Aggregate::Sum => match self.exact {
                Some((digits, scale)) => {
                    out.extend_from_slice(digits_text(digits, scale).as_bytes());
                }
                None => super::cells::write_json(out, Cell::Float(self.float)),
            },
            Aggregate::Avg => {
                super::cells::write_json(out, Cell::Float(self.float / self.count as f64));
            }
            Aggregate::Min | Aggregate::Max => {
                out.extend_from_slice(self.extreme.as_ref().map_or(b"null", |(text, _)| text));
            }
        }
    }
}

/// Digits and scale of a plain decimal; `None` where it has an exponent or too many digits.
fn decimal(text: &str) -> Option<(i128, u32)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits = format!("{whole}{fraction}").parse().ok()?;
    Some((digits, u32::try_from(fraction.len()).ok()?))
}

fn add_decimals(a: (i128, u32), b: (i128, u32)) -> Option<(i128, u32)> {
    let scale = a.1.max(b.1);
    let lift = |(digits, own): (i128, u32)| digits.checked_mul(10_i128.checked_pow(scale - own)?);
    Some((lift(a)?.checked_add(lift(b)?)?, scale))
}

fn digits_text(digits: i128, scale: u32) -> String {
    if scale == 0 {
        return digits.to_string();
    }
    let scale = scale as usize;
    let text = format!("{:0>width$}", digits.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = text.split_at(text.len() - scale);
    format!("{}{whole}.{fraction}", if digits < 0 { "-" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(aggregate: Aggregate, cells: &[Cell<'_>]) -> String {
        let mut figure = Figure::new(aggregate);
        cells.iter().for_each(|cell| figure.add(*cell));
        let mut out = Vec::new();
        figure.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn sums_are_exact() {
        let cells = [Cell::Decimal("0.10"), Cell::Decimal("0.20"), Cell::Null, Cell::Int(-1)];
        assert_eq!(figure(Aggregate::Sum, &cells), "-0.7");
        assert_eq!(figure(Aggregate::Count, &cells), "3");
        assert_eq!(figure(Aggregate::Sum, &[Cell::Null]), "null");
        assert_eq!(figure(Aggregate::Avg, &[Cell::Int(1), Cell::Int(2)]), "1.5");
        let huge = "9".repeat(60);
        assert_eq!(figure(Aggregate::Sum, &[Cell::Decimal(&huge), Cell::Int(1)]), "1e60");
    }

    #[test]
    fn extremes_compare_numbers_by_value() {
        let cells = [Cell::Int(9), Cell::Decimal("10.5"), Cell::Null];
        assert_eq!(figure(Aggregate::Max, &cells), "10.5");
        assert_eq!(figure(Aggregate::Min, &cells), "9");
        assert_eq!(figure(Aggregate::Max, &[Cell::Text("a"), Cell::Text("b")]), "\"b\"");
    }
}
