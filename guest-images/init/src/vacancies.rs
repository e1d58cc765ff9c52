//! Places for devices that may have been empty when the kernel booted, and that the host has put
//! something into when it was known what to run.

use std::fs;
use std::io;

use rustix::fs::{Mode, mkdir};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};

const SYSFS: &str = "/sys";

/// Makes sysfs what it is for everybody, which costs time and is needed by few.
pub(crate) fn mount_sysfs() -> io::Result<()> {
    match mkdir(SYSFS, Mode::RWXU) {
        Ok(()) => Ok(mount("sysfs", SYSFS, "sysfs", MountFlags::empty(), None)?),
        Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Has the kernel look again at a place, unless it has found something there already. Returns when
/// the driver is done with it. Takes sysfs.
pub(crate) fn probe(place: u8) -> io::Result<()> {
    fs::write("/sys/bus/platform/drivers_probe", name(place))
}

/// The directory of a place in sysfs.
pub(crate) fn directory(place: u8) -> String {
    format!("/sys/bus/platform/devices/{}", name(place))
}

fn name(place: u8) -> String {
    format!("virtio-mmio.{place}")
}
