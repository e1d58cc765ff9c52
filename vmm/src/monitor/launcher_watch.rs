use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::Sender;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::process::{PidfdFlags, getppid, pidfd_open};

use super::channel::Received;
use super::event::Event;
use super::{Channel, ToMonitor};

/// Watches the launcher: what it says, and that it lives.
///
/// The end of its socket is not enough of a sign: a process that it forked may hold a copy. And
/// `PR_SET_PDEATHSIG` would be too much: it comes when the thread ends that started us.
pub(super) struct LauncherWatch {
    channel: Arc<Channel>,
    launcher: OwnedFd,
}

impl LauncherWatch {
    /// `None` if the launcher, process `pid`, is gone.
    pub(super) fn new(channel: Arc<Channel>, pid: i32) -> Result<Option<Self>, Errno> {
        let parent = || getppid().filter(|parent| parent.as_raw_pid() == pid);
        let Some(launcher) = parent() else {
            return Ok(None);
        };
        let launcher = pidfd_open(launcher, PidfdFlags::empty())
            .map_err(|errno| Errno::from_raw(errno.raw_os_error()))?;
        // Still our parent, so the descriptor is of no other process with its number.
        Ok(parent().map(|_| Self { channel, launcher }))
    }

    /// Passes on what the launcher says, until it is gone or nobody listens.
    pub(super) fn watch(self, events: &Sender<Event>) {
        loop {
            match self.next() {
                Some(ToMonitor::Signal(number)) => {
                    if events.send(Event::Signal(number)).is_err() {
                        return;
                    }
                }
                None => {
                    // If nobody listens, the monitor ends anyway.
                    let _ = events.send(Event::LauncherGone);
                    return;
                }
            }
        }
    }

    fn next(&self) -> Option<ToMonitor> {
        loop {
            match self.channel.receive() {
                Ok(Received::Message(message)) => return Some(message),
                Ok(Received::Nothing) => {}
                Ok(Received::Closed) => return None,
                Err(error) => {
                    tracing::debug!("the launcher: {error}");
                    return None;
                }
            }
            let mut sources = [
                PollFd::new(self.channel.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.launcher.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut sources, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return None,
            }
            let [_, launcher] = sources;
            if launcher.any() == Some(true) {
                return None;
            }
        }
    }
}
