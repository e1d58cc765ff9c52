use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most of a line that is kept, in bytes; the rest is taken for a line of its own.
const MAX_LINE_BYTES: u64 = 200;

/// How Linux's `panic()` begins, whatever the reason (`kernel/panic.c`).
const PANIC: &str = "Kernel panic - not syncing: ";

/// What QEMU and its guest said that tells why they ended. Shared by clones.
#[derive(Clone, Default)]
pub(super) struct LastWords(Arc<Mutex<Words>>);

#[derive(Default)]
struct Words {
    complaint: Option<String>,
    last: Option<String>,
    has_panicked: bool,
}

impl LastWords {
    /// Hears QEMU itself: its first complaint is the reason, what follows are consequences.
    pub(super) fn hear_qemu(&self, line: &str) {
        let mut words = self.lock();
        if words.complaint.is_none() && !line.contains("warning: ") {
            words.complaint = Some(line.to_owned());
        }
    }

    /// Hears the guest: the last before its kernel gave up is the reason, if it said anything.
    pub(super) fn hear_guest(&self, line: &str) {
        let mut words = self.lock();
        if words.has_panicked {
            return;
        }
        words.has_panicked = line.contains(PANIC);
        if !words.has_panicked || words.last.is_none() {
            words.last = Some(line.to_owned());
        }
    }

    /// The reason: the guest's if it gave up, as what QEMU says then is a consequence.
    pub(super) fn reason(&self) -> Option<String> {
        let words = self.lock();
        let (last, complaint) = (words.last.clone(), words.complaint.clone());
        match words.has_panicked {
            true => last,
            false => complaint.or(last),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Words> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Calls with each line that is not blank, until the end. What can't be read any more is at its end.
pub(super) fn each_line(from: impl Read, mut hear: impl FnMut(&str)) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut from)
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut line)
        {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        // It may end up on a terminal: no escape sequences.
        let text = String::from_utf8_lossy(&line).replace(char::is_control, " ");
        if !text.trim().is_empty() {
            hear(text.trim());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(qemu: &[&str], guest: &[&str]) -> Option<String> {
        let words = LastWords::default();
        qemu.iter().for_each(|line| words.hear_qemu(line));
        guest.iter().for_each(|line| words.hear_guest(line));
        words.reason()
    }

    #[test]
    fn the_reason_is_what_came_before_everything_gave_way() {
        let panic = "Kernel panic - not syncing: Attempted to kill init!";
        for (qemu, guest, expected) in [
            (&[][..], &[][..], None),
            (
                &["qemu: warning: old", "error: no MSR", "Assertion failed"],
                &["Booting"],
                Some("error: no MSR"),
            ),
            (
                &[],
                &["jaula-init: no disk", panic, "Rebooting"],
                Some("jaula-init: no disk"),
            ),
            (
                &["KVM internal error."],
                &[panic, "Kernel Offset: disabled"],
                Some(panic),
            ),
            (&["qemu: warning: old"], &["a", "b"], Some("b")),
        ] {
            assert_eq!(reason(qemu, guest).as_deref(), expected);
        }
    }

    #[test]
    fn lines_are_kept_short_and_can_not_move_a_cursor() {
        let mut lines = Vec::new();
        let long = "x".repeat(201);
        each_line(format!("\n \x1b[2J\r\n{long}").as_bytes(), |line| {
            lines.push(line.to_owned());
        });
        assert_eq!(lines[0], "[2J");
        let lengths: Vec<_> = lines.iter().map(String::len).collect();
        assert_eq!(lengths, [3, 200, 1]);
    }
}
