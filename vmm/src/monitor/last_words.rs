use std::sync::{Arc, Mutex, PoisonError};

/// How Linux's `panic()` begins, whatever the reason (`kernel/panic.c`).
const PANIC: &str = "Kernel panic - not syncing: ";

/// What a guest said on its serial port that is worth remembering: why it panicked, or else the
/// last that it said. Shared by clones.
#[derive(Clone, Debug, Default)]
pub(super) struct LastWords(Arc<Mutex<Words>>);

#[derive(Debug, Default)]
struct Words {
    panic: Option<String>,
    last: Option<String>,
}

impl LastWords {
    /// Hears a line.
    pub(super) fn hear(&self, line: &str) {
        let mut words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = line.find(PANIC) {
            // The first reason; what comes after may be a consequence.
            words
                .panic
                .get_or_insert_with(|| line[at + PANIC.len()..].to_owned());
        } else if !line.is_empty() {
            line.clone_into(words.last.get_or_insert_default());
        }
    }

    /// Why it panicked, if it did.
    pub(super) fn panic(&self) -> Option<String> {
        let words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        words.panic.clone()
    }

    /// The last line, if there was one.
    pub(super) fn last(&self) -> Option<String> {
        let words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        words.last.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_a_panic_is_kept_whatever_follows() {
        let words = LastWords::default();
        for line in [
            "[    1.0] VFS: Cannot open root device",
            "[    1.1] Kernel panic - not syncing: No working init found.",
            "[    1.2] CPU: 0 PID: 1",
            "[    1.3] Kernel panic - not syncing: again",
        ] {
            words.hear(line);
        }
        assert_eq!(words.panic().as_deref(), Some("No working init found."));
    }

    #[test]
    fn without_a_panic_there_is_the_last_line() {
        let words = LastWords::default();
        assert_eq!((words.panic(), words.last()), (None, None));
        for line in ["one", "two", ""] {
            words.hear(line);
        }
        assert_eq!(
            (words.panic(), words.last()),
            (None, Some("two".to_owned()))
        );
    }
}
