use std::fmt;

use serde::{Deserialize, Serialize};

/// A step on the way to the command. Small and without text, so that a child process which may
/// not allocate can name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// `execve` of the command: the only step whose failure is the command's, not ours.
    Exec,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exec => "executing the command",
        })
    }
}

/// Which step failed, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{step}: {}", std::io::Error::from_raw_os_error(*.errno))]
pub struct Failure {
    /// The step.
    pub step: Step,
    /// The `errno` it failed with.
    pub errno: i32,
}
