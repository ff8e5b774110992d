//! Text in columns for a terminal.

use std::io::{self, Write};

use anstyle::Style;

/// One cell: its text, and how it looks.
pub(super) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A cell that stands out.
    pub(super) fn styled(text: impl Into<String>, style: Style) -> Self {
        Self {
            text: text.into(),
            style,
        }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::styled(text, Style::new())
    }
}

/// Prints the rows under their headings.
pub(super) fn print<const COLUMNS: usize>(
    headings: [&str; COLUMNS],
    rows: &[[Cell; COLUMNS]],
    out: &mut dyn Write,
) -> io::Result<()> {
    let headings = headings.map(|text| Cell::styled(text, Style::new().bold()));
    let all: Vec<_> = std::iter::once(&headings).chain(rows).collect();
    print_aligned(&all, out)
}

/// Prints rows that need no headings.
pub(super) fn print_rows<const COLUMNS: usize>(
    rows: &[[Cell; COLUMNS]],
    out: &mut dyn Write,
) -> io::Result<()> {
    print_aligned(&rows.iter().collect::<Vec<_>>(), out)
}

/// Makes each column as wide as its widest cell.
fn print_aligned<const COLUMNS: usize>(rows: &[&[Cell; COLUMNS]], out: &mut dyn Write) -> io::Result<()> {
    let mut widths = [0; COLUMNS];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(*row) {
            *width = cell.text.chars().count().max(*width);
        }
    }
    for row in rows {
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let (style, text) = (cell.style, &cell.text);
            write!(out, "{style}{text}{style:#}")?;
            if column + 1 < COLUMNS {
                let gap = width - text.chars().count() + 2;
                write!(out, "{:gap$}", "")?;
            }
        }
        writeln!(out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut out = anstream::StripStream::new(Vec::new());
        let rows = [
            [
                "1".into(),
                Cell::styled("sk-ab…wxyz", anstyle::AnsiColor::Red.on_default()),
            ],
            ["12345".into(), "é".into()],
        ];
        print(["ID", "KEY"], &rows, &mut out).expect("memory");
        let text = String::from_utf8(out.into_inner()).expect("UTF-8");
        assert_eq!(text, "ID     KEY\n1      sk-ab…wxyz\n12345  é\n");
    }
}
