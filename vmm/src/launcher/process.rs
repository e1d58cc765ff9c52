//! The monitor's process, as the launcher sees it.
//!
//! No thread waits for it: whoever wants to know something takes the news from the channel. Two
//! things wake all who wait, however many: the process's end, and the doorbell, which is put on
//! an eventfd that nobody reads.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use guest_protocol::End;
use host::Cgroup;
use launch::{ExitStatus, MonotonicNs, WindowSize};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use vmm_sys_util::eventfd::EventFd;

use super::error::Error;
use crate::monitor::{
    ARGV0, Assignment, Channel, ChannelError, Phase, Reason, Received, ToLauncher, ToMonitor,
};

/// Our own executable, whatever has become of its path.
const SELF: &str = "/proc/self/exe";

/// A monitor that was started. Dropping it kills it.
pub(super) struct MonitorProcess {
    channel: Channel,
    pidfd: OwnedFd,
    /// Readable once the doorbell rang.
    main: EventFd,
    known: Mutex<Known>,
}

/// What is known of it.
struct Known {
    child: Child,
    reached: Vec<(Phase, MonotonicNs)>,
    verdict: Option<Verdict>,
    closed: bool,
    gone: Option<Gone>,
}

/// The monitor's last message.
#[derive(Clone, Debug)]
enum Verdict {
    Ended(End, MonotonicNs),
    Failed(Reason),
}

/// The process has ended.
#[derive(Clone, Copy, Debug)]
struct Gone {
    status: std::process::ExitStatus,
    at: MonotonicNs,
}

impl Known {
    fn has_reached(&self, phase: Phase) -> bool {
        self.reached.iter().any(|(reached, _)| *reached == phase)
    }

    /// How the command ended, or why that will never be known; `None` while it runs.
    fn end(&self) -> Option<Result<ExitStatus, Error>> {
        let gone = self.gone?;
        Some(match &self.verdict {
            Some(Verdict::Ended(end, _)) => Ok(end.status),
            Some(Verdict::Failed(reason)) => Err(Error::Failed(reason.clone())),
            None => Err(Error::of_dead(gone.status)),
        })
    }
}

impl MonitorProcess {
    /// Starts a monitor in `cgroup` and tells it what to do.
    pub(super) fn spawn(
        cgroup: Option<&Cgroup>,
        assignment: Assignment<OwnedFd>,
    ) -> Result<Self, Error> {
        let main = EventFd::new(libc::EFD_NONBLOCK | libc::EFD_CLOEXEC).map_err(Error::Spawn)?;
        let (channel, theirs) = Channel::pair().map_err(Error::Spawn)?;
        let mut command = Command::new(SELF);
        command.arg0(ARGV0).stdin(theirs).stdout(Stdio::null());
        // A guest that has broken into the monitor finds no secrets of the launcher's there.
        command.env_clear().envs(own_variables());
        if let Some(cgroup) = cgroup {
            let entrance = cgroup
                .entrance()
                .map_err(io::Error::other)
                .map_err(Error::Spawn)?;
            // SAFETY: `enter` does nothing but write(2), so it may run in the forked child of a
            // process with threads.
            unsafe { command.pre_exec(move || entrance.enter()) };
        }
        let mut child = command.spawn().map_err(Error::Spawn)?;
        // It holds our copy of the monitor's end.
        drop(command);
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).map_err(|errno| {
            // Neither can fail: the child is ours and was not waited for.
            let _ = child.kill();
            let _ = child.wait();
            Error::Spawn(errno.into())
        })?;
        let monitor = Self {
            channel,
            pidfd,
            main,
            known: Mutex::new(Known {
                child,
                reached: Vec::new(),
                verdict: None,
                closed: false,
                gone: None,
            }),
        };
        assignment.send(&monitor.channel)?;
        Ok(monitor)
    }

    /// Waits until the machine is built, and about to run.
    pub(super) fn wait_built(&self) -> Result<(), Error> {
        self.wait_until(None, None, |known| {
            known.has_reached(Phase::Jail) || known.gone.is_some()
        })?;
        match self.news()?.end() {
            Some(Err(error)) => Err(error),
            Some(Ok(_)) | None => Ok(()),
        }
    }

    /// Waits for the end of a monitor that makes a template.
    pub(super) fn wait_saved(&self) -> Result<(), Error> {
        self.wait_until(None, None, |known| known.gone.is_some())?;
        let known = self.news()?;
        match (&known.verdict, known.gone) {
            (Some(Verdict::Failed(reason)), _) => Err(Error::Failed(reason.clone())),
            (_, Some(gone)) if !gone.status.success() => Err(Error::of_dead(gone.status)),
            _ => Ok(()),
        }
    }

    /// Waits for the doorbell; `false` if it will never ring.
    pub(super) fn wait_main(&self) -> Result<bool, Error> {
        self.wait_until(None, Some(&self.main), |known| {
            known.has_reached(Phase::Exec) || known.gone.is_some()
        })?;
        Ok(self.news()?.has_reached(Phase::Exec))
    }

    /// Waits until the command was executed; how it ended, if it could not be.
    pub(super) fn wait_executed(&self) -> Result<Option<ExitStatus>, Error> {
        self.wait_until(None, None, |known| {
            known.has_reached(Phase::Executed) || known.gone.is_some()
        })?;
        let known = self.news()?;
        if known.has_reached(Phase::Executed) {
            return Ok(None);
        }
        known.end().transpose()
    }

    /// The monitor's number.
    pub(super) fn pid(&self) -> Result<i32, Error> {
        Ok(self.news()?.child.id().cast_signed())
    }

    /// Waits for the command's end, and the monitor's, which has nothing left to do then.
    pub(super) fn wait(&self, timeout: Option<Duration>) -> Result<Option<ExitStatus>, Error> {
        self.wait_until(timeout, None, |known| known.gone.is_some())?;
        self.news()?.end().transpose()
    }

    /// Whether the command has ended, and the guest's kernel killed one of its processes because
    /// memory ran out.
    pub(super) fn out_of_memory(&self) -> Result<bool, Error> {
        Ok(matches!(&self.news()?.verdict, Some(Verdict::Ended(end, _)) if end.out_of_memory))
    }

    /// Sends a signal to the command, if that has not ended.
    pub(super) fn signal(&self, signal: Signal) -> Result<(), Error> {
        // A signal's number is below 64.
        self.tell(ToMonitor::Signal(signal as u8))
    }

    /// Tells the command's terminal its size, if that has not ended.
    pub(super) fn resize(&self, size: WindowSize) -> Result<(), Error> {
        self.tell(ToMonitor::Resize(size))
    }

    fn tell(&self, word: ToMonitor) -> Result<(), Error> {
        match self.channel.send(&word) {
            Err(ChannelError::Socket(Errno::EPIPE | Errno::ECONNRESET)) => Ok(()),
            result => Ok(result?),
        }
    }

    /// The phases that were reached, and when; then the command's end, and the monitor's.
    pub(super) fn moments(&self) -> Result<Moments, Error> {
        let known = self.news()?;
        Ok(Moments {
            reached: known.reached.clone(),
            ended: match known.verdict {
                Some(Verdict::Ended(_, at)) => Some(at),
                _ => None,
            },
            gone: known.gone.map(|gone| gone.at),
        })
    }

    /// Takes all news, without waiting.
    fn news(&self) -> Result<MutexGuard<'_, Known>, Error> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.gone.is_none() {
            // Asked before the messages are taken: after its end there are no more.
            let status = known.child.try_wait().map_err(Error::Spawn)?;
            self.take_messages(&mut known)?;
            known.gone = status.map(|status| Gone {
                status,
                at: MonotonicNs::now(),
            });
        }
        Ok(known)
    }

    fn take_messages(&self, known: &mut Known) -> Result<(), Error> {
        while !known.closed {
            match self.channel.receive()? {
                Received::Nothing => break,
                Received::Closed => known.closed = true,
                Received::Message(ToLauncher::Ended(end, at)) => {
                    known.verdict = Some(Verdict::Ended(end, at));
                }
                Received::Message(ToLauncher::Failed(reason)) => {
                    known.verdict = Some(Verdict::Failed(reason));
                }
                Received::Message(ToLauncher::Built(phases)) => known.reached.extend(phases),
                Received::Message(ToLauncher::Reached(phase, at)) => {
                    known.reached.push((phase, at));
                    if phase == Phase::Exec {
                        self.main.write(1).map_err(Error::Spawn)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Waits for news until `done`, or until `timeout` has passed. `bell` is one more thing that
    /// may bring `done` about.
    fn wait_until(
        &self,
        timeout: Option<Duration>,
        bell: Option<&EventFd>,
        done: impl Fn(&Known) -> bool,
    ) -> Result<(), Error> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let closed = {
                let known = self.news()?;
                if done(&known) {
                    return Ok(());
                }
                known.closed
            };
            let mut sources = vec![PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
            if !closed {
                sources.push(PollFd::new(self.channel.as_fd(), PollFlags::POLLIN));
            }
            if let Some(bell) = bell {
                // SAFETY: the eventfd is open as long as `self` is.
                let bell = unsafe { BorrowedFd::borrow_raw(bell.as_raw_fd()) };
                sources.push(PollFd::new(bell, PollFlags::POLLIN));
            }
            let left = match deadline {
                None => PollTimeout::NONE,
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Ok(());
                    }
                    poll_timeout(left)
                }
            };
            match poll(&mut sources, left) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::Wait(errno)),
            }
        }
    }
}

/// The variables that are meant for jaula.
fn own_variables() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"JAULA_"))
}

/// Rounded up to a millisecond, so that the last moment is not spent polling; a longer one than
/// poll(2) knows is waited for in parts.
fn poll_timeout(left: Duration) -> PollTimeout {
    let ms = left.as_micros().div_ceil(1000);
    PollTimeout::try_from(ms).unwrap_or(PollTimeout::MAX)
}

impl Drop for MonitorProcess {
    fn drop(&mut self) {
        let known = self.known.get_mut().unwrap_or_else(PoisonError::into_inner);
        if known.gone.is_none() {
            let killed = known.child.kill().and_then(|()| known.child.wait());
            if let Err(error) = killed {
                tracing::warn!("a monitor may be left behind: {error}");
            }
        }
    }
}

/// When what happened, on the host's `CLOCK_MONOTONIC`.
pub(super) struct Moments {
    pub(super) reached: Vec<(Phase, MonotonicNs)>,
    pub(super) ended: Option<MonotonicNs>,
    pub(super) gone: Option<MonotonicNs>,
}
