//! Dispatch of the guest's accesses to device registers: one bus of memory addresses, one of
//! ports.
//!
//! A device implements [`vm_device::MutDeviceMmio`] or [`vm_device::MutDevicePio`] and is
//! attached behind a mutex. The bus is complete before the vCPU runs and is never changed after,
//! so that dispatch takes no lock but the device's own.

use std::sync::Arc;

use vm_device::bus::{MmioAddress, MmioRange, PioAddress, PioRange};
use vm_device::device_manager::{IoManager, MmioManager, PioManager};
use vm_device::{DeviceMmio, DevicePio};

/// A device's range is empty, wraps around, or overlaps another's.
#[derive(Debug, thiserror::Error)]
#[error("no device can be attached at {base:#x}")]
pub struct AttachError {
    base: u64,
    #[source]
    cause: vm_device::bus::Error,
}

/// Both buses of a machine.
#[derive(Default)]
pub struct Bus {
    devices: IoManager,
}

impl Bus {
    /// Lets `device` answer to `bytes` of memory addresses from `base` on.
    ///
    /// # Errors
    ///
    /// When the range is impossible or taken.
    pub fn attach_mmio(
        &mut self,
        base: u64,
        bytes: u64,
        device: Arc<dyn DeviceMmio + Send + Sync>,
    ) -> Result<(), AttachError> {
        MmioRange::new(MmioAddress(base), bytes)
            .and_then(|range| self.devices.register_mmio(range, device))
            .map_err(|cause| AttachError { base, cause })
    }

    /// Lets `device` answer to `ports` ports from `base` on.
    ///
    /// # Errors
    ///
    /// When the range is impossible or taken.
    pub fn attach_pio(
        &mut self,
        base: u16,
        ports: u16,
        device: Arc<dyn DevicePio + Send + Sync>,
    ) -> Result<(), AttachError> {
        PioRange::new(PioAddress(base), ports)
            .and_then(|range| self.devices.register_pio(range, device))
            .map_err(|cause| AttachError {
                base: base.into(),
                cause,
            })
    }

    /// Reads device registers; all ones where nobody answers, as on a PC's bus.
    pub fn mmio_read(&self, address: u64, data: &mut [u8]) {
        if self.devices.mmio_read(MmioAddress(address), data).is_err() {
            tracing::debug!("read of {} bytes at {address:#x}: no device", data.len());
            data.fill(0xff);
        }
    }

    /// Writes device registers; nothing happens where nobody answers.
    pub fn mmio_write(&self, address: u64, data: &[u8]) {
        if self.devices.mmio_write(MmioAddress(address), data).is_err() {
            tracing::debug!("write of {data:02x?} at {address:#x}: no device");
        }
    }

    /// Reads a port; all ones where nobody answers.
    pub fn pio_read(&self, port: u16, data: &mut [u8]) {
        if self.devices.pio_read(PioAddress(port), data).is_err() {
            tracing::trace!("read of port {port:#x}: no device");
            data.fill(0xff);
        }
    }

    /// Writes a port; nothing happens where nobody answers.
    pub fn pio_write(&self, port: u16, data: &[u8]) {
        if self.devices.pio_write(PioAddress(port), data).is_err() {
            tracing::trace!("write of {data:02x?} to port {port:#x}: no device");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use vm_device::MutDeviceMmio;
    use vm_device::bus::MmioAddressOffset;

    use super::*;

    struct Echo(u8);

    impl MutDeviceMmio for Echo {
        fn mmio_read(&mut self, _: MmioAddress, _: MmioAddressOffset, data: &mut [u8]) {
            data.fill(self.0);
        }

        fn mmio_write(&mut self, _: MmioAddress, _: MmioAddressOffset, data: &[u8]) {
            self.0 = data[0];
        }
    }

    #[test]
    fn an_access_reaches_the_device_whose_range_holds_it() {
        let mut bus = Bus::default();
        for base in [0x1000, 0x2000] {
            bus.attach_mmio(base, 0x1000, Arc::new(Mutex::new(Echo(0))))
                .unwrap();
        }
        bus.mmio_write(0x1ffc, &[7; 4]);
        let mut data = [1; 4];
        bus.mmio_read(0x1000, &mut data);
        assert_eq!(data, [7; 4]);
        bus.mmio_read(0x2000, &mut data);
        assert_eq!(data, [0; 4]);
    }

    #[test]
    fn where_no_device_is_all_bits_are_set() {
        let bus = Bus::default();
        let mut data = [0; 8];
        bus.mmio_read(u64::MAX, &mut data);
        assert_eq!(data, [0xff; 8]);
        bus.mmio_write(u64::MAX, &data);
        let mut port = [0];
        bus.pio_read(u16::MAX, &mut port);
        assert_eq!(port, [0xff]);
        bus.pio_write(u16::MAX, &port);
    }

    #[test]
    fn an_access_that_leaves_a_device_reaches_none() {
        let mut bus = Bus::default();
        bus.attach_mmio(0x1000, 0x1000, Arc::new(Mutex::new(Echo(0))))
            .unwrap();
        let mut data = [0; 4];
        bus.mmio_read(0x1ffe, &mut data);
        assert_eq!(data, [0xff; 4]);
    }

    #[test]
    fn two_devices_never_share_an_address() {
        let mut bus = Bus::default();
        bus.attach_mmio(0x1000, 0x1000, Arc::new(Mutex::new(Echo(0))))
            .unwrap();
        assert!(
            bus.attach_mmio(0x1fff, 1, Arc::new(Mutex::new(Echo(0))))
                .is_err()
        );
    }
}
