//! The guest's way to say that it is done: the reset line behind the keyboard controller, which
//! a kernel with `reboot=k` pulls, after a panic too.

use std::convert::Infallible;

use vm_device::MutDevicePio;
use vm_device::bus::{PioAddress, PioAddressOffset};
use vm_superio::{I8042Device, Trigger};

use crate::devices::SavedState;
use crate::ending::{EndLine, Ending};

/// The keyboard controller's first port.
pub const PORT: u16 = 0x60;
/// Offset of its command port.
pub const COMMAND: u16 = 4;
/// The command that pulls the line.
pub const RESET: u8 = 0xfe;
/// Number of its ports. 0x61 among them is the timer's, which KVM answers itself.
pub const PORT_COUNT: u16 = 5;

/// What the controller's reset command does.
struct ResetLine(EndLine);

impl Trigger for ResetLine {
    type E = Infallible;

    fn trigger(&self) -> Result<(), Infallible> {
        self.0.pull(Ending::Reset);
        Ok(())
    }
}

/// A keyboard controller without keyboard.
pub struct ResetPort(I8042Device<ResetLine>);

impl ResetPort {
    /// One that pulls `line`.
    pub fn new(line: EndLine) -> Self {
        Self(I8042Device::new(ResetLine(line)))
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
        self.0.reset_evt().0.pulled() == Some(Ending::Reset)
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
        let line = EndLine::default();
        let mut port = ResetPort::new(line.clone());
        port.pio_write(PioAddress(PORT), 0, &[RESET]);
        port.pio_write(PioAddress(PORT), COMMAND, &[0xaa]);
        assert_eq!(line.pulled(), None);
        port.pio_write(PioAddress(PORT), COMMAND, &[RESET]);
        assert_eq!(line.pulled(), Some(Ending::Reset));
    }

    #[test]
    fn a_driver_never_waits_for_the_controller() {
        let mut port = ResetPort::new(EndLine::default());
        let mut status = [0xff];
        port.pio_read(PioAddress(PORT), COMMAND, &mut status);
        assert_eq!(status, [0]);
    }

    #[test]
    fn a_line_that_was_pulled_before_the_save_is_pulled_after_the_restore() {
        for pulled in [false, true] {
            let mut before = ResetPort::new(EndLine::default());
            if pulled {
                before.pio_write(PioAddress(PORT), COMMAND, &[RESET]);
            }
            let line = EndLine::default();
            let Ok(()) = ResetPort::new(line.clone()).restore(before.save());
            assert_eq!(line.pulled().is_some(), pulled);
        }
    }
}
