//! What is said of a command that could not be executed.

use std::io;

use launch::ExitStatus;

/// Why the command never ran, though everything around it was ready.
#[derive(Debug, thiserror::Error)]
pub enum NotExecuted {
    #[error("there is no command {program:?} in the image, or not what it is to be run with")]
    NotFound { program: String },
    #[error("the command {program:?} can't be executed")]
    NotExecutable { program: String, source: io::Error },
}

impl NotExecuted {
    /// `None` if it did.
    pub fn from(program: String, status: ExitStatus) -> Option<Self> {
        match status {
            ExitStatus::NotFound => Some(Self::NotFound { program }),
            ExitStatus::NotExecutable(errno) => Some(Self::NotExecutable {
                program,
                source: io::Error::from_raw_os_error(errno),
            }),
            ExitStatus::Exited(_) | ExitStatus::Signaled(_) => None,
        }
    }
}
