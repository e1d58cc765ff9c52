use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::fatal::Fatal;

/// What is waited for: each adds its own, and takes as many answers in the same order.
#[derive(Default)]
pub(crate) struct Interest<'a>(Vec<PollFd<'a>>);

impl<'a> Interest<'a> {
    pub(crate) fn add(&mut self, fd: PollFd<'a>) {
        self.0.push(fd);
    }

    /// Waits until something happens, or for so long at most.
    pub(crate) fn wait(mut self, timeout: Option<&Timespec>) -> Result<Found, Fatal> {
        loop {
            match poll(&mut self.0, timeout) {
                Ok(_) => break,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(Fatal::when("waiting for something to do")(errno)),
            }
        }
        let found: Vec<_> = self.0.iter().map(PollFd::revents).collect();
        Ok(Found(found.into_iter()))
    }
}

/// What was found of each that was waited for.
pub(crate) struct Found(std::vec::IntoIter<PollFlags>);

impl Found {
    pub(crate) fn take(&mut self) -> PollFlags {
        self.0.next().unwrap_or(PollFlags::empty())
    }
}
