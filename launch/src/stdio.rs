use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The three descriptors that become the command's standard input, output and error.
///
/// A container's command gets them as they are; a guest's are copied from and to them. Whoever
/// launches decides what they are: a pipe to capture, `/dev/null`, or its own.
#[derive(Debug)]
pub struct Stdio {
    /// Read by the command.
    pub stdin: OwnedFd,
    /// Written by the command.
    pub stdout: OwnedFd,
    /// Written by the command.
    pub stderr: OwnedFd,
}

impl Stdio {
    /// Nothing to read, and nobody who listens.
    ///
    /// # Errors
    ///
    /// When `/dev/null` can't be opened.
    pub fn null() -> io::Result<Self> {
        let sink = || File::options().write(true).open("/dev/null");
        Ok(Self {
            stdin: File::open("/dev/null")?.into(),
            stdout: sink()?.into(),
            stderr: sink()?.into(),
        })
    }

    /// Input, output, error.
    pub fn as_fds(&self) -> [BorrowedFd<'_>; 3] {
        [&self.stdin, &self.stdout, &self.stderr].map(AsFd::as_fd)
    }
}

impl From<io::Error> for crate::Error {
    fn from(error: io::Error) -> Self {
        Self::new(error)
    }
}
