//! Text that Markdown takes for nothing but text.

use crate::table::visible;

/// Without what would make a table, a link or HTML of it.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::new();
    for c in visible(text).chars() {
        if "\\`*_[]<>|#".contains(c) {
            plain.push('\\');
        }
        plain.push(c);
    }
    plain
}
