//! Sends signals to what another process has launched.

use std::os::fd::AsFd;

use host::instances::Found;
use host::pidfd::send_signal;
use launch::Side;
use nix::libc;

use super::{Failure, World};

/// SIGKILL, which nothing withstands.
pub const KILL: u8 = libc::SIGKILL as u8;

impl World {
    /// Sends it to the command; to one that ends at this moment, nothing.
    pub fn signal(&self, found: &Found, signal: u8) -> Result<(), Failure> {
        match found.record.asked.side {
            Side::Container => kill_process(found, signal),
            Side::Vm => Ok(vmm::signal(self.run.path(), found.directory(), signal)?),
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
    send_signal(process.as_fd(), signal.into())
        .map_err(|errno| Failure::io(found, "signalled")(errno.into()))
}
