use serde::{Deserialize, Serialize};

/// How a workload ended, in one convention on both sides.
///
/// That the launcher itself failed is not an exit status but an [`crate::Error`], for which the
/// command line exits with [`ExitStatus::LAUNCHER_FAILED`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExitStatus {
    /// The command ended by itself with this code.
    Exited(u8),
    /// This signal killed the command; 9 is also what an out-of-memory kill shows.
    Signaled(u8),
    /// `execve` found no such file.
    NotFound,
    /// `execve` found the file but would not run it, for the reason of this `errno`.
    NotExecutable(i32),
}

impl ExitStatus {
    /// Exit code of the command line when the launcher failed, as docker's.
    pub const LAUNCHER_FAILED: u8 = 125;

    /// The shell's convention, which is docker's too: the command's own code, 128+n after signal
    /// n, 127 for a command that is not there, 126 for one that can't be executed.
    pub fn code(self) -> u8 {
        match self {
            Self::Exited(code) => code,
            Self::Signaled(signal) => 128u8.saturating_add(signal),
            Self::NotFound => 127,
            Self::NotExecutable(_) => 126,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_a_shell() {
        for (status, code) in [
            (ExitStatus::Exited(0), 0),
            (ExitStatus::Exited(255), 255),
            (ExitStatus::Signaled(9), 137),
            (ExitStatus::Signaled(15), 143),
            (ExitStatus::Signaled(64), 192),
            (ExitStatus::NotFound, 127),
            (ExitStatus::NotExecutable(13), 126),
        ] {
            assert_eq!(status.code(), code, "{status:?}");
        }
    }
}
