use std::fs::File;
use std::io::{self, Read};

use launch::ExitStatus;
use serde::{Deserialize, Serialize};

/// What a status has room for: a page, which is put aside when the instance starts, so that its
/// end can be told when the run directory is full.
pub(super) const MAX_BYTES: u64 = 4096;

/// Longest text of an error, which may take six bytes for each of its own in JSON.
const MAX_ERROR_BYTES: usize = 512;

/// How an instance ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// What `jaula run` exits with.
    pub exit_code: u8,
    /// The signal that killed the command.
    pub signal: Option<u8>,
    /// Whether the kernel killed one of its processes because memory ran out.
    pub oom_killed: bool,
    /// Why the launcher failed, if it did.
    pub error: Option<String>,
    /// When, in nanoseconds since 1970.
    pub finished_unix_ns: u64,
}

impl Status {
    /// That of a command that ended at this moment.
    pub fn ended(status: ExitStatus, oom_killed: bool) -> Self {
        Self {
            exit_code: status.code(),
            signal: match status {
                ExitStatus::Signaled(signal) => Some(signal),
                _ => None,
            },
            oom_killed,
            error: None,
            finished_unix_ns: super::record::now_unix_ns(),
        }
    }

    /// That of an instance whose launcher failed at this moment.
    pub fn failed(why: &str) -> Self {
        let mut error = why.to_owned();
        error.truncate(error.floor_char_boundary(MAX_ERROR_BYTES));
        Self {
            exit_code: ExitStatus::LAUNCHER_FAILED,
            signal: None,
            oom_killed: false,
            error: Some(error),
            finished_unix_ns: super::record::now_unix_ns(),
        }
    }

    /// A line.
    pub(super) fn to_line(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        Ok(line)
    }

    /// What `file` says; `None` if it says nothing, or was not written to its end.
    pub(super) fn read(file: File) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        file.take(MAX_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes
            .strip_suffix(b"\n")
            .and_then(|line| serde_json::from_slice(line).ok()))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(bytes: &[u8]) -> Option<Status> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("status");
        fs::write(&path, bytes).unwrap();
        Status::read(File::open(path).unwrap()).unwrap()
    }

    #[test]
    fn half_a_status_is_none() {
        let status = Status::ended(ExitStatus::Signaled(9), true);
        let line = status.to_line().unwrap();
        assert_eq!(read(&line), Some(status));
        for length in 0..line.len() {
            assert_eq!(read(&line[..length]), None, "{length}");
        }
    }

    #[test]
    fn the_worst_error_fits_into_its_page() {
        let status = Status::failed(&"\0".repeat(10_000));
        assert!(status.to_line().unwrap().len() as u64 <= MAX_BYTES);
        let status = Status::failed(&"ä".repeat(10_000));
        assert_eq!(read(&status.to_line().unwrap()), Some(status));
    }
}
