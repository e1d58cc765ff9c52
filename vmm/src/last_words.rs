use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How Linux's `panic()` begins, whatever the reason (`kernel/panic.c`).
const PANIC: &str = "Kernel panic - not syncing: ";

/// What a guest said on its serial port that is worth remembering: why it panicked, and the last
/// that it said before. Shared by clones.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastWords(Arc<Mutex<Words>>);

#[derive(Debug, Default)]
struct Words {
    panic: Option<String>,
    last: Option<String>,
}

impl Words {
    fn hear(&mut self, line: &str) {
        // What follows a panic is its traces, and perhaps others that it has brought about.
        if self.panic.is_some() {
            return;
        }
        if let Some(at) = line.find(PANIC) {
            self.panic = Some(line[at + PANIC.len()..].to_owned());
        } else if !line.is_empty() {
            self.last = Some(line.to_owned());
        }
    }
}

impl LastWords {
    /// Hears whatever comes on a serial port.
    pub(crate) fn listener(&self) -> Box<dyn FnMut(&str) + Send> {
        let words = self.clone();
        Box::new(move |line| {
            tracing::debug!(target: "guest", "{line}");
            words.hear(line);
        })
    }

    /// Hears a line.
    pub(crate) fn hear(&self, line: &str) {
        self.lock().hear(line);
    }

    /// Why it panicked, if it did.
    pub(crate) fn panic(&self) -> Option<String> {
        self.lock().panic.clone()
    }

    /// The last line, or the last before a panic, if there was one.
    pub(crate) fn last(&self) -> Option<String> {
        self.lock().last.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Words> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_a_panic_and_what_led_to_it_are_kept_whatever_follows() {
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
        assert_eq!(
            words.last().as_deref(),
            Some("[    1.0] VFS: Cannot open root device")
        );
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
