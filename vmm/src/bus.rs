//! Dispatch of the guest's accesses to device registers: one bus of memory addresses, one of
//! ports.
//!
//! A device implements [`MutDeviceMmio`] or [`MutDevicePio`], and [`SavedState`], and is attached
//! behind a mutex. The bus is complete before the vCPU runs and is never changed after, so that
//! dispatch takes no lock but the device's own.
//!
//! What does not say how it is saved is no device:
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! # use std::convert::Infallible;
//! # use vm_device::{MutDevicePio, bus::{PioAddress, PioAddressOffset}};
//! # use vmm::{bus::{AttachError, Bus}, devices::SavedState};
//! # struct Device;
//! # impl MutDevicePio for Device {
//! #     fn pio_read(&mut self, _: PioAddress, _: PioAddressOffset, _: &mut [u8]) {}
//! #     fn pio_write(&mut self, _: PioAddress, _: PioAddressOffset, _: &[u8]) {}
//! # }
//! impl SavedState for Device {
//!     // ...
//! #     type State = ();
//! #     type Error = Infallible;
//! #     fn save(&mut self) {}
//! #     fn restore(&mut self, (): ()) -> Result<(), Infallible> { Ok(()) }
//! }
//!
//! Bus::default().attach_pio(0x80, 1, Arc::new(Mutex::new(Device)))?;
//! # Ok::<_, AttachError>(())
//! ```
//!
//! ```compile_fail,E0277
//! use std::sync::{Arc, Mutex};
//! # use vm_device::{MutDevicePio, bus::{PioAddress, PioAddressOffset}};
//! # use vmm::bus::{AttachError, Bus};
//! # struct Device;
//! # impl MutDevicePio for Device {
//! #     fn pio_read(&mut self, _: PioAddress, _: PioAddressOffset, _: &mut [u8]) {}
//! #     fn pio_write(&mut self, _: PioAddress, _: PioAddressOffset, _: &[u8]) {}
//! # }
//!
//! Bus::default().attach_pio(0x80, 1, Arc::new(Mutex::new(Device)))?;
//! # Ok::<_, AttachError>(())
//! ```

mod saved_state;

use std::sync::{Arc, Mutex};

use vm_device::bus::{MmioAddress, MmioRange, PioAddress, PioRange};
use vm_device::device_manager::{IoManager, MmioManager, PioManager};
use vm_device::{MutDeviceMmio, MutDevicePio};

use crate::devices::SavedState;
use saved_state::Saved;
pub use saved_state::{DeviceStates, Location, RestoreError, SaveError};

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
    saved: Saved,
}

impl Bus {
    /// Lets `device` answer to `bytes` of memory addresses from `base` on.
    ///
    /// # Errors
    ///
    /// When the range is impossible or taken.
    pub fn attach_mmio<D: MutDeviceMmio + SavedState + Send + 'static>(
        &mut self,
        base: u64,
        bytes: u64,
        device: Arc<Mutex<D>>,
    ) -> Result<(), AttachError> {
        MmioRange::new(MmioAddress(base), bytes)
            .and_then(|range| self.devices.register_mmio(range, device.clone()))
            .map_err(|cause| AttachError { base, cause })?;
        self.saved.attach(Location::Mmio(base), device);
        Ok(())
    }

    /// Lets `device` answer to `ports` ports from `base` on.
    ///
    /// # Errors
    ///
    /// When the range is impossible or taken.
    pub fn attach_pio<D: MutDevicePio + SavedState + Send + 'static>(
        &mut self,
        base: u16,
        ports: u16,
        device: Arc<Mutex<D>>,
    ) -> Result<(), AttachError> {
        PioRange::new(PioAddress(base), ports)
            .and_then(|range| self.devices.register_pio(range, device.clone()))
            .map_err(|cause| AttachError {
                base: base.into(),
                cause,
            })?;
        self.saved.attach(Location::Port(base), device);
        Ok(())
    }

    /// The states of all devices, which keep them. No thread may serve a device from here until
    /// memory is saved too; then [`Bus::resume`] lets them go on.
    ///
    /// # Errors
    ///
    /// When a state can't be encoded.
    pub fn save(&self) -> Result<DeviceStates, SaveError> {
        self.saved.save()
    }

    /// Brings all devices, which were just made, to the states of such devices at the same
    /// places. Guest memory is restored already. Nothing reaches the guest before
    /// [`Bus::resume`].
    ///
    /// # Errors
    ///
    /// When there is not one state for each device, or a state makes no sense. Then the devices
    /// are of no use.
    pub fn restore(&self, states: &DeviceStates) -> Result<(), RestoreError> {
        self.saved.restore(states)
    }

    /// Lets all devices go on, after they were saved or restored: wakes them for what they may
    /// have missed, and repeats interrupts that the guest has not seen yet, or that a restore has
    /// brought about. Comes last before the vCPU runs, when every irqfd is registered and the
    /// interrupt controllers are restored: an interrupt that is raised before is lost.
    pub fn resume(&self) {
        self.saved.resume();
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
    use std::convert::Infallible;

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

    impl SavedState for Echo {
        type State = ();
        type Error = Infallible;

        fn save(&mut self) {}

        fn restore(&mut self, (): ()) -> Result<(), Infallible> {
            Ok(())
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
