//! Disks that the command has as devices.

use std::fs;
use std::io;
use std::path::Path;

use entry::DeviceNode;
use guest_protocol::{Disk, FIRST_DISK_PLACE};
use rustix::fs::makedev;

use crate::fatal::Fatal;
use crate::vacancies;

/// Their nodes, for the command's root.
pub(crate) fn find(disks: &[Disk]) -> Result<Vec<DeviceNode>, Fatal> {
    if disks.is_empty() {
        return Ok(Vec::new());
    }
    vacancies::mount_sysfs().map_err(Fatal::when("mounting sysfs"))?;
    let nodes = (FIRST_DISK_PLACE..).zip(disks).map(|(place, disk)| {
        let number = number(place).map_err(Fatal::when("looking for a disk"))?;
        let Disk {
            target,
            permissions,
        } = disk.clone();
        Ok(DeviceNode::of_block(target, permissions, number))
    });
    nodes.collect()
}

/// The device number of the disk in a place.
fn number(place: u8) -> io::Result<u64> {
    vacancies::probe(place)?;
    let virtio = only_entry(Path::new(&vacancies::directory(place)), "virtio")?;
    let block = only_entry(&virtio.join("block"), "vd")?;
    parse(&fs::read_to_string(block.join("dev"))?).ok_or(io::ErrorKind::InvalidData.into())
}

/// What there is in a directory whose name begins so.
fn only_entry(directory: &Path, start: &str) -> io::Result<std::path::PathBuf> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(start.as_bytes())
        {
            return Ok(entry.path());
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

/// `MAJOR:MINOR` and a line feed.
fn parse(number: &str) -> Option<u64> {
    let (major, minor) = number.trim_end().split_once(':')?;
    Some(makedev(major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_number_is_read_as_sysfs_writes_it() {
        for (text, number) in [
            ("254:16\n", Some(makedev(254, 16))),
            ("254:16", Some(makedev(254, 16))),
            ("254", None),
            ("254:", None),
            ("a:b", None),
        ] {
            assert_eq!(parse(text), number, "{text:?}");
        }
    }
}
