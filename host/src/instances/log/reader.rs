use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::entry::Entry;
use crate::instances::{LOG, OLD_LOG, open_file};

/// Reads the log of an instance, also while it grows and its files change their names.
#[derive(Debug)]
pub struct LogReader {
    dir: PathBuf,
    current: Reading,
    /// To be read when that is done, in this order.
    next: Vec<File>,
}

#[derive(Debug)]
struct Reading {
    file: BufReader<File>,
    inode: u64,
    /// Where the next entry begins.
    offset: u64,
}

impl Reading {
    fn new(file: File) -> io::Result<Self> {
        Ok(Self {
            inode: file.metadata()?.ino(),
            file: BufReader::new(file),
            offset: 0,
        })
    }

    /// The next entry that is whole.
    fn next_entry(&mut self) -> io::Result<Option<Entry<'static>>> {
        loop {
            let mut line = Vec::new();
            self.file.read_until(b'\n', &mut line)?;
            if !line.ends_with(b"\n") {
                // It is being written, or will be taken back.
                self.file.seek(SeekFrom::Start(self.offset))?;
                return Ok(None);
            }
            self.offset += line.len() as u64;
            match serde_json::from_slice(&line) {
                Ok(entry) => return Ok(Some(entry)),
                Err(error) => tracing::debug!("a line of a log: {error}"),
            }
        }
    }
}

impl LogReader {
    /// Opens the log of the instance in `dir`; `None` if it has none.
    ///
    /// # Errors
    ///
    /// When it can't be opened.
    pub fn open(dir: &Path) -> io::Result<Option<Self>> {
        // In this order: if the names change in between, it is the same file twice, and not one
        // that is missed.
        let Some(log) = open_if_there(&dir.join(LOG))? else {
            return Ok(None);
        };
        let old = open_if_there(&dir.join(OLD_LOG))?;
        let inode = log.metadata()?.ino();
        let (first, next) = match old {
            Some(old) if old.metadata()?.ino() != inode => (old, vec![log]),
            _ => (log, Vec::new()),
        };
        Ok(Some(Self {
            dir: dir.to_owned(),
            current: Reading::new(first)?,
            next,
        }))
    }

    /// The next entry; `None` if there is none yet.
    ///
    /// # Errors
    ///
    /// When the log can't be read.
    pub fn next_entry(&mut self) -> io::Result<Option<Entry<'static>>> {
        loop {
            if let Some(entry) = self.current.next_entry()? {
                return Ok(Some(entry));
            }
            if self.next.is_empty() {
                self.next = self.newer()?;
                if self.next.is_empty() {
                    return Ok(None);
                }
                // Something may have been written to this one before it was done.
                if let Some(entry) = self.current.next_entry()? {
                    return Ok(Some(entry));
                }
            }
            self.current = Reading::new(self.next.remove(0))?;
        }
    }

    /// The files that came after the current one.
    fn newer(&self) -> io::Result<Vec<File>> {
        let Some(log) = open_if_there(&self.dir.join(LOG))? else {
            return Ok(Vec::new());
        };
        if log.metadata()?.ino() == self.current.inode {
            return Ok(Vec::new());
        }
        let mut newer = Vec::new();
        if let Some(old) = open_if_there(&self.dir.join(OLD_LOG))?
            && old.metadata()?.ino() != self.current.inode
            && old.metadata()?.ino() != log.metadata()?.ino()
        {
            newer.push(old);
        }
        newer.push(log);
        Ok(newer)
    }
}

fn open_if_there(path: &Path) -> io::Result<Option<File>> {
    match open_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Ok(file) if !fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()) => Ok(Some(file)),
        Ok(_) => Err(ErrorKind::IsADirectory.into()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{LogWriter, Stream};
    use super::*;

    fn rest(reader: &mut LogReader) -> Vec<String> {
        std::iter::from_fn(|| reader.next_entry().unwrap())
            .map(|entry| entry.log.into_owned())
            .collect()
    }

    fn say(log: &mut LogWriter, number: u32) {
        log.append(Stream::Stdout, format!("{number}\n").as_bytes());
        log.write_out();
    }

    #[test]
    fn what_is_written_while_it_is_read_is_read_next() {
        let dir = tempfile::tempdir().unwrap();
        assert!(LogReader::open(dir.path()).unwrap().is_none());
        let mut log = LogWriter::create(dir.path()).unwrap();
        let mut reader = LogReader::open(dir.path()).unwrap().unwrap();
        for number in 0..3 {
            assert_eq!(rest(&mut reader), [] as [&str; 0]);
            say(&mut log, number);
            assert_eq!(rest(&mut reader), [format!("{number}\n")]);
        }
    }

    #[test]
    fn a_reader_follows_into_new_files_and_two_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = LogWriter::with_size(dir.path(), 1000).unwrap();
        let mut follower = LogReader::open(dir.path()).unwrap().unwrap();
        let mut followed = Vec::new();
        let numbers: Vec<_> = (0..200).collect();
        for number in &numbers {
            say(&mut log, *number);
            if number % 3 == 0 {
                followed.extend(rest(&mut follower));
            }
        }
        followed.extend(rest(&mut follower));
        let expected: Vec<_> = numbers.iter().map(|number| format!("{number}\n")).collect();
        assert_eq!(followed, expected);
        let sizes = [LOG, OLD_LOG].map(|name| fs::metadata(dir.path().join(name)).unwrap().len());
        assert!(sizes.iter().all(|size| *size <= 1000), "{sizes:?}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        let kept = rest(&mut LogReader::open(dir.path()).unwrap().unwrap());
        assert!(kept.len() > 10 && expected.ends_with(&kept), "{kept:?}");
    }

    #[test]
    fn half_an_entry_is_waited_for_and_rubbish_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(LOG);
        let entry = r#"{"log":"a\n","stream":"stderr","time":"2026-01-02T03:04:05Z"}"#;
        fs::write(&path, format!("rubbish\n{}", &entry[..20])).unwrap();
        let mut reader = LogReader::open(dir.path()).unwrap().unwrap();
        assert_eq!(rest(&mut reader), [] as [&str; 0]);
        fs::write(&path, format!("rubbish\n{entry}\n")).unwrap();
        assert_eq!(rest(&mut reader), ["a\n"]);
    }
}
