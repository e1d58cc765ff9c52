//! A user that owns nothing and may do nothing, for what nobody has been asked to trust.

use std::io;

use host::user_namespace::IdMap;
use nix::errno::Errno;
use nix::libc;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Gid, Uid, fork};

/// From 0x7000_0000 to 2,147,352,575 no IDs are given out (systemd's "Users, Groups, UIDs and GIDs").
/// These are behind the ones of VMs' monitors (`vmm/src/jail/identity.rs`).
const FIRST: u32 = 0x7000_0000 + MOST_PROCESSES;

/// A process ID is below that: `PID_MAX_LIMIT` of the kernel.
const MOST_PROCESSES: u32 = 1 << 22;

/// A user and a group of the host's that no file belongs to and no other process has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nobody(u32);

impl Nobody {
    /// The one of this process: two of them that run at the same time have different ones. `None`
    /// where it has no such IDs, as in a user namespace.
    pub(super) fn of_this_process() -> Option<Self> {
        let id = FIRST + std::process::id() % MOST_PROCESSES;
        let is_there = |map: IdMap| map.outside(id).is_some();
        (is_there(IdMap::of_users()) && is_there(IdMap::of_groups())).then_some(Self(id))
    }

    pub(super) fn user(self) -> Uid {
        Uid::from_raw(self.0)
    }

    pub(super) fn group(self) -> Gid {
        Gid::from_raw(self.0)
    }

    /// Kills all its processes, wherever they went.
    pub(super) fn kill_all(self) -> io::Result<()> {
        // SAFETY: the child makes system calls and nothing else, and ends.
        match unsafe { fork() }? {
            ForkResult::Parent { child } => loop {
                match waitpid(child, None) {
                    Err(Errno::EINTR) => {}
                    ended => break ended.map(drop).map_err(Into::into),
                }
            },
            ForkResult::Child => {
                // SAFETY: numbers only. Not the library's setresuid, which would wait for threads that
                // this copy does not have.
                unsafe {
                    // Whom kill(2) reaches with -1 depends on it alone.
                    if libc::syscall(libc::SYS_setresuid, self.0, self.0, self.0) == 0 {
                        libc::kill(-1, libc::SIGKILL);
                    }
                    libc::_exit(0)
                }
            }
        }
    }
}
