//! A launcher that launches nothing, for tests of what stands above the interface.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::{
    Charge, Command, Credentials, Digest, DiskFiles, Endpoint, Error, ExitStatus, Finding,
    Footprint, GuestMemory, Hostname, Instance, InstanceId, Launcher, MonotonicNs, Prepared,
    Progress, RootFs, Running, Side, Stdio, Surface, Timeline, WindowSize, Workload,
};

/// What a fake instance does: all of it at once, at launch.
#[derive(Clone, Debug)]
struct Script {
    side: Side,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    spans: Vec<(&'static str, u64)>,
    outcome: Result<ExitStatus, String>,
    goes_on: bool,
    room_for: usize,
    alive: Arc<AtomicUsize>,
}

/// A [`Launcher`] whose instances say and end as they were told.
#[derive(Clone, Debug)]
pub struct FakeLauncher {
    script: Script,
}

impl FakeLauncher {
    /// Instances end with `status`, say nothing, and take a microsecond to main.
    pub fn exiting(status: ExitStatus) -> Self {
        Self {
            script: Script {
                side: Side::Container,
                stdout: Vec::new(),
                stderr: Vec::new(),
                spans: vec![("exec", 1_000)],
                outcome: Ok(status),
                goes_on: false,
                room_for: usize::MAX,
                alive: Arc::default(),
            },
        }
    }

    /// Instances fail with `message` when they are waited for, as a guest that panics does.
    pub fn failing(message: impl Into<String>) -> Self {
        let mut fake = Self::exiting(ExitStatus::Exited(0));
        fake.script.outcome = Err(message.into());
        fake
    }

    /// Instances do not end by themselves.
    #[must_use]
    pub fn going_on(mut self) -> Self {
        self.script.goes_on = true;
        self
    }

    /// When so many instances are there, no other can be launched.
    #[must_use]
    pub fn room_for(mut self, instances: usize) -> Self {
        self.script.room_for = instances;
        self
    }

    /// How many instances are there now.
    pub fn alive(&self) -> usize {
        self.script.alive.load(Ordering::Relaxed)
    }

    /// Pretends to be this side.
    #[must_use]
    pub fn on(mut self, side: Side) -> Self {
        self.script.side = side;
        self
    }

    /// Writes `bytes` to standard output.
    #[must_use]
    pub fn stdout(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.script.stdout = bytes.into();
        self
    }

    /// Writes `bytes` to standard error.
    #[must_use]
    pub fn stderr(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.script.stderr = bytes.into();
        self
    }

    /// Takes these spans to main, names and nanoseconds, and 1 ms from there to the end.
    #[must_use]
    pub fn spans(mut self, spans: impl Into<Vec<(&'static str, u64)>>) -> Self {
        self.script.spans = spans.into();
        self
    }
}

impl Launcher for FakeLauncher {
    fn side(&self) -> Side {
        self.script.side
    }

    fn probe(&self) -> Vec<Finding> {
        vec![Finding::good("fake", "always works")]
    }

    fn surface(&self, _workload: &Workload) -> Result<Surface, Error> {
        Ok(Surface {
            is_kernel_shared: self.script.side == Side::Container,
            allowed_calls: Some(300),
            kvm_ioctls: 0,
            emulated_devices: 0,
            capabilities: 14,
            namespaces: 6,
        })
    }

    fn prepare(
        &self,
        workload: &Workload,
        _progress: &dyn Progress,
    ) -> Result<Box<dyn Prepared>, Error> {
        Ok(Box::new(FakePrepared {
            name: workload.name.clone(),
            script: self.script.clone(),
        }))
    }
}

struct FakePrepared {
    name: Option<InstanceId>,
    script: Script,
}

impl Prepared for FakePrepared {
    fn disk_files(&self) -> DiskFiles {
        DiskFiles::default()
    }

    fn launch(&self, stdio: Stdio) -> Result<Box<dyn Instance>, Error> {
        let place = Place::take(&self.script)?;
        File::from(stdio.stdout).write_all(&self.script.stdout)?;
        File::from(stdio.stderr).write_all(&self.script.stderr)?;
        let id = match &self.name {
            Some(name) => name.clone(),
            None => "fake".parse().map_err(Error::new)?,
        };
        let mut timeline = Timeline::starting(MonotonicNs(0));
        let mut end_ns = 0;
        for (index, (name, duration_ns)) in self.script.spans.iter().enumerate() {
            end_ns += duration_ns;
            if index + 1 == self.script.spans.len() {
                timeline.mark_main(*name, MonotonicNs(end_ns));
            } else {
                timeline.mark(*name, MonotonicNs(end_ns));
            }
        }
        timeline.mark("run", MonotonicNs(end_ns + 1_000_000));
        Ok(Box::new(FakeInstance {
            id,
            timeline,
            outcome: self.script.outcome.clone(),
            goes_on: self.script.goes_on,
            side: self.script.side,
            _place: place,
        }))
    }
}

struct FakeInstance {
    id: InstanceId,
    timeline: Timeline,
    outcome: Result<ExitStatus, String>,
    goes_on: bool,
    side: Side,
    _place: Place,
}

/// One of those that there is room for.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(script: &Script) -> Result<Self, Error> {
        let before = script.alive.fetch_add(1, Ordering::Relaxed);
        let place = Self(Arc::clone(&script.alive));
        match before < script.room_for {
            true => Ok(place),
            false => Err(Error::new("there is no room")),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Running for FakeInstance {
    fn signal(&self, _signal: Signal) -> Result<(), Error> {
        // It has ended already.
        Ok(())
    }

    fn resize(&self, _size: WindowSize) -> Result<(), Error> {
        Ok(())
    }

    fn wait_executed(&self) -> Result<Option<ExitStatus>, Error> {
        let status = self.outcome.clone().map_err(Error::new)?;
        let is_refused = matches!(status, ExitStatus::NotFound | ExitStatus::NotExecutable(_));
        Ok(is_refused.then_some(status))
    }

    fn wait(&self, timeout: Option<Duration>) -> Result<Option<ExitStatus>, Error> {
        if let (true, Some(timeout)) = (self.goes_on, timeout) {
            thread::sleep(timeout);
            return Ok(None);
        }
        self.outcome.clone().map(Some).map_err(Error::new)
    }

    fn out_of_memory(&self) -> Result<bool, Error> {
        Ok(false)
    }
}

impl Instance for FakeInstance {
    fn id(&self) -> &InstanceId {
        &self.id
    }

    fn wait_main(&self) -> Result<bool, Error> {
        Ok(self.timeline.launch_to_main_ns().is_some())
    }

    fn pid(&self) -> Result<i32, Error> {
        Ok(std::process::id().cast_signed())
    }

    fn endpoint(&self) -> Option<Endpoint> {
        None
    }

    fn timeline(&self) -> Timeline {
        self.timeline.clone()
    }

    fn guest_memory(&self) -> Result<Option<GuestMemory>, Error> {
        let memory = GuestMemory {
            granted_bytes: 120 << 20,
            left_bytes: 100 << 20,
        };
        Ok((self.side == Side::Vm).then_some(memory))
    }

    fn cpu_ns(&self) -> Result<Option<u64>, Error> {
        // As much as it took to main.
        Ok(self.timeline.launch_to_main_ns())
    }

    fn footprint(&self) -> Result<Footprint, Error> {
        Ok(Footprint {
            charge: Charge::CgroupV2,
            current_bytes: 3 << 20,
            peak_bytes: 4 << 20,
            anon_bytes: 1 << 20,
            file_bytes: 1 << 20,
            kernel_bytes: 1 << 20,
            page_tables_bytes: Some(1 << 18),
            kvm_page_tables_bytes: Some(0),
        })
    }
}

/// A workload that is valid and means nothing.
///
/// # Panics
///
/// Never: its parts are constants that are allowed.
#[allow(clippy::expect_used)]
pub fn workload() -> Workload {
    let root = RootFs {
        layers: PathBuf::from("/nonexistent").into(),
        digest: Digest::from_bytes(&[0; 32]),
        read_only: false,
    };
    let command =
        Command::new(["true"], [], "/", Credentials::default()).expect("the constants are allowed");
    let hostname = "fake".parse::<Hostname>().expect("the constant is allowed");
    Workload::new(root, command, hostname)
}
