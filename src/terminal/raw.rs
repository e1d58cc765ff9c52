use std::io;
use std::os::fd::AsFd;

use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

use super::has_terminal;

/// That the terminal at standard input passes on what is typed, and does nothing with it itself
/// (`cfmakeraw(3)`). Undone when this is dropped, so also when a thread panics.
pub struct Raw {
    before: Termios,
}

impl Raw {
    pub fn set() -> io::Result<Self> {
        let stdin = io::stdin();
        let before = tcgetattr(stdin.as_fd())?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(stdin.as_fd(), SetArg::TCSANOW, &raw)?;
        Ok(Self { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Another program that has it meanwhile has set it as it wants it.
        if has_terminal() {
            // If that fails there is no terminal any more. What was shown is still to be seen, but
            // what was typed for a command that has ended is for nobody.
            let _ = tcsetattr(io::stdin().as_fd(), SetArg::TCSADRAIN, &self.before);
        }
    }
}
