//! Lists of things, a line each.

/// Heads and rows in columns as wide as what is in them. Whoever cuts them out finds three blanks
/// between two, as in docker's lists.
pub fn render<const COLUMNS: usize>(heads: [&str; COLUMNS], rows: &[[String; COLUMNS]]) -> String {
    let heads = heads.map(str::to_owned);
    let lines = || std::iter::once(&heads).chain(rows);
    let mut widths = [0; COLUMNS];
    for line in lines() {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for line in lines() {
        let cells: Vec<_> = line
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(cells.join("   ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let rows = [
            ["a".to_owned(), "128.0 MiB".to_owned(), String::new()],
            ["longer".to_owned(), "1 B".to_owned(), "µ".to_owned()],
        ];
        assert_eq!(
            render(["NAME", "SIZE", "STATE"], &rows),
            "\
NAME     SIZE        STATE
a        128.0 MiB
longer   1 B         µ
"
        );
    }

    #[test]
    fn without_rows_there_are_heads() {
        assert_eq!(render(["NAME", "SIZE"], &[]), "NAME   SIZE\n");
    }
}
