use std::convert::Infallible;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use entry::{Entry, Failure, Lifeline, Mark, Stage, Ties};
use host::cgroup::Entrance;
use host::pidfd::send_signal;
use launch::{ExitStatus, MonotonicNs, Stdio};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, pipe2, read};

use crate::cgroup;
use crate::clone::clone;
use crate::errand::Errand;
use crate::error::Error;
use crate::gate::Gate;
use crate::namespaces::Namespaces;
use crate::report::{Moment, Report};
use crate::scratch::Scratch;
use crate::terminal::Hatch;

/// How the child gets into its cgroup.
pub(crate) enum Way<'a> {
    /// It is made in it.
    Clone(BorrowedFd<'a>),
    /// It goes there by itself.
    Enter(Entrance),
    /// It stays in its parent's.
    Stay,
}

impl Way<'_> {
    /// The cgroup that it is made in.
    fn clone_target(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Clone(cgroup) => Some(*cgroup),
            Self::Enter(_) | Self::Stay => None,
        }
    }
}

/// What a child process is to do.
pub(crate) struct Task<'a> {
    pub(crate) namespaces: Namespaces,
    pub(crate) way: Way<'a>,
    pub(crate) scratch: Scratch,
    pub(crate) stage: Stage,
    pub(crate) entry: Entry,
    pub(crate) stdio: Stdio,
    /// Where the terminal is handed out that the command has in place of the streams, if it has
    /// one.
    pub(crate) hatch: Option<Hatch>,
    /// Where the child waits for its parent when it is in its namespaces, if there is anything
    /// to wait for.
    pub(crate) gate: Option<Gate>,
}

/// How and when a process ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) status: ExitStatus,
    /// When the one who waited was told.
    pub(crate) at: MonotonicNs,
}

/// The command's process, from its birth. Dropping it kills and reaps it.
///
/// Process 1 of a pid namespace takes with it all that it started; one that has joined it takes
/// nothing.
pub(crate) struct Process {
    pid: Pid,
    pidfd: OwnedFd,
    report: Report,
    /// How the command ended if it could not be executed.
    refused: Option<ExitStatus>,
    end: Mutex<Option<End>>,
}

impl Process {
    /// Clones a child process and waits until it has executed the command, or could not. With a
    /// gate, `meanwhile` is done with the child's number while the child waits.
    pub(crate) fn spawn(
        task: &Task<'_>,
        meanwhile: impl FnOnce(Pid) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let report = Report::new().map_err(Error::Report)?;
        // Closed by execve on the child's side: when the parent reads its end, the child has
        // executed the command, or is dead.
        let (lifeline, child_end) = pipe2(OFlag::O_CLOEXEC).map_err(Error::Report)?;
        // SAFETY: what runs in the child makes system calls only: `Entrance::enter`,
        // `Namespaces::complete`, `Report`, `Stage::set` and `Entry::run` are made for that. It ends by `_exit`.
        let child = unsafe { clone(task.namespaces.clone_flags(), task.way.clone_target()) };
        let child = child.map_err(Error::Clone)?;
        let Some((pid, pidfd)) = child else {
            match become_command(task, child_end.as_fd(), &report) {
                Ok(never) => match never {},
                Err(failure) => report.fail(failure),
            }
            end_child()
        };
        let process = Self::new(pid, pidfd, report);
        drop(child_end);
        if let Some(gate) = &task.gate
            && gate.wait_for_child(lifeline.as_fd()).map_err(Error::Wait)?
        {
            meanwhile(pid)?;
            gate.open().map_err(Error::Wait)?;
        }
        wait_for_end_of_file(lifeline).map_err(Error::Wait)?;
        // SAFETY: the child has executed the command or has ended: its end of the lifeline is
        // closed.
        unsafe { process.settled() }
    }

    /// Makes a child process that joins a command which runs, and waits until it has executed its
    /// own, or could not.
    pub(crate) fn join(errand: &Errand<'_>) -> Result<Self, Error> {
        let report = Report::new().map_err(Error::Report)?;
        let (lifeline, child_end) = pipe2(OFlag::O_CLOEXEC).map_err(Error::Report)?;
        // SAFETY: what runs in the child makes system calls only: `Errand::run` is made for that.
        // It ends by `_exit`.
        let envoy = unsafe { clone(CloneFlags::empty(), None) }.map_err(Error::Join)?;
        let Some((_, envoy)) = envoy else {
            if let Err(failure) = errand.run(child_end.as_fd(), &report) {
                report.fail(failure);
            }
            end_child()
        };
        drop(child_end);
        wait_for_end_of_file(lifeline).map_err(Error::Wait)?;
        let end = wait_for_child(envoy.as_fd()).map_err(Error::Wait)?;
        match report.sibling() {
            // SAFETY: it is a child of ours that nobody has waited for, so the number is its. The
            // process has executed the command or has ended, as above.
            Some(pid) => unsafe { Self::new(pid, open_child(pid)?, report).settled() },
            // SAFETY: the child has ended.
            None => match unsafe { report.failure() } {
                Some(failure) => Err(failure.into()),
                None => Err(Error::Died(Some(end))),
            },
        }
    }

    fn new(pid: Pid, pidfd: OwnedFd, report: Report) -> Self {
        Self {
            pid,
            pidfd,
            report,
            refused: None,
            end: Mutex::new(None),
        }
    }

    /// Looks at what it has come to.
    ///
    /// # Safety
    ///
    /// It has executed the command or has ended.
    unsafe fn settled(mut self) -> Result<Self, Error> {
        // SAFETY: the caller says so.
        if let Some(failure) = unsafe { self.report.failure() } {
            self.refused = Some(failure.exit_status().ok_or(failure)?);
        } else if self.stamped(Moment::Main).is_none() {
            let end = self.wait(None)?;
            return Err(Error::Died(end.map(|end| end.status)));
        }
        Ok(self)
    }

    /// Lets it run on by itself. Of one that has ended the kernel takes care when we have.
    pub(crate) fn leave(self) {
        // Nothing but memory is lost, and the process that calls this is about to end.
        std::mem::forget(self);
    }

    /// When a moment of its life came.
    pub(crate) fn stamped(&self, moment: Moment) -> Option<MonotonicNs> {
        self.report.stamped(moment)
    }

    /// How the command ended if it could not be executed.
    pub(crate) fn refused(&self) -> Option<ExitStatus> {
        self.refused
    }

    /// Its number in our pid namespace.
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends a signal; to one that has ended, nothing.
    pub(crate) fn signal(&self, signal: Signal) -> Result<(), Error> {
        send_signal(self.pidfd.as_fd(), signal as libc::c_int).map_err(Error::Signal)
    }

    /// Waits for its end; `None` if `timeout` passed first. May be called again.
    pub(crate) fn wait(&self, timeout: Option<Duration>) -> Result<Option<End>, Error> {
        // A moment that the clock does not reach is as good as none.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            let mut pidfd = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
            match poll(&mut pidfd, poll_timeout(left)) {
                Ok(0) if left == Some(Duration::ZERO) => return Ok(None),
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return self.reap().map(Some),
                Err(errno) => return Err(Error::Wait(errno)),
            }
        }
    }

    /// How it ended, if anyone has waited for that.
    pub(crate) fn end(&self) -> Option<End> {
        *self.lock_end()
    }

    /// Takes its status from the kernel, which gives it once. It has ended.
    fn reap(&self) -> Result<End, Error> {
        let at = MonotonicNs::now();
        let mut end = self.lock_end();
        if let Some(end) = *end {
            return Ok(end);
        }
        let status = wait_for_child(self.pidfd.as_fd()).map_err(Error::Wait)?;
        Ok(*end.insert(End {
            status: self.refused.unwrap_or(status),
            at,
        }))
    }

    fn lock_end(&self) -> MutexGuard<'_, Option<End>> {
        // It is written in one go, so it is whole even if a thread panicked with the lock.
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.end().is_some() {
            return;
        }
        let killed = self.signal(Signal::SIGKILL).and_then(|()| self.wait(None));
        if let Err(error) = killed {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a container's process may be left behind"
            );
        }
    }
}

/// Makes namespaces as a container has them, and lets go of them.
pub(crate) fn try_namespaces(namespaces: &Namespaces) -> Result<(), Error> {
    let report = Report::new().map_err(Error::Report)?;
    // SAFETY: what runs in the child makes system calls only.
    let child = unsafe { clone(namespaces.clone_flags(), None) }.map_err(Error::Clone)?;
    let Some((pid, pidfd)) = child else {
        if let Err(failure) = namespaces.complete() {
            report.fail(failure);
        }
        end_child()
    };
    let process = Process::new(pid, pidfd, report);
    process.wait(None)?;
    // SAFETY: the child has ended.
    match unsafe { process.report.failure() } {
        Some(failure) => Err(failure.into()),
        None => Ok(()),
    }
}

/// Ends a child process that failed to become something else. Not `exit`: what the parent wants
/// done at its end is not the child's to do.
fn end_child() -> ! {
    // SAFETY: ends the process, and takes a number.
    unsafe { libc::_exit(ExitStatus::LAUNCHER_FAILED.into()) }
}

/// The child's whole life in our hands. Makes system calls and nothing else.
fn become_command(
    task: &Task<'_>,
    lifeline: BorrowedFd<'_>,
    report: &Report,
) -> Result<Infallible, Failure> {
    report.stamp(Moment::Cloned);
    // First of all, so that everything from here on is charged to the container's cgroup.
    if let Way::Enter(entrance) = &task.way {
        cgroup::enter(entrance)?;
    }
    task.namespaces.complete()?;
    report.stamp(Moment::Placed);
    if let Some(gate) = &task.gate {
        gate.arrive()?;
    }
    if task.namespaces.has_new_network() {
        entry::bring_loopback_up()?;
        report.stamp(Moment::Networked);
    }
    // Before anything of ours is mounted, which would be seen in a volume that holds it.
    task.entry.open_outside()?;
    task.scratch.mount()?;
    let scenery = task.stage.set()?;
    if let Some(gate) = &task.gate {
        gate.pass()?;
    }
    let ring = |mark| {
        report.stamp(match mark {
            Mark::Root => Moment::Mounted,
            Mark::Main => Moment::Main,
        });
    };
    let ties = Ties {
        streams: task.stdio.as_fds(),
        terminal: task.hatch.as_ref().map(Hatch::terminal),
        lifeline: Some(Lifeline {
            pipe: lifeline,
            die_with_parent: true,
        }),
    };
    Err(task.entry.run(scenery, &ties, ring))
}

/// Opens a child of ours that nobody has waited for.
fn open_child(pid: Pid) -> Result<OwnedFd, Error> {
    // SAFETY: numbers only.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    let fd = Errno::result(fd).map_err(Error::Join)?;
    // SAFETY: the kernel has made the descriptor, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Takes a child's status from the kernel, which gives it once; waits for its end.
fn wait_for_child(pidfd: BorrowedFd<'_>) -> Result<ExitStatus, Errno> {
    // SAFETY: all zero is a valid siginfo_t.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let id = pidfd.as_raw_fd() as libc::id_t;
    loop {
        // SAFETY: `info` lives through the call.
        let result = unsafe { libc::waitid(libc::P_PIDFD, id, &raw mut info, libc::WEXITED) };
        match Errno::result(result) {
            Ok(_) => break,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    // SAFETY: waitid(2) has filled in the fields that it fills in for a child that ended.
    let number = unsafe { info.si_status() } as u8;
    Ok(match info.si_code {
        libc::CLD_EXITED => ExitStatus::Exited(number),
        // Killed, with a core dump or without.
        _ => ExitStatus::Signaled(number),
    })
}

fn wait_for_end_of_file(pipe: OwnedFd) -> Result<(), Errno> {
    loop {
        // Nothing is ever written to it.
        match read(&pipe, &mut [0]) {
            Err(Errno::EINTR) => {}
            result => return result.map(drop),
        }
    }
}

/// At least as long as `left`, as far as poll(2) can count.
fn poll_timeout(left: Option<Duration>) -> PollTimeout {
    left.map_or(PollTimeout::NONE, |left| {
        let ms = left.as_nanos().div_ceil(1_000_000);
        PollTimeout::try_from(ms).unwrap_or(PollTimeout::MAX)
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use entry::Privileges;
    use launch::Credentials;

    use super::*;
    use crate::namespaces::privileges;
    use crate::network::NetworkNamespace;

    #[test]
    fn a_child_is_made_in_a_version_2_cgroup() {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let mount = mounts
            .lines()
            .map(|line| line.split(' ').collect::<Vec<_>>())
            .find(|fields| fields.get(2) == Some(&"cgroup2"));
        let (Some(mount), Privileges::Root) = (mount, privileges()) else {
            eprintln!("SKIPPED, needs root and a mounted cgroup2: CLONE_INTO_CGROUP");
            return;
        };
        let dir = Path::new(mount[1]).join(format!("jaula-test-{}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        let cgroup = fs::File::open(&dir).unwrap();
        let namespaces = Namespaces::new(
            Privileges::Root,
            &Credentials::default(),
            NetworkNamespace::New,
        );
        let flags = namespaces.clone_flags();
        // SAFETY: the child does nothing but wait for its end.
        let child = unsafe { clone(flags, Some(cgroup.as_fd())) };
        let Some((pid, pidfd)) = child.unwrap() else {
            loop {
                // SAFETY: takes nothing.
                unsafe { libc::pause() };
            }
        };
        let process = Process::new(pid, pidfd, Report::new().unwrap());
        let members = fs::read_to_string(dir.join("cgroup.procs")).unwrap();
        drop(process);
        fs::remove_dir(&dir).unwrap();
        assert_eq!(members.lines().count(), 1);
    }

    #[test]
    fn a_timeout_is_never_cut_short() {
        for (left, expected) in [
            (None, PollTimeout::NONE),
            (Some(Duration::ZERO), PollTimeout::ZERO),
            (Some(Duration::from_nanos(1)), PollTimeout::from(1u8)),
            (Some(Duration::from_micros(1001)), PollTimeout::from(2u8)),
            (Some(Duration::MAX), PollTimeout::MAX),
        ] {
            assert_eq!(poll_timeout(left), expected, "{left:?}");
        }
    }
}
