use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use entry::{Failure, Step};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::unistd::{close, read, write};

use crate::namespaces::failure;

/// Where the child waits while its parent does something about the child's namespaces.
pub(crate) struct Gate {
    parent: OwnedFd,
    child: OwnedFd,
}

impl Gate {
    pub(crate) fn new() -> Result<Self, Errno> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let (parent, child) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?;
        Ok(Self { parent, child })
    }

    /// Says that the namespaces are there; in the child. Makes system calls and nothing else.
    pub(crate) fn arrive(&self) -> Result<(), Failure> {
        // The child's copy of the parent's end: with it the child would not see its parent die.
        // Its number is not used again, by a drop or otherwise: the child has no destructors.
        close(self.parent.as_raw_fd()).map_err(at)?;
        write(&self.child, &[0]).map(drop).map_err(at)
    }

    /// Waits until the parent is done; in the child. Makes system calls and nothing else.
    pub(crate) fn pass(&self) -> Result<(), Failure> {
        match receive(&self.child) {
            Ok(true) => Ok(()),
            // Nobody is left to be done.
            Ok(false) => Err(at(Errno::ESRCH)),
            Err(errno) => Err(at(errno)),
        }
    }

    /// Waits until the child has arrived; `false` if it ended before, which closes the other end
    /// of `lifeline`; in the parent.
    pub(crate) fn wait_for_child(&self, lifeline: BorrowedFd<'_>) -> Result<bool, Errno> {
        let mut ends = [
            PollFd::new(self.parent.as_fd(), PollFlags::POLLIN),
            PollFd::new(lifeline, PollFlags::POLLIN),
        ];
        loop {
            match poll(&mut ends, PollTimeout::NONE) {
                Err(Errno::EINTR) => {}
                result => {
                    result?;
                    return Ok(ends[0].any().unwrap_or_default());
                }
            }
        }
    }

    /// Lets the child go on; in the parent.
    pub(crate) fn open(&self) -> Result<(), Errno> {
        match write(&self.parent, &[0]) {
            // It has died; that is told by others.
            Ok(_) | Err(Errno::EPIPE) => Ok(()),
            Err(errno) => Err(errno),
        }
    }
}

/// Takes what the other end sent; `false` if there is no other end.
fn receive(end: &OwnedFd) -> Result<bool, Errno> {
    loop {
        match read(end, &mut [0]) {
            Err(Errno::EINTR) => {}
            result => return result.map(|length| length == 1),
        }
    }
}

fn at(errno: Errno) -> Failure {
    failure(Step::NetworkNamespace, errno)
}
