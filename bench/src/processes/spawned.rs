use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use host::InstanceDir;
use launch::{
    Endpoint, ExitStatus, Footprint, Instance, InstanceId, MonotonicNs, Running, Stdio, Timeline,
    WindowSize,
};
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, setsid};

use super::Error;
use super::doorbell::Doorbell;
use super::nobody::Nobody;
use super::root::Root;
use super::told::{self, Told};

/// A runner has removed all that it made when so much time has passed since its command ended.
const CLEARED_UP_WITHIN: Duration = Duration::from_secs(10);

/// How often it is looked whether a runner that is to end has started something.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How a program is to be started.
pub(super) struct Start<F> {
    /// When the clock started.
    pub(super) at: MonotonicNs,
    pub(super) program: Command,
    pub(super) stdio: Stdio,
    /// What the child does before it executes the program: system calls and nothing else.
    pub(super) enter: F,
    pub(super) role: Role,
    /// What has to be there as long as the process.
    pub(super) root: Option<Root>,
    /// Whose the process is, if it is nobody's else: all of this user's ends with it.
    pub(super) nobody: Option<Nobody>,
    /// Where it is on record for the next run what the process leaves should this one crash.
    pub(super) record: Option<InstanceDir>,
}

/// What a program has to do with the workload.
pub(super) enum Role {
    /// It is the workload's own; what the time to its `execve` is called.
    Workload(&'static str),
    /// It starts the workload; what it tells of that start, if it is a `jaula run`.
    Runner(Option<Told>),
    /// It is neither.
    Helper,
}

impl<F> Start<F> {
    /// That of a program which keeps nothing and is of this user, as many another process.
    pub(super) fn now(program: Command, stdio: Stdio, role: Role, enter: F) -> Self {
        Self {
            at: MonotonicNs::now(),
            program,
            stdio,
            enter,
            role,
            root: None,
            nobody: None,
            record: None,
        }
    }
}

/// A program that was started in a session of its own, or could not be executed.
pub(super) struct Spawned {
    id: InstanceId,
    start: MonotonicNs,
    role: Role,
    /// When it was executed.
    rang_at: Option<MonotonicNs>,
    process: Process,
    ended: Mutex<Option<(ExitStatus, MonotonicNs)>>,
    nobody: Option<Nobody>,
    // Before the root: what is killed with it may use that.
    _record: Option<InstanceDir>,
    _root: Option<Root>,
}

enum Process {
    Started {
        child: Mutex<Child>,
        pid: Pid,
        pidfd: OwnedFd,
    },
    NotExecuted(ExitStatus),
}

impl Spawned {
    pub(super) fn start<F>(start: Start<F>) -> Result<Self, launch::Error>
    where
        F: Fn() -> Result<(), Errno> + Send + Sync + 'static,
    {
        let id = "process".parse().map_err(launch::Error::new)?;
        let doorbell = Arc::new(Doorbell::new().map_err(|errno| Error::Start(errno.into()))?);
        let Start {
            at,
            mut program,
            stdio,
            enter,
            role,
            root,
            nobody,
            record,
        } = start;
        program
            .stdin(stdio.stdin)
            .stdout(stdio.stdout)
            .stderr(stdio.stderr);
        let bell = Arc::clone(&doorbell);
        // SAFETY: the closure makes system calls and a store, and allocates nothing.
        unsafe {
            program.pre_exec(move || {
                setsid()?;
                enter()?;
                // After a change of user, which undoes it: prctl(2).
                prctl::set_pdeathsig(Signal::SIGKILL)?;
                bell.ring();
                Ok(())
            })
        };
        let spawned = program.spawn();
        // With it go our copies of the streams.
        drop(program);
        let rang_at = doorbell.rang_at();
        let process = match (spawned, rang_at) {
            (Ok(child), _) => started(child)?,
            (Err(error), None) => return Err(Error::Start(error).into()),
            // What failed after the doorbell is the execve.
            (Err(error), Some(_)) => Process::NotExecuted(match error.raw_os_error() {
                Some(libc::ENOENT) => ExitStatus::NotFound,
                errno => ExitStatus::NotExecutable(errno.unwrap_or(libc::EACCES)),
            }),
        };
        Ok(Self {
            id,
            start: at,
            role,
            rang_at,
            process,
            ended: Mutex::default(),
            nobody,
            _record: record,
            _root: root,
        })
    }

    /// What the time to the workload's own program is called, and when it was executed.
    fn main(&self) -> Option<(&'static str, MonotonicNs)> {
        match self.role {
            Role::Workload(name) => Some(name).zip(self.rang_at),
            Role::Runner(_) | Role::Helper => None,
        }
    }

    fn told(&self) -> Option<&Timeline> {
        match &self.role {
            Role::Runner(Some(told)) => told.timeline(),
            _ => None,
        }
    }

    fn ended(&self) -> Option<(ExitStatus, MonotonicNs)> {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a runner runs is in a session of its own, and would outlive it.
    fn end_what_it_runs(&self, runner: Pid) {
        let began = Instant::now();
        // One that has only just begun has nothing to kill yet.
        while !told::end_what_it_runs(runner) && began.elapsed() < CLEARED_UP_WITHIN {
            if let Ok(Some(_)) = self.wait(Some(LOOK_EVERY)) {
                return;
            }
        }
        let _ = self.wait(Some(CLEARED_UP_WITHIN));
    }

    fn note_end(&self, status: ExitStatus, at: MonotonicNs) -> ExitStatus {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.get_or_insert((status, at)).0
    }
}

fn started(child: Child) -> Result<Process, Error> {
    let pid = Pid::from_raw(child.id().cast_signed());
    // SAFETY: numbers only; the child was not waited for, so the number is its own.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    let fd = Errno::result(fd).map_err(|errno| Error::Reach(errno.into()))?;
    Ok(Process::Started {
        child: Mutex::new(child),
        pid,
        // SAFETY: the system call has just returned it, so nobody else owns it.
        pidfd: unsafe { OwnedFd::from_raw_fd(fd as RawFd) },
    })
}

impl Running for Spawned {
    fn signal(&self, signal: Signal) -> Result<(), launch::Error> {
        match &self.process {
            Process::Started { pidfd, .. } => {
                host::pidfd::send_signal(pidfd.as_fd(), signal as libc::c_int)
                    .map_err(|errno| Error::Reach(errno.into()).into())
            }
            Process::NotExecuted(_) => Ok(()),
        }
    }

    fn resize(&self, _size: WindowSize) -> Result<(), launch::Error> {
        Ok(())
    }

    fn wait_executed(&self) -> Result<Option<ExitStatus>, launch::Error> {
        Ok(match self.process {
            Process::Started { .. } => None,
            Process::NotExecuted(status) => Some(status),
        })
    }

    fn wait(&self, timeout: Option<Duration>) -> Result<Option<ExitStatus>, launch::Error> {
        let (child, pid, pidfd) = match &self.process {
            Process::Started { child, pid, pidfd } => (child, *pid, pidfd),
            Process::NotExecuted(status) => {
                return Ok(Some(self.note_end(*status, MonotonicNs::now())));
            }
        };
        let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((status, _)) = self.ended() {
            return Ok(Some(status));
        }
        let timeout = timeout.map_or(PollTimeout::NONE, |timeout| {
            PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX)
        });
        let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, timeout) {
            Ok(0) | Err(Errno::EINTR) => return Ok(None),
            Ok(_) => {}
            Err(errno) => return Err(Error::Reach(errno.into()).into()),
        }
        let at = MonotonicNs::now();
        // What it leaves behind ends with it. The group's number is its own until it is waited for.
        let _ = killpg(pid, Signal::SIGKILL);
        let status = child.wait().map_err(Error::Reach)?;
        if let Some(nobody) = self.nobody {
            nobody.kill_all().map_err(Error::Reach)?;
        }
        Ok(Some(self.note_end(exit_status(status), at)))
    }

    fn out_of_memory(&self) -> Result<bool, launch::Error> {
        Ok(false)
    }
}

fn exit_status(status: std::process::ExitStatus) -> ExitStatus {
    match (status.code(), status.signal()) {
        (Some(code), _) => ExitStatus::Exited(code as u8),
        (None, signal) => ExitStatus::Signaled(signal.unwrap_or_default() as u8),
    }
}

impl Instance for Spawned {
    fn id(&self) -> &InstanceId {
        &self.id
    }

    fn wait_main(&self) -> Result<bool, launch::Error> {
        // `start` waited for it, or it is not known when a workload starts.
        Ok(self.main().is_some())
    }

    fn pid(&self) -> Result<i32, launch::Error> {
        match &self.process {
            Process::Started { pid, .. } => Ok(pid.as_raw()),
            Process::NotExecuted(_) => Err(Error::Reach(Errno::ESRCH.into()).into()),
        }
    }

    fn endpoint(&self) -> Option<Endpoint> {
        None
    }

    fn timeline(&self) -> Timeline {
        let mut timeline = match self.told() {
            Some(told) => told.clone().begun_before(self.start, "program"),
            None => Timeline::starting(self.start),
        };
        if let Some((name, at)) = self.main() {
            timeline.mark_main(name, at);
        }
        if let Some((_, at)) = self.ended() {
            timeline.mark("run", at);
        }
        timeline
    }

    fn footprint(&self) -> Result<Footprint, launch::Error> {
        Err(Error::NoCgroup.into())
    }

    fn cpu_ns(&self) -> Result<Option<u64>, launch::Error> {
        Ok(None)
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        if self.ended().is_some() {
            return;
        }
        if let (Role::Runner(_), Process::Started { pid, .. }) = (&self.role, &self.process) {
            self.end_what_it_runs(*pid);
        }
        if self.ended().is_some() {
            return;
        }
        if let Process::Started { child, pid, .. } = &mut self.process {
            // It was not waited for, so the group's number is its own.
            let _ = killpg(*pid, Signal::SIGKILL);
            let child = child.get_mut().unwrap_or_else(PoisonError::into_inner);
            let _ = child.wait();
            if let Some(nobody) = self.nobody {
                let _ = nobody.kill_all();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{self, BufRead, BufReader};

    use super::*;

    #[test]
    fn what_a_runner_runs_in_another_session_ends_with_it() {
        let (said, stdout) = io::pipe().unwrap();
        let mut program = Command::new("sh");
        // It clears up after what it ran.
        let script = "setsid sh -c 'echo $$; exec sleep 1000' & wait; echo cleared up";
        program.args(["-c", script]);
        let stdio = Stdio {
            stdout: stdout.into(),
            ..Stdio::null().unwrap()
        };
        let start = Start::now(program, stdio, Role::Runner(None), || Ok(()));
        let runner = Spawned::start(start).unwrap();
        let mut lines = BufReader::new(said).lines();
        let command = lines.next().unwrap().unwrap();
        drop(runner);
        assert!(!fs::exists(format!("/proc/{command}")).unwrap());
        assert_eq!(lines.next().unwrap().unwrap(), "cleared up");
    }
}
