//! Sends signals to what another process has launched.

use std::os::fd::AsRawFd;

use host::instances::Found;
use launch::Side;
use nix::errno::Errno;
use nix::libc;

use super::{Failure, World, id};

/// SIGKILL, which nothing withstands.
pub const KILL: u8 = libc::SIGKILL as u8;

impl World {
    /// Sends it to the command; to one that ends at this moment, nothing.
    pub fn signal(&self, found: &Found, signal: u8) -> Result<(), Failure> {
        match found.record.asked.side {
            Side::Container => kill_process(found, signal),
            Side::Vm => Ok(vmm::signal(self.run.path(), &id(found)?, signal)?),
        }
    }

    /// Lets it go on if it stands still: what is stopped takes no signal.
    pub fn let_go_on(&self, found: &Found) -> Result<(), Failure> {
        if self.is_paused(found) {
            self.cgroup(found)?.thaw()?;
        }
        Ok(())
    }
}

/// Sends it to the process on the host: that of a container's command, or a monitor.
pub fn kill_process(found: &Found, signal: u8) -> Result<(), Failure> {
    let open = found.record.process.open();
    let Some(process) = open.map_err(Failure::io(found, "reached"))? else {
        return Ok(());
    };
    // SAFETY: numbers and a null pointer, which pidfd_send_signal(2) allows.
    let sent = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            process.as_raw_fd(),
            libc::c_int::from(signal),
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    match Errno::result(sent) {
        Ok(_) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => Err(Failure::io(found, "signalled")(errno.into())),
    }
}
