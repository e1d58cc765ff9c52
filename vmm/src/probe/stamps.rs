use std::convert::Infallible;

use launch::MonotonicNs;
use vm_device::bus::{MmioAddress, MmioAddressOffset, PioAddress, PioAddressOffset};
use vm_device::{MutDeviceMmio, MutDevicePio};

use crate::devices::SavedState;

/// When a port, or a place in memory, was written to.
#[derive(Default)]
pub struct Stamps(pub Vec<MonotonicNs>);

impl MutDevicePio for Stamps {
    fn pio_read(&mut self, _: PioAddress, _: PioAddressOffset, data: &mut [u8]) {
        data.fill(0xff);
    }

    fn pio_write(&mut self, _: PioAddress, _: PioAddressOffset, _: &[u8]) {
        self.0.push(MonotonicNs::now());
    }
}

impl MutDeviceMmio for Stamps {
    fn mmio_read(&mut self, _: MmioAddress, _: MmioAddressOffset, data: &mut [u8]) {
        data.fill(0xff);
    }

    fn mmio_write(&mut self, _: MmioAddress, _: MmioAddressOffset, _: &[u8]) {
        self.0.push(MonotonicNs::now());
    }
}

/// A probe is over before anything could be saved.
impl SavedState for Stamps {
    type State = ();
    type Error = Infallible;

    fn save(&mut self) {}

    fn restore(&mut self, (): ()) -> Result<(), Infallible> {
        Ok(())
    }
}
