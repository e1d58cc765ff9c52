//! Lets others find what is launched.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use host::instances::{Asked, Presence, Record, Status};
use launch::{
    Chain, DiskFiles, Endpoint, ExitStatus, Footprint, GuestMemory, Instance, InstanceId, Prepared,
    Running, Stdio, Timeline, WindowSize,
};
use nix::sys::signal::Signal;

use crate::out_of_memory;
use crate::timeline_file::TimelineFile;

/// An instance can't be found by others.
#[derive(Debug, thiserror::Error)]
#[error("can't keep on record what runs in {}", path.display())]
pub struct AnnounceError {
    path: PathBuf,
    source: std::io::Error,
}

impl From<AnnounceError> for launch::Error {
    fn from(error: AnnounceError) -> Self {
        Self::new(error)
    }
}

/// How an instance ended, told to those who wait for it when this is dropped: when nothing else
/// of the instance is left.
pub struct Ending {
    record: Record,
    presence: Presence,
    status: Mutex<Option<Status>>,
}

impl Ending {
    /// Lets others find an instance that was just launched.
    pub fn of(
        instance: &dyn Instance,
        asked: &Asked,
        run_dir: &Path,
    ) -> Result<Self, launch::Error> {
        let path = run_dir.join(instance.id().as_str());
        let pid = instance.pid()?;
        let announce = || {
            let record = Record::of(instance.id(), pid, instance.endpoint(), asked.clone())?;
            let presence = Presence::announce(&path, &record)?;
            Ok((record, presence))
        };
        let (record, presence) = announce().map_err(|source| AnnounceError {
            path: path.clone(),
            source,
        })?;
        Ok(Self {
            record,
            presence,
            status: Mutex::new(None),
        })
    }

    /// What others find.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Takes how it ended, as the one who waits for it was told.
    pub fn take(&self, instance: &dyn Instance, ended: &Result<ExitStatus, launch::Error>) {
        let status = match ended {
            Ok(status) => Status::ended(*status, out_of_memory::has_killed(instance, *status)),
            Err(error) => Status::failed(&Chain(error).to_string()),
        };
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let status = self
            .status
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        // Nobody waited for its end, so it was killed.
        let status = status
            .unwrap_or_else(|| Status::ended(ExitStatus::Signaled(Signal::SIGKILL as u8), false));
        if let Err(error) = self.presence.end(&status) {
            tracing::warn!("those who wait for an instance don't learn how it ended: {error}");
        }
    }
}

/// Launches what others then find.
pub struct Announced<'a> {
    pub prepared: &'a dyn Prepared,
    pub asked: &'a Asked,
    pub run_dir: &'a Path,
    /// Where it is told how it came to the command.
    pub timeline: Option<Arc<TimelineFile>>,
}

impl Prepared for Announced<'_> {
    fn disk_files(&self) -> DiskFiles {
        self.prepared.disk_files()
    }

    fn launch(&self, stdio: Stdio) -> Result<Box<dyn Instance>, launch::Error> {
        let instance = self.prepared.launch(stdio)?;
        // Beside the command, which runs by now.
        let ending = Ending::of(instance.as_ref(), self.asked, self.run_dir)?;
        Ok(Box::new(AnnouncedInstance {
            instance,
            ending,
            timeline: self.timeline.clone(),
        }))
    }
}

struct AnnouncedInstance {
    // Dropped from top to bottom.
    instance: Box<dyn Instance>,
    ending: Ending,
    timeline: Option<Arc<TimelineFile>>,
}

impl Running for AnnouncedInstance {
    fn signal(&self, signal: Signal) -> Result<(), launch::Error> {
        self.instance.signal(signal)
    }

    fn resize(&self, size: WindowSize) -> Result<(), launch::Error> {
        self.instance.resize(size)
    }

    fn wait_executed(&self) -> Result<Option<ExitStatus>, launch::Error> {
        self.instance.wait_executed()
    }

    fn wait(&self, timeout: Option<Duration>) -> Result<Option<ExitStatus>, launch::Error> {
        let ended = self.instance.wait(timeout).transpose();
        if let Some(file) = &self.timeline {
            file.tell(&self.instance.timeline());
        }
        if let Some(ended) = &ended {
            self.ending.take(self.instance.as_ref(), ended);
        }
        ended.transpose()
    }

    fn out_of_memory(&self) -> Result<bool, launch::Error> {
        self.instance.out_of_memory()
    }
}

impl Instance for AnnouncedInstance {
    fn id(&self) -> &InstanceId {
        self.instance.id()
    }

    fn wait_main(&self) -> Result<bool, launch::Error> {
        self.instance.wait_main()
    }

    fn pid(&self) -> Result<i32, launch::Error> {
        self.instance.pid()
    }

    fn endpoint(&self) -> Option<Endpoint> {
        self.instance.endpoint()
    }

    fn timeline(&self) -> Timeline {
        self.instance.timeline()
    }

    fn footprint(&self) -> Result<Footprint, launch::Error> {
        self.instance.footprint()
    }

    fn guest_memory(&self) -> Result<Option<GuestMemory>, launch::Error> {
        self.instance.guest_memory()
    }

    fn cpu_ns(&self) -> Result<Option<u64>, launch::Error> {
        self.instance.cpu_ns()
    }
}
