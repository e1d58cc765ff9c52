//! jaula's own output.

use std::io::{self, Write};

use nix::sys::signal::{SigHandler, Signal, signal};

/// Width of what goes to no terminal.
const DEFAULT_WIDTH: u16 = 100;

/// Nobody takes it, or there is no room.
#[derive(Debug, thiserror::Error)]
#[error("can't write to standard output")]
struct Unwritten(#[source] io::Error);

/// How many characters a line may have.
pub fn width() -> u16 {
    terminal_size::terminal_size().map_or(DEFAULT_WIDTH, |(width, _)| width.0)
}

/// Prints `text` and a line end to standard output.
///
/// Rust's runtime ignores SIGPIPE, and a command line tool that does so complains when it is
/// piped into `head`. It is reset only here: elsewhere a write to a monitor that died must fail,
/// not kill jaula before it has cleared up.
pub fn print(text: &str) -> Result<(), launch::Error> {
    // SAFETY: the default disposition runs no handler.
    let reset = unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) };
    let mut stdout = io::stdout().lock();
    reset
        .map_err(io::Error::from)
        .and_then(|_| writeln!(stdout, "{}", text.trim_end()))
        .and_then(|()| stdout.flush())
        .map_err(|error| launch::Error::new(Unwritten(error)))
}
