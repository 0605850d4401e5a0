//! Tables that fit the terminal.

use console::measure_text_width;

use super::printable;

/// Minimum width of a column that may be cut, in cells of the terminal.
const NARROWEST: usize = 6;
/// Space between two columns.
const GAP: &str = "  ";

/// A column.
#[derive(Clone, Copy)]
pub struct Column {
    heading: &'static str,
    /// Whether values may be cut to make the table fit.
    elastic: bool,
}

impl Column {
    /// Creates a column whose values are always whole, such as ids.
    #[must_use]
    pub const fn whole(heading: &'static str) -> Self {
        Self { heading, elastic: false }
    }

    /// Creates a column whose values may be cut.
    #[must_use]
    pub const fn elastic(heading: &'static str) -> Self {
        Self { heading, elastic: true }
    }
}

/// Rows of texts below headings.
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Creates an empty table.
    #[must_use]
    pub fn new(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row: one text for each column.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| printable(&cell).replace('\n', " ")).collect());
    }

    /// Returns the table as text. With a width, elastic columns are cut, the widest first, until it fits or all are narrow.
    #[must_use]
    pub fn render(&self, width: Option<usize>, colour: bool) -> String {
        let widths = self.widths(width);
        let mut text = String::new();
        let headings: Vec<String> = self.columns.iter().map(|column| column.heading.to_owned()).collect();
        let heading = render_row(&headings, &widths);
        text.push_str(&if colour { format!("\u{1b}[1m{heading}\u{1b}[0m") } else { heading });
        text.push('\n');
        for row in &self.rows {
            text.push_str(&render_row(row, &widths));
            text.push('\n');
        }
        text
    }

    fn widths(&self, width: Option<usize>) -> Vec<usize> {
        let natural = |(index, column): (usize, &Column)| {
            let cells = self.rows.iter().filter_map(|row| row.get(index)).map(|cell| measure_text_width(cell));
            cells.chain([column.heading.len()]).max().unwrap_or_default()
        };
        let mut widths: Vec<usize> = self.columns.iter().enumerate().map(natural).collect();
        let Some(width) = width else { return widths };
        let gaps = GAP.len().saturating_mul(self.columns.len().saturating_sub(1));
        let mut excess = widths.iter().sum::<usize>().saturating_add(gaps).saturating_sub(width);
        while excess > 0 {
            let elastic = widths
                .iter_mut()
                .zip(&self.columns)
                .filter(|(width, column)| column.elastic && **width > NARROWEST.max(column.heading.len()));
            let Some((widest, _)) = elastic.max_by_key(|(width, _)| **width) else { break };
            *widest = widest.saturating_sub(1);
            excess = excess.saturating_sub(1);
        }
        widths
    }
}

fn render_row(cells: &[String], widths: &[usize]) -> String {
    let last = widths.len().saturating_sub(1);
    let fitted = cells.iter().zip(widths).enumerate().map(|(index, (cell, width))| {
        let text = console::truncate_str(cell, *width, "…");
        // No white space at the end of a line.
        if index == last {
            text.into_owned()
        } else {
            console::pad_str(&text, *width, console::Alignment::Left, None).into_owned()
        }
    });
    fitted.collect::<Vec<_>>().join(GAP)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&[Column::whole("ID"), Column::elastic("NAME"), Column::elastic("SCOPES")]);
        table.row(["wafl_live_8Fh2kQ0sZp1L", "CRM sync to 日本 every night", "contacts:read"].map(str::to_owned));
        table.row(["wafl_test_000000000001", "Shop", "contacts:read events:read"].map(str::to_owned));
        table
    }

    #[test]
    fn a_table_fits_the_terminal_and_ids_stay_whole() {
        for width in [50, 60, 72, 100] {
            let text = table().render(Some(width), false);
            assert!(text.lines().all(|line| measure_text_width(line) <= width), "{width}:\n{text}");
            assert!(text.contains("wafl_live_8Fh2kQ0sZp1L  "), "{text}");
        }
        assert!(table().render(Some(50), false).contains('…'));
    }

    #[test]
    fn without_a_terminal_nothing_is_cut_and_nothing_coloured() {
        let text = table().render(None, false);
        assert!(text.contains("CRM sync to 日本 every night  contacts:read"), "{text}");
        assert!(!text.contains('…') && !text.contains('\u{1b}'), "{text}");
        assert!(text.lines().all(|line| line == line.trim_end()), "{text}");
    }
}
