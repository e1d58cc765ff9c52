use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::MAX_FILE_BYTES;
use super::entry::{Entry, Stream, time_of};
use crate::instances::{LOG, OLD_LOG};

/// The name under which the next file is made.
const NEXT: &str = "log.new";

/// Appends to the log of an instance.
#[derive(Debug)]
pub struct LogWriter {
    dir: PathBuf,
    file: File,
    size: u64,
    max_bytes: u64,
    /// Entries that are not written yet.
    pending: Vec<u8>,
    /// What the entries say that are not written yet.
    pending_said: u64,
    /// What was said and could not be written.
    lost: Option<Loss>,
}

#[derive(Debug)]
struct Loss {
    bytes: u64,
    why: io::Error,
}

impl LogWriter {
    /// Makes the log of the instance in `dir`.
    ///
    /// # Errors
    ///
    /// When there is one, or it can't be made.
    pub fn create(dir: &Path) -> io::Result<Self> {
        Self::with_size(dir, MAX_FILE_BYTES)
    }

    pub(super) fn with_size(dir: &Path, max_bytes: u64) -> io::Result<Self> {
        Ok(Self {
            dir: dir.to_owned(),
            file: new_file(&dir.join(LOG))?,
            size: 0,
            max_bytes,
            pending: Vec::new(),
            pending_said: 0,
            lost: None,
        })
    }

    /// Takes an entry, to be written with the next [`LogWriter::write_out`].
    pub(super) fn append(&mut self, stream: Stream, said: &[u8]) {
        push(&mut self.pending, stream, &String::from_utf8_lossy(said));
        self.pending_said += said.len() as u64;
    }

    /// Writes what was taken. What there is no room for is lost, and that is said where the log
    /// goes on: the command must not stand still.
    pub(super) fn write_out(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let mut bytes = Vec::new();
        if let Some(Loss { bytes: lost, why }) = &self.lost {
            let said = format!("jaula: {lost} bytes of output are lost here: {why}\n");
            push(&mut bytes, Stream::Stderr, &said);
        }
        bytes.append(&mut self.pending);
        let said = std::mem::take(&mut self.pending_said);
        match self.write(&bytes) {
            Ok(()) => self.lost = None,
            Err(why) => {
                let before = self.lost.take().map_or(0, |lost| lost.bytes);
                let bytes = before + said;
                self.lost = Some(Loss { bytes, why });
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = bytes.len() as u64;
        if self.size > 0 && self.size + length > self.max_bytes {
            self.rotate()?;
        }
        let written = self.file.write_all(bytes);
        match written {
            Ok(()) => self.size += length,
            // Half an entry would spoil the next one.
            Err(_) => self.file.set_len(self.size)?,
        }
        written
    }

    fn rotate(&mut self) -> io::Result<()> {
        let next = self.dir.join(NEXT);
        let file = match new_file(&next) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                File::options().append(true).open(&next)?
            }
            result => result?,
        };
        let log = self.dir.join(LOG);
        fs::rename(&log, self.dir.join(OLD_LOG))?;
        fs::rename(next, log)?;
        self.file = file;
        self.size = 0;
        Ok(())
    }
}

fn new_file(path: &Path) -> io::Result<File> {
    File::options()
        .append(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

fn push(bytes: &mut Vec<u8>, stream: Stream, said: &str) {
    let entry = Entry {
        log: said.into(),
        stream,
        time: Cow::Owned(time_of(SystemTime::now())),
    };
    // Text can be written as JSON, and a vector takes all.
    if serde_json::to_writer(&mut *bytes, &entry).is_ok() {
        bytes.push(b'\n');
    }
}
