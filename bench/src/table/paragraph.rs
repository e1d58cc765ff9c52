//! Sentences in lines.

/// `text` in lines of at most `width` characters, broken between words; one longer than that has
/// a line of its own.
pub(super) fn fill(text: &str, width: u16) -> String {
    let mut filled = String::new();
    let mut column = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > usize::from(width) {
            filled.push('\n');
            column = 0;
        } else if column > 0 {
            filled.push(' ');
            column += 1;
        }
        filled.push_str(word);
        column += length;
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_full_but_not_longer_than_the_width() {
        for (text, width, filled) in [
            ("a bc def", 8, "a bc def"),
            ("a bc def", 7, "a bc\ndef"),
            ("a bc def", 3, "a\nbc\ndef"),
            ("a toolong b", 4, "a\ntoolong\nb"),
            ("µµ µµ", 5, "µµ µµ"),
            ("", 5, ""),
        ] {
            assert_eq!(fill(text, width), filled, "{text:?}, {width}");
        }
    }
}
