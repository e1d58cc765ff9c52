//! Long work, shown on standard error.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use launch::Progress;

/// Work that takes less than this is not worth a word where words stay.
const WORTH_A_WORD: Duration = Duration::from_secs(2);

/// How often a line says how far long work has come.
const LINE_EVERY: Duration = Duration::from_secs(15);

/// What suits standard error: a bar that vanishes on a terminal, lines otherwise.
pub fn on_stderr() -> Box<dyn Progress> {
    if io::stderr().is_terminal() {
        Box::new(Bar::default())
    } else {
        Box::new(Lines::new(io::stderr()))
    }
}

/// How work is shown; what is longer than a line is cut, as only one is cleared.
const UNKNOWN_LENGTH: &str = "{spinner} {wide_msg}";

/// How work is shown of which it is known how long it is.
const KNOWN_LENGTH: &str = "{spinner} {msg} {wide_bar} {percent} % {elapsed}, {eta} left";

/// A bar for a person to watch.
#[derive(Default)]
struct Bar(Mutex<Option<ProgressBar>>);

impl Progress for Bar {
    fn begin(&self, what: &str) {
        let bar = ProgressBar::new_spinner().with_message(what.to_owned());
        if let Ok(style) = ProgressStyle::with_template(UNKNOWN_LENGTH) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar);
    }

    fn advance(&self, done: u64, total: u64) {
        let bar = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = bar.as_ref() {
            if bar.length().is_none() {
                // From here on whoever works says when to draw: what is timed is not disturbed.
                bar.disable_steady_tick();
                if let Ok(style) = ProgressStyle::with_template(KNOWN_LENGTH) {
                    bar.set_style(style);
                }
            }
            bar.set_length(total);
            bar.set_position(done);
        }
    }

    fn end(&self) {
        let bar = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
    }

    fn note(&self, what: &str) {
        self.end();
        print_note(&mut io::stderr(), what);
    }
}

/// Lines for a log.
struct Lines<W: Write> {
    state: Mutex<State<W>>,
}

struct State<W> {
    to: W,
    work: Option<Work>,
}

struct Work {
    what: String,
    began: Instant,
    last_line: Instant,
}

impl<W: Write> Lines<W> {
    fn new(to: W) -> Self {
        Self {
            state: Mutex::new(State { to, work: None }),
        }
    }

    fn begin_at(&self, what: &str, now: Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.work = Some(Work {
            what: what.to_owned(),
            began: now,
            last_line: now,
        });
    }

    fn advance_at(&self, done: u64, total: u64, now: Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { to, work } = &mut *state;
        if let Some(work) = work
            && now - work.last_line >= LINE_EVERY
        {
            work.last_line = now;
            let percent = done.saturating_mul(100) / total.max(1);
            let seconds = (now - work.began).as_secs();
            // Work goes on when nobody can be told of it.
            let _ = writeln!(to, "jaula: {}: {percent} % after {seconds} s", work.what);
        }
    }

    fn end_at(&self, now: Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { to, work } = &mut *state;
        if let Some(work) = work.take()
            && now - work.began >= WORTH_A_WORD
        {
            let seconds = (now - work.began).as_secs();
            let _ = writeln!(to, "jaula: {}: took {seconds} s", work.what);
        }
    }
}

fn print_note(to: &mut impl Write, what: &str) {
    // Work goes on when nobody can be told of it.
    let _ = writeln!(to, "jaula: {what}");
}

impl<W: Write + Send> Progress for Lines<W> {
    fn begin(&self, what: &str) {
        self.begin_at(what, Instant::now());
    }

    fn advance(&self, done: u64, total: u64) {
        self.advance_at(done, total, Instant::now());
    }

    fn end(&self) {
        self.end_at(Instant::now());
    }

    fn note(&self, what: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        print_note(&mut state.to, what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(tell: impl FnOnce(&Lines<Vec<u8>>, Instant)) -> String {
        let lines = Lines::new(Vec::new());
        tell(&lines, Instant::now());
        let state = lines.state.into_inner().unwrap();
        String::from_utf8(state.to).unwrap()
    }

    #[test]
    fn long_work_says_how_far_it_is_and_how_long_it_took() {
        let text = written(|lines, start| {
            let after = |seconds| start + Duration::from_secs(seconds);
            lines.begin_at("building", start);
            lines.advance_at(1, 4, after(5));
            lines.advance_at(2, 4, after(20));
            lines.advance_at(3, 4, after(25));
            lines.end_at(after(30));
        });
        assert_eq!(
            text,
            "jaula: building: 50 % after 20 s\njaula: building: took 30 s\n"
        );
    }

    #[test]
    fn short_work_is_done_in_silence() {
        let text = written(|lines, start| {
            lines.begin_at("building", start);
            lines.advance_at(1, 2, start);
            lines.end_at(start + Duration::from_secs(1));
        });
        assert_eq!(text, "");
    }
}
