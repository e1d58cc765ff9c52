//! The power button, and the registers by which a guest switches its machine off: what ACPI has
//! where there is no fixed hardware (ACPI specification 6.5, section 4.8.3.7, "Sleep Control and
//! Status Registers"). Our own kernel, which has no ACPI, uses neither.

use std::convert::Infallible;
use std::io;

use vm_device::MutDevicePio;
use vm_device::bus::{PioAddress, PioAddressOffset};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use crate::devices::SavedState;
use crate::ending::{EndLine, Ending};

/// The sleep control register, where no PC has a device.
pub const PORT: u16 = 0x600;
/// Behind it is the sleep status register.
pub const STATUS: u16 = 1;
/// Number of its ports.
pub const PORT_COUNT: u16 = 2;

/// `SLP_TYPx`, what a guest writes to be switched off: as it is told in `\\_S5`.
pub const SOFT_OFF: u8 = 5;
const SLEEP_TYPE_SHIFT: u8 = 2;
const SLEEP_TYPE_MASK: u8 = 0b111;
const SLEEP_ENABLE: u8 = 1 << 5;

/// The interrupt of the button: the first that is not the ISA bus's.
pub const BUTTON_GSI: u32 = crate::boot::ISA_INTERRUPTS as u32;

/// Both registers. They keep nothing: a machine that is switched off is gone.
pub struct PowerPort(EndLine);

impl PowerPort {
    /// One that pulls `line`.
    pub fn new(line: EndLine) -> Self {
        Self(line)
    }
}

impl MutDevicePio for PowerPort {
    fn pio_read(&mut self, _: PioAddress, _: PioAddressOffset, data: &mut [u8]) {
        // Never woken up.
        data.fill(0);
    }

    fn pio_write(&mut self, _: PioAddress, offset: PioAddressOffset, data: &[u8]) {
        let Some(last) = data.last().filter(|_| offset == 0) else {
            return;
        };
        let kind = last >> SLEEP_TYPE_SHIFT & SLEEP_TYPE_MASK;
        if last & SLEEP_ENABLE != 0 && kind == SOFT_OFF {
            self.0.pull(Ending::PowerOff);
        }
    }
}

impl SavedState for PowerPort {
    /// Whether the machine was switched off.
    type State = bool;
    type Error = Infallible;

    fn save(&mut self) -> bool {
        self.0.pulled() == Some(Ending::PowerOff)
    }

    fn restore(&mut self, off: bool) -> Result<(), Infallible> {
        if off {
            self.0.pull(Ending::PowerOff);
        }
        Ok(())
    }
}

/// The button. Clones are of one button.
#[derive(Debug)]
pub struct PowerButton(EventFd);

impl PowerButton {
    /// One that was not pressed.
    ///
    /// # Errors
    ///
    /// When there is no descriptor for it.
    pub fn new() -> io::Result<Self> {
        EventFd::new(EFD_NONBLOCK).map(Self)
    }

    /// Another hand on it.
    ///
    /// # Errors
    ///
    /// When there is no descriptor for it.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Asks the guest to end. It is free not to listen.
    ///
    /// # Errors
    ///
    /// Never, unless the guest has not heard of 2^64 presses.
    pub fn press(&self) -> io::Result<()> {
        self.0.write(1)
    }

    /// What raises its interrupt.
    pub(crate) fn line(&self) -> &EventFd {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::bus::Bus;

    /// A bus with the registers, and the line that they pull.
    fn machine() -> (Bus, EndLine) {
        let line = EndLine::default();
        let mut bus = Bus::default();
        let port = PowerPort::new(line.clone());
        bus.attach_pio(PORT, PORT_COUNT, Arc::new(Mutex::new(port)))
            .unwrap();
        (bus, line)
    }

    #[test]
    fn only_to_enable_soft_off_switches_the_machine_off() {
        const OFF: u8 = SLEEP_ENABLE | SOFT_OFF << SLEEP_TYPE_SHIFT;
        for (port, written, ending) in [
            (PORT, &[SOFT_OFF << SLEEP_TYPE_SHIFT][..], None),
            (PORT, &[SLEEP_ENABLE], None),
            (PORT, &[SLEEP_ENABLE | 3 << SLEEP_TYPE_SHIFT], None),
            (PORT + STATUS, &[OFF], None),
            (PORT, &[0, OFF], Some(Ending::PowerOff)),
            (PORT, &[OFF], Some(Ending::PowerOff)),
        ] {
            let (bus, line) = machine();
            bus.pio_write(port, written);
            assert_eq!(line.pulled(), ending, "{port:#x} {written:x?}");
        }
    }

    #[test]
    fn nothing_ever_woke_it_up() {
        let (bus, _) = machine();
        let mut registers = [0xff; 2];
        bus.pio_read(PORT, &mut registers);
        assert_eq!(registers, [0, 0]);
    }

    #[test]
    fn a_machine_that_was_off_before_the_save_is_off_after_the_restore() {
        for off in [false, true] {
            let (bus, line) = machine();
            if off {
                line.pull(Ending::PowerOff);
            }
            let saved = bus.save().unwrap();
            let (bus, line) = machine();
            bus.restore(&saved).unwrap();
            assert_eq!(line.pulled(), off.then_some(Ending::PowerOff));
        }
    }

    #[test]
    fn a_press_is_seen_once() {
        let button = PowerButton::new().unwrap();
        button.try_clone().unwrap().press().unwrap();
        assert_eq!(button.line().read().unwrap(), 1);
        assert!(button.line().read().is_err());
    }
}
