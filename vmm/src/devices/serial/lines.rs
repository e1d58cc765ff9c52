/// Longest line that is kept together, in bytes: longer than any that Linux prints
/// (`LOG_LINE_MAX`, `kernel/printk/internal.h`); a longer one is cut in pieces.
pub const MAX_LINE_BYTES: usize = 1024;

/// A line is longer than any that is kept together.
#[derive(Debug, thiserror::Error)]
#[error("a line of {0} bytes")]
pub struct LineTooLong(usize);

/// Collects bytes to lines.
pub(super) struct Lines<F> {
    line: Vec<u8>,
    on_line: F,
}

impl<F: FnMut(&str)> Lines<F> {
    pub(super) fn new(on_line: F) -> Self {
        Self {
            line: Vec::new(),
            on_line,
        }
    }

    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&self.line);
        // What a guest prints may end up on a terminal: no escape sequences.
        (self.on_line)(&line.trim_end().replace(char::is_control, " "));
        self.line.clear();
    }

    pub(super) fn print(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if *byte == b'\n' {
                self.end_line();
                continue;
            }
            if self.line.len() == MAX_LINE_BYTES {
                self.end_line();
            }
            self.line.push(*byte);
        }
    }

    /// What there is of the line that has not ended.
    pub(super) fn line(&self) -> &[u8] {
        &self.line
    }

    /// Goes on with such a line.
    pub(super) fn set_line(&mut self, line: Vec<u8>) -> Result<(), LineTooLong> {
        if line.len() > MAX_LINE_BYTES {
            return Err(LineTooLong(line.len()));
        }
        self.line = line;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        Lines::new(|line: &str| lines.push(line.to_owned())).print(bytes);
        lines
    }

    #[test]
    fn a_line_is_handed_on_at_its_end() {
        assert_eq!(lines(b"a\r\n\nb\nc"), ["a", "", "b"]);
    }

    #[test]
    fn a_line_without_an_end_takes_no_more_memory_than_the_longest_line() {
        let pieces = lines(&vec![b'x'; 10 * MAX_LINE_BYTES + 1]);
        assert_eq!(pieces, vec!["x".repeat(MAX_LINE_BYTES); 10]);
    }

    #[test]
    fn nothing_that_moves_a_cursor_is_handed_on() {
        assert_eq!(lines(b"\x1b[2J\xff\n"), [" [2J\u{fffd}"]);
    }
}
