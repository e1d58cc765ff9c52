//! What a workload printed, made harmless for a terminal.

/// `text` with tabs as blanks and every other control character visible: a workload must not
/// move the cursor of whoever reads the report.
pub fn visible(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => {
                let column = visible.chars().count();
                visible.extend(std::iter::repeat_n(' ', 8 - column % 8));
            }
            c if c.is_control() => visible.extend(c.escape_default()),
            c => visible.push(c),
        }
    }
    visible
}

/// Arguments as they could be typed in a shell.
pub(crate) fn command_line(argv: &[String]) -> String {
    let words: Vec<_> = argv.iter().map(|word| shell_word(word)).collect();
    words.join(" ")
}

fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", visible(word).replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_and_not_obeyed() {
        assert_eq!(visible("a\u{1b}[2Jb\r"), "a\\u{1b}[2Jb\\r");
    }

    #[test]
    fn tabs_go_to_the_next_stop() {
        assert_eq!(visible("ab\tc"), "ab      c");
    }

    #[test]
    fn words_that_a_shell_would_split_are_quoted() {
        let argv = ["sh", "-c", "echo 'a b'", ""].map(str::to_owned);
        assert_eq!(command_line(&argv), r"sh -c 'echo '\''a b'\''' ''");
    }
}
