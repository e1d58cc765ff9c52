//! A command's streams while it is measured: it reads a file or nothing, and what it writes is kept.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::thread::JoinHandle;

use launch::Stdio;

use super::MeasureError;
use crate::capture::{Capture, Finished};
use crate::ready::Probe;

/// Opens `file` anew, so that each run has a position of its own in it; nothing to read if `None`.
pub(crate) fn open_stdin(file: Option<&File>) -> io::Result<OwnedFd> {
    let opened = match file {
        Some(file) => File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))?,
        None => File::open("/dev/null")?,
    };
    Ok(opened.into())
}

/// Both outputs of a command that is not launched yet.
pub(super) struct Captures {
    stdout: Capture,
    stderr: Capture,
}

/// Both, as they are read.
pub(super) struct Capturing {
    pub(super) stdout: Reading,
    pub(super) stderr: Reading,
}

/// A stream that is read by a thread of its own.
pub(super) struct Reading(JoinHandle<io::Result<Finished>>);

impl Captures {
    /// With the streams for the command.
    pub(super) fn new(stdin: OwnedFd) -> Result<(Self, Stdio), MeasureError> {
        let new = || Capture::new().map_err(MeasureError::Capture);
        let (stdout, stdout_writer) = new()?;
        let (stderr, stderr_writer) = new()?;
        let stdio = Stdio {
            stdin,
            stdout: stdout_writer,
            stderr: stderr_writer,
        };
        Ok((Self { stdout, stderr }, stdio))
    }

    /// Reads them, and has `probe` look at what comes.
    pub(super) fn start(self, probe: Option<&Probe<'_>>) -> Result<Capturing, MeasureError> {
        let start = |capture: Capture| {
            let watch = probe.and_then(Probe::line_watch);
            capture.start(watch).map(Reading)
        };
        Ok(Capturing {
            stdout: start(self.stdout).map_err(MeasureError::Capture)?,
            stderr: start(self.stderr).map_err(MeasureError::Capture)?,
        })
    }
}

impl Reading {
    /// Waits until nobody can write any more.
    pub(super) fn finish(self) -> Result<Finished, MeasureError> {
        let read = self.0.join();
        read.unwrap_or_else(|_| Err(io::Error::other("the capturing thread panicked")))
            .map_err(MeasureError::Capture)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn each_run_reads_the_same_input_from_its_beginning() {
        let path = std::env::temp_dir().join(format!("jaula-bench-stdin-{}", std::process::id()));
        let mut file = File::options()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        std::fs::remove_file(&path).unwrap();
        file.write_all(b"input").unwrap();
        for _ in 0..2 {
            let mut text = String::new();
            File::from(open_stdin(Some(&file)).unwrap())
                .read_to_string(&mut text)
                .unwrap();
            assert_eq!(text, "input");
        }
    }
}
