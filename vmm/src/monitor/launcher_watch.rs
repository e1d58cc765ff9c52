use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::Sender;

use launch::WindowSize;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::net::SocketFlags;
use rustix::process::{PidfdFlags, getppid, pidfd_open};

use super::channel::Received;
use super::event::Event;
use super::{Channel, ToMonitor};
use crate::snapshot::LeaseBreaks;

/// Watches what may come from outside: the launcher's word and its end, others' requests, and
/// that somebody is about to change the file that memory is mapped from.
///
/// The end of the launcher's socket is not enough of a sign: a process that it forked may hold a
/// copy. And `PR_SET_PDEATHSIG` would be too much: it comes when the thread ends that started us.
pub(super) struct LauncherWatch {
    channel: Arc<Channel>,
    launcher: OwnedFd,
    breaks: Arc<LeaseBreaks>,
}

/// What came.
enum News {
    Signal(u8),
    Resize(WindowSize),
    Asked(OwnedFd),
    MemoryChanging,
    LauncherGone,
}

impl LauncherWatch {
    /// `None` if the launcher, process `pid`, is gone.
    pub(super) fn new(
        channel: Arc<Channel>,
        pid: i32,
        breaks: Arc<LeaseBreaks>,
    ) -> Result<Option<Self>, Errno> {
        let parent = || getppid().filter(|parent| parent.as_raw_pid() == pid);
        let Some(launcher) = parent() else {
            return Ok(None);
        };
        let launcher = pidfd_open(launcher, PidfdFlags::empty())
            .map_err(|errno| Errno::from_raw(errno.raw_os_error()))?;
        // Still our parent, so the descriptor is of no other process with its number.
        Ok(parent().map(|_| Self {
            channel,
            launcher,
            breaks,
        }))
    }

    /// Passes on what comes, until the launcher is gone or nobody listens. Requests come to the
    /// listening socket `requests`.
    pub(super) fn watch(self, requests: &OwnedFd, events: &Sender<Event>) {
        loop {
            let event = match self.next(Some(requests)) {
                News::Signal(number) => Event::Signal(number),
                News::Resize(size) => Event::Resize(size),
                News::Asked(connection) => Event::Asked(connection),
                News::MemoryChanging => Event::MemoryChanging,
                News::LauncherGone => Event::LauncherGone,
            };
            let last = matches!(event, Event::LauncherGone | Event::MemoryChanging);
            // If nobody listens, the monitor ends anyway.
            if events.send(event).is_err() || last {
                return;
            }
        }
    }

    /// Returns when the launcher is gone.
    pub(super) fn until_gone(self) {
        while !matches!(self.next(None), News::LauncherGone) {}
    }

    fn next(&self, requests: Option<&OwnedFd>) -> News {
        loop {
            match self.channel.receive() {
                Ok(Received::Message(ToMonitor::Signal(number))) => return News::Signal(number),
                Ok(Received::Message(ToMonitor::Resize(size))) => return News::Resize(size),
                Ok(Received::Nothing) => {}
                Ok(Received::Closed) => return News::LauncherGone,
                Err(error) => {
                    tracing::debug!("the launcher: {error}");
                    return News::LauncherGone;
                }
            }
            let source = |fd| PollFd::new(fd, PollFlags::POLLIN);
            let mut sources = vec![
                source(self.channel.as_fd()),
                source(self.launcher.as_fd()),
                source(self.breaks.as_fd()),
            ];
            sources.extend(requests.map(|requests| source(requests.as_fd())));
            match poll(&mut sources, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return News::LauncherGone,
            }
            let came = |source: usize| {
                sources
                    .get(source)
                    .is_some_and(|source| source.any() == Some(true))
            };
            if came(1) {
                return News::LauncherGone;
            }
            if came(2) {
                return News::MemoryChanging;
            }
            if came(3)
                && let Some(connection) = requests.and_then(accept)
            {
                return News::Asked(connection);
            }
        }
    }
}

/// Who asked may be gone already.
fn accept(requests: &OwnedFd) -> Option<OwnedFd> {
    rustix::net::accept_with(requests, SocketFlags::CLOEXEC).ok()
}
