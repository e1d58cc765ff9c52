//! The host's block devices among the devices that the workload was given: a machine has them as
//! disks.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;

use entry::DeviceNode;
use guest_protocol::Disk;
use launch::{Device, Side, Unsupported};

use super::error::Error;
use crate::builder::MAX_DISKS;
use crate::devices::virtio::block::Access;
use crate::monitor::DiskFile;

/// A block device of the host's.
#[derive(Clone, Debug)]
pub(super) struct HostDisk(DeviceNode);

impl HostDisk {
    /// Opened, for the monitor.
    pub(super) fn open(&self) -> Result<DiskFile<OwnedFd>, Error> {
        let device = self.0.device();
        let opened = match device.access.write {
            true => open(device, Access::ReadWrite).or_else(|error| match error.raw_os_error() {
                // As in a container, where the command may still read what it may not write.
                Some(libc::EACCES | libc::EROFS) => open(device, Access::ReadOnly),
                _ => Err(error),
            }),
            false => open(device, Access::ReadOnly),
        };
        opened.map_err(|source| Error::Device {
            path: device.source.clone(),
            source,
        })
    }

    /// As PID 1 is told of it.
    pub(super) fn told(&self) -> Disk {
        Disk {
            target: self.0.device().target.clone(),
            permissions: self.0.permissions(),
        }
    }
}

fn open(device: &Device, access: Access) -> io::Result<DiskFile<OwnedFd>> {
    let opened = OpenOptions::new()
        .read(true)
        .write(access == Access::ReadWrite)
        .open(&device.source)?;
    Ok(DiskFile {
        device: opened.into(),
        access,
    })
}

/// All devices as disks.
pub(super) fn of(devices: &[Device]) -> Result<Vec<HostDisk>, launch::Error> {
    if devices.len() > MAX_DISKS {
        return Err(Error::TooManyDevices {
            count: devices.len(),
            most: MAX_DISKS,
        }
        .into());
    }
    devices.iter().map(find).collect()
}

fn find(device: &Device) -> Result<HostDisk, launch::Error> {
    let refused = |flag| {
        let side = Side::Vm;
        Err(Unsupported { flag, side }.into())
    };
    let node = DeviceNode::find(device).map_err(|source| Error::Device {
        path: device.source.clone(),
        source,
    })?;
    if !node.is_block() {
        return refused("--device with what is no block device");
    }
    if !device.access.read {
        return refused("--device without the access r");
    }
    Ok(HostDisk(node))
}

#[cfg(test)]
mod tests {
    use launch::{DeviceAccess, MountPoint};

    use super::*;

    fn device(source: &str) -> Device {
        Device {
            source: source.into(),
            target: MountPoint::new(b"/dev/xvda").unwrap(),
            access: DeviceAccess::ALL,
        }
    }

    #[test]
    fn what_is_no_block_device_is_refused() {
        for (source, said) in [
            ("/dev/null", "--device with what is no block device"),
            ("/nonexistent", "/nonexistent can't be used as a device"),
            ("/", "/ can't be used as a device"),
        ] {
            let error = of(&[device(source)]).unwrap_err();
            assert!(error.to_string().starts_with(said), "{error}");
        }
    }

    #[test]
    fn more_devices_than_there_are_places_for_are_refused() {
        let error = of(&vec![device("/dev/null"); MAX_DISKS + 1]).unwrap_err();
        assert!(error.to_string().contains("5 devices"), "{error}");
        assert!(error.remedy().is_some());
    }
}
