//! The disk with the image, which is put in when it is known what to run.

use std::fs;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, Dev, FileType, Mode, OFlags, makedev, mknodat, open};
use rustix::io::Errno;
use rustix::ioctl::{Getter, ioctl, opcode};

use crate::fatal::Fatal;

/// Its device node.
pub(crate) const PATH: &str = "/disk";

/// `BLKGETSIZE64` of `include/uapi/linux/fs.h`: the size in bytes, a `u64`, whatever the `size_t`
/// in its number.
const SIZE_BYTES: u32 = opcode::read::<usize>(0x12, 114);

/// Unit of a virtio disk's size, whatever its block size.
const SECTOR_BYTES: u64 = 512;

/// How long the driver may take to notice: a few milliseconds, unless it never does.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long to wait until the size is looked at again.
const PAUSE: Duration = Duration::from_millis(1);

/// The disk, whether anything is in it or not.
pub(crate) struct Disk(OwnedFd);

impl Disk {
    /// Opens the first disk.
    pub(crate) fn open() -> Result<Self, Fatal> {
        let failed = Fatal::when::<Errno>;
        let devices =
            fs::read_to_string("/proc/devices").map_err(Fatal::when("reading /proc/devices"))?;
        let number = first_disk(&devices).ok_or(Fatal::NoDiskDriver)?;
        mknodat(CWD, PATH, FileType::BlockDevice, Mode::RUSR, number)
            .map_err(failed("making /disk"))?;
        open(PATH, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map(Self)
            .map_err(failed("opening /disk"))
    }

    /// Waits until the driver has seen that the disk has this size, as the host's interrupt tells
    /// it.
    pub(crate) fn wait_for(&self, sectors: u64) -> Result<(), Fatal> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self
                .sectors()
                .map_err(Fatal::when("reading the disk's size"))?;
            if found == sectors {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Fatal::WrongDisk {
                    expected: sectors,
                    found,
                });
            }
            thread::sleep(PAUSE);
        }
    }

    fn sectors(&self) -> Result<u64, Errno> {
        // SAFETY: BLKGETSIZE64 writes a u64.
        let bytes = unsafe { ioctl(&self.0, Getter::<SIZE_BYTES, u64>::new())? };
        Ok(bytes / SECTOR_BYTES)
    }
}

/// The device number of the first virtio disk. The kernel chooses the major number when it boots,
/// and lists it in `/proc/devices`, which has a line for each: number, name.
fn first_disk(devices: &str) -> Option<Dev> {
    let (_, block_devices) = devices.split_once("Block devices:")?;
    let major = block_devices.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (major, name) = (fields.next()?, fields.next()?);
        (name == "virtblk").then_some(major)
    })?;
    Some(makedev(major.parse().ok()?, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_is_found_among_other_devices() {
        let devices = "Character devices:\n  1 mem\n136 pts\n 99 virtblk\n\n\
            Block devices:\n259 blkext\n254 virtblk\n";
        assert_eq!(first_disk(devices), Some(makedev(254, 0)));
    }

    #[test]
    fn without_its_driver_there_is_none() {
        for devices in [
            "",
            "Character devices:\n254 virtblk\n",
            "Block devices:\n259 blkext\n",
            "Block devices:\nx virtblk\n",
        ] {
            assert_eq!(first_disk(devices), None, "{devices:?}");
        }
    }

    #[test]
    fn the_request_has_the_number_of_the_kernels_header() {
        assert_eq!(SIZE_BYTES, 0x8008_1272);
    }
}
