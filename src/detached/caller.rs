use std::error::Error as StdError;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout, setsid};

use super::Inherited;
use crate::error;

/// Who is to be told when nothing comes of it.
pub(super) struct Caller {
    stderr: OwnedFd,
}

impl Caller {
    /// Leaves the caller's session, terminal, streams and what else it had open; a monitor, too,
    /// has none of it then. Whoever waits for the end of the caller's output is not to wait for us.
    pub(super) fn leave(inherited: &Inherited) -> io::Result<Self> {
        setsid()?;
        inherited.close();
        let stderr = io::stderr().as_fd().try_clone_to_owned()?;
        let null = File::options().read(true).write(true).open("/dev/null")?;
        dup2_stdin(null.as_fd())?;
        dup2_stdout(null.as_fd())?;
        dup2_stderr(null.as_fd())?;
        Ok(Self { stderr })
    }

    /// Says what went wrong, on the caller's standard error.
    pub(super) fn tell(&self, error: &(dyn StdError + 'static)) {
        // If that fails, there is nobody to tell.
        if dup2_stderr(&self.stderr).is_ok() {
            error::print(error);
        }
    }
}
