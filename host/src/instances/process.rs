use std::fs;
use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};

/// A process as the host numbers it, and never another that got its number since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostProcess {
    /// Its number.
    pub pid: i32,
    /// When it was made, in clock ticks since the host's boot: field 22 of `/proc/PID/stat`,
    /// `proc_pid_stat(5)`.
    pub start_ticks: u64,
}

impl HostProcess {
    /// The process that has this number now.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn of(pid: i32) -> io::Result<Self> {
        let stat = fs::read(format!("/proc/{pid}/stat"))?;
        start_ticks(&stat)
            .map(|start_ticks| Self { pid, start_ticks })
            .ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// The same, of a process that may have ended and been waited for: it is as if it had been
    /// made when the host was, so that no other is ever taken for it.
    pub(super) fn of_or_gone(pid: i32) -> io::Result<Self> {
        match Self::of(pid) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self {
                pid,
                start_ticks: 0,
            }),
            result => result,
        }
    }

    /// This process.
    ///
    /// # Errors
    ///
    /// When there is no `/proc`.
    pub fn own() -> io::Result<Self> {
        Self::of(std::process::id().cast_signed())
    }

    /// A descriptor of it; `None` if it has ended and was waited for.
    ///
    /// # Errors
    ///
    /// When it can't be opened for another reason.
    pub fn open(self) -> io::Result<Option<OwnedFd>> {
        // A file may say anything.
        let number = Some(self.pid).filter(|pid| *pid > 0);
        let Some(pid) = number.and_then(Pid::from_raw) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let fd = match pidfd_open(pid, PidfdFlags::empty()) {
            Err(Errno::SRCH) => return Ok(None),
            result => result?,
        };
        // Looked at after the opening: if it is still the process, the descriptor is of it.
        match Self::of(self.pid) {
            Ok(found) => Ok((found == self).then_some(fd)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            // The file of a process that ends while it is read.
            Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The name, in parentheses, may hold blanks and parentheses itself.
fn start_ticks(stat: &[u8]) -> Option<u64> {
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let after_name = str::from_utf8(stat.get(name_end + 1..)?).ok()?;
    // The state is field 3.
    after_name
        .split_ascii_whitespace()
        .nth(22 - 3)?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_start_is_found_whatever_the_name_is() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20";
        for name in ["sh", "a b", ") S 1", "(("] {
            let stat = format!("7 ({name}) {rest}");
            assert_eq!(start_ticks(stat.as_bytes()), Some(4242), "{name}");
        }
        for stat in ["", "7", "7 (sh)", "7 (sh) S 1", "7 (sh) \u{ff}"] {
            assert_eq!(start_ticks(stat.as_bytes()), None, "{stat}");
        }
    }

    #[test]
    fn a_process_with_a_number_of_another_is_not_opened() {
        let own = HostProcess::own().unwrap();
        assert!(own.open().unwrap().is_some());
        let earlier = HostProcess {
            start_ticks: own.start_ticks - 1,
            ..own
        };
        assert!(earlier.open().unwrap().is_none());
    }

    #[test]
    fn a_process_that_is_gone_is_not_opened() {
        let mut child = Command::new("true").spawn().unwrap();
        let process = HostProcess::of(child.id().cast_signed()).unwrap();
        child.wait().unwrap();
        assert!(process.open().unwrap().is_none());
    }

    #[test]
    fn what_is_no_number_of_a_process_is_an_error() {
        for pid in [0, -1] {
            let start_ticks = 1;
            assert!(HostProcess { pid, start_ticks }.open().is_err());
        }
    }
}
