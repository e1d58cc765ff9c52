//! The guest's way to say that it is done: the reset line behind the keyboard controller, which
//! a kernel with `reboot=k` pulls, after a panic too.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use vm_device::MutDevicePio;
use vm_device::bus::{PioAddress, PioAddressOffset};
use vm_superio::{I8042Device, Trigger};

use crate::devices::SavedState;

/// The keyboard controller's first port.
pub const PORT: u16 = 0x60;
/// Offset of its command port.
pub const COMMAND: u16 = 4;
/// The command that pulls the line.
pub const RESET: u8 = 0xfe;
/// Number of its ports. 0x61 among them is the timer's, which KVM answers itself.
pub const PORT_COUNT: u16 = 5;

/// Whether the guest wants to be reset. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct ResetLine(Arc<AtomicBool>);

impl ResetLine {
    /// Whether it was pulled.
    pub fn is_pulled(&self) -> bool {
        // Pulled on the vCPU's own thread; nothing else is ordered by it.
        self.0.load(Ordering::Relaxed)
    }
}

impl Trigger for ResetLine {
    type E = Infallible;

    fn trigger(&self) -> Result<(), Infallible> {
        self.0.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// A keyboard controller without keyboard.
pub struct ResetPort(I8042Device<ResetLine>);

impl ResetPort {
    /// One that pulls `line`.
    pub fn new(line: ResetLine) -> Self {
        Self(I8042Device::new(line))
    }
}

impl MutDevicePio for ResetPort {
    fn pio_read(&mut self, _: PioAddress, offset: PioAddressOffset, data: &mut [u8]) {
        data.fill(self.0.read(offset as u8));
    }

    fn pio_write(&mut self, _: PioAddress, offset: PioAddressOffset, data: &[u8]) {
        for byte in data {
            let Ok(()) = self.0.write(offset as u8, *byte);
        }
    }
}

impl SavedState for ResetPort {
    /// Whether the line was pulled.
    type State = bool;
    type Error = Infallible;

    fn save(&mut self) -> bool {
        self.0.reset_evt().is_pulled()
    }

    fn restore(&mut self, pulled: bool) -> Result<(), Infallible> {
        if pulled {
            self.0.reset_evt().trigger()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMAND: PioAddressOffset = super::COMMAND;

    #[test]
    fn only_the_reset_command_pulls_the_line() {
        let line = ResetLine::default();
        let mut port = ResetPort::new(line.clone());
        port.pio_write(PioAddress(PORT), 0, &[RESET]);
        port.pio_write(PioAddress(PORT), COMMAND, &[0xaa]);
        assert!(!line.is_pulled());
        port.pio_write(PioAddress(PORT), COMMAND, &[RESET]);
        assert!(line.is_pulled());
    }

    #[test]
    fn a_driver_never_waits_for_the_controller() {
        let mut port = ResetPort::new(ResetLine::default());
        let mut status = [0xff];
        port.pio_read(PioAddress(PORT), COMMAND, &mut status);
        assert_eq!(status, [0]);
    }

    #[test]
    fn a_line_that_was_pulled_before_the_save_is_pulled_after_the_restore() {
        for pulled in [false, true] {
            let mut before = ResetPort::new(ResetLine::default());
            if pulled {
                before.pio_write(PioAddress(PORT), COMMAND, &[RESET]);
            }
            let line = ResetLine::default();
            let Ok(()) = ResetPort::new(line.clone()).restore(before.save());
            assert_eq!(line.is_pulled(), pulled);
        }
    }
}
