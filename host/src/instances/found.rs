use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use launch::InstanceId;

use super::record::{Record, is_absent};
use super::status::Status;
use super::{ENDED, KEEP, STATUS, is_locked, open_file, wait_for_lock};

/// Between two looks whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Whether an instance runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It does.
    Running,
    /// It has ended, and is kept.
    Ended(Status),
}

/// An instance that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub record: Record,
    /// Whether it ran when it was looked at.
    pub state: State,
    directory: InstanceId,
    dir: PathBuf,
}

impl Found {
    /// Looks into the directory that is called `directory`; `None` if there is no instance in it
    /// that others can find.
    pub(super) fn look(run_dir: &Path, directory: &InstanceId) -> io::Result<Option<Self>> {
        let dir = run_dir.join(directory.as_str());
        if !fs::symlink_metadata(&dir).is_ok_and(|found| found.is_dir()) {
            return Ok(None);
        }
        // Before the status, which is there if the record is.
        let Some(record) = Record::read(&dir)? else {
            return Ok(None);
        };
        // A directory that is removed meanwhile is none.
        let Some(status) = absent_as_none(open_file(&dir.join(STATUS)))? else {
            return Ok(None);
        };
        let state = if is_locked(&status)? {
            State::Running
        } else {
            let is_kept = dir.join(ENDED).try_exists()? || dir.join(KEEP).try_exists()?;
            match Status::read(status)? {
                Some(status) if is_kept => State::Ended(status),
                _ => return Ok(None),
            }
        };
        Ok(Some(Self {
            record,
            state,
            directory: directory.clone(),
            dir,
        }))
    }

    /// The name of its directory.
    pub fn directory(&self) -> &InstanceId {
        &self.directory
    }

    /// The path of its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether it ran when it was looked at.
    pub fn is_running(&self) -> bool {
        self.state == State::Running
    }

    /// The way to wait for its end, which stays good when its directory is removed; `None` if
    /// that has happened already.
    ///
    /// # Errors
    ///
    /// When it can't be opened.
    pub fn waiting(&self) -> io::Result<Option<Waiting>> {
        let status = absent_as_none(open_file(&self.dir.join(STATUS)))?;
        Ok(status.map(|status| Waiting { status }))
    }
}

fn absent_as_none(opened: io::Result<File>) -> io::Result<Option<File>> {
    match opened {
        Err(error) if is_absent(&error) => Ok(None),
        result => result.map(Some),
    }
}

/// Waits for the end of an instance.
#[derive(Debug)]
pub struct Waiting {
    status: File,
}

impl Waiting {
    /// Waits for its end. `None` if its owner was killed and nobody knows how it ended.
    ///
    /// # Errors
    ///
    /// When its status can't be locked or read.
    pub fn wait(self) -> io::Result<Option<Status>> {
        wait_for_lock(&self.status)?;
        Status::read(self.status)
    }

    /// Waits for its end for so long at most; whether it came.
    ///
    /// # Errors
    ///
    /// When it can't be looked at.
    pub fn ends_within(&self, timeout: Duration) -> io::Result<bool> {
        let start = Instant::now();
        while is_locked(&self.status)? {
            let Some(left) = timeout.checked_sub(start.elapsed()) else {
                return Ok(false);
            };
            sleep(left.min(LOOK_EVERY));
        }
        Ok(true)
    }
}
