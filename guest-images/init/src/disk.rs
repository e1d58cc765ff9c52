use std::fs;

use rustix::fs::{Dev, makedev};

use crate::fatal::Fatal;

/// The device number of the disk with the image. The kernel chooses the major number of virtio
/// disks when it boots.
pub(crate) fn number() -> Result<Dev, Fatal> {
    let partitions =
        fs::read_to_string("/proc/partitions").map_err(Fatal::when("reading /proc/partitions"))?;
    number_in(&partitions).ok_or(Fatal::NoDisk)
}

/// `/proc/partitions` has a line a disk: major, minor, size, name.
fn number_in(partitions: &str) -> Option<Dev> {
    partitions.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (major, minor, _size, name) = (
            fields.next()?,
            fields.next()?,
            fields.next()?,
            fields.next()?,
        );
        if name != "vda" {
            return None;
        }
        Some(makedev(major.parse().ok()?, minor.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_is_found_among_others() {
        let partitions = "major minor  #blocks  name\n\n   7        0       1024 loop0\n \
            253       16        880 vda1\n 254        0       1764 vda\n";
        assert_eq!(number_in(partitions), Some(makedev(254, 0)));
    }

    #[test]
    fn without_a_disk_there_is_none() {
        for partitions in [
            "",
            "major minor  #blocks  name\n\n",
            " 254 0 vda",
            " x 0 1 vda",
        ] {
            assert_eq!(number_in(partitions), None, "{partitions:?}");
        }
    }
}
