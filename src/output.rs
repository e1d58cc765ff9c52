//! jaula's own output.

use std::io::{self, Write};

use nix::sys::signal::{SigHandler, Signal, signal};

/// Prints `text` and a line end to standard output.
///
/// Rust's runtime ignores SIGPIPE, and a command line tool that does so complains when it is
/// piped into `head`. It is reset only here: elsewhere a write to a monitor that died must fail,
/// not kill jaula before it has cleared up.
pub fn print(text: &str) -> io::Result<()> {
    // SAFETY: the default disposition runs no handler.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }?;
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", text.trim_end())?;
    stdout.flush()
}
