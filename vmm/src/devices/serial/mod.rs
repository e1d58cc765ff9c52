//! A 16550 for debugging: what a guest kernel prints before it has drivers, and when it panics.

mod lines;
mod state;

use std::convert::Infallible;

use vm_device::MutDevicePio;
use vm_device::bus::{PioAddress, PioAddressOffset};
use vm_superio::Trigger;
use vm_superio::serial::NoEvents;

use lines::Lines;
pub use lines::{LineTooLong, MAX_LINE_BYTES};
pub use state::{InvalidState, State};

/// Hears what a guest sends, as it is.
pub type OnBytes = Box<dyn FnMut(&[u8]) + Send>;

/// The port has no interrupt line: who prints to it polls.
struct NoInterrupt;

impl Trigger for NoInterrupt {
    type E = Infallible;

    fn trigger(&self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// A serial port that is always ready to take a byte, and hands on whole lines.
pub struct Serial<F> {
    /// What the guest sends is in the vector until the access is over.
    registers: vm_superio::Serial<NoInterrupt, NoEvents, Vec<u8>>,
    lines: Lines<F>,
    on_bytes: Option<OnBytes>,
}

impl<F: FnMut(&str) + Send> Serial<F> {
    /// A port that nothing was written to. `on_line` gets each line without its end, at most
    /// [`MAX_LINE_BYTES`] of it, with control characters replaced by spaces. It is called on the
    /// vCPU's thread and must not block. `on_bytes` gets all of it there as it is; as long as it
    /// blocks, the guest stands still.
    pub fn new(on_line: F, on_bytes: Option<OnBytes>) -> Self {
        Self {
            registers: vm_superio::Serial::new(NoInterrupt, Vec::new()),
            lines: Lines::new(on_line),
            on_bytes,
        }
    }
}

impl<F: FnMut(&str) + Send> MutDevicePio for Serial<F> {
    fn pio_read(&mut self, _base: PioAddress, offset: PioAddressOffset, data: &mut [u8]) {
        match (u8::try_from(offset), data) {
            (Ok(register), [byte]) => *byte = self.registers.read(register),
            // Registers are a byte wide; a wider read finds no device.
            (_, data) => data.fill(0xff),
        }
    }

    fn pio_write(&mut self, _base: PioAddress, offset: PioAddressOffset, data: &[u8]) {
        let Ok(register) = u8::try_from(offset) else {
            return;
        };
        // More than one byte is what `rep outsb` gives: all of them go to the one register.
        for byte in data {
            if let Err(error) = self.registers.write(register, *byte) {
                tracing::debug!("serial port: {error}");
            }
        }
        let sent = self.registers.writer_mut();
        self.lines.print(sent);
        if let Some(on_bytes) = &mut self.on_bytes
            && !sent.is_empty()
        {
            on_bytes(sent);
        }
        sent.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Line control and its bit that shows the baud rate in place of the data.
    const LCR: u16 = 3;
    const DLAB: u8 = 0x80;
    /// Line status.
    const LSR: u16 = 5;

    fn printed(writes: &[(u16, Vec<u8>)]) -> Vec<String> {
        let mut lines = Vec::new();
        let mut serial = Serial::new(|line: &str| lines.push(line.to_owned()), None);
        for (register, data) in writes {
            serial.pio_write(PioAddress(0), *register, data);
        }
        drop(serial);
        lines
    }

    #[test]
    fn a_line_comes_through_byte_for_byte() {
        let writes: Vec<_> = b"Kernel panic - not syncing: x\r\n"
            .iter()
            .map(|byte| (0, vec![*byte]))
            .collect();
        assert_eq!(printed(&writes), ["Kernel panic - not syncing: x"]);
    }

    #[test]
    fn the_baud_rate_is_not_printed() {
        let writes = [
            (LCR, vec![DLAB]),
            (0, b"\n".to_vec()),
            (LCR, vec![0]),
            (0, b"a\n".to_vec()),
        ];
        assert_eq!(printed(&writes), ["a"]);
    }

    #[test]
    fn the_transmitter_is_always_ready() {
        let mut serial = Serial::new(|_: &str| (), None);
        for _ in 0..3 {
            let mut status = [0];
            serial.pio_read(PioAddress(0), LSR, &mut status);
            // Transmitter holding register empty, transmitter empty.
            assert_eq!(status[0] & 0x60, 0x60);
            serial.pio_write(PioAddress(0), 0, b"x");
        }
    }

    #[test]
    fn a_console_gets_every_byte_as_it_is() {
        let (sender, console) = std::sync::mpsc::channel();
        let on_bytes = Box::new(move |bytes: &[u8]| sender.send(bytes.to_owned()).unwrap());
        let mut serial = Serial::new(|_: &str| (), Some(on_bytes));
        serial.pio_write(PioAddress(0), 0, b"\x1b[1mlo");
        serial.pio_write(PioAddress(0), LCR, &[DLAB]);
        serial.pio_write(PioAddress(0), 0, b"x");
        serial.pio_write(PioAddress(0), LCR, &[0]);
        serial.pio_write(PioAddress(0), 0, b"gin: ");
        drop(serial);
        let said: Vec<u8> = console.into_iter().flatten().collect();
        assert_eq!(said, b"\x1b[1mlogin: ");
    }

    proptest! {
        #[test]
        fn no_access_makes_it_panic(
            accesses in prop::collection::vec(
                (any::<u16>(), prop::collection::vec(any::<u8>(), 0..16), any::<bool>()),
                0..64,
            ),
        ) {
            let mut serial = Serial::new(|_: &str| (), None);
            for (register, mut data, write) in accesses {
                let register = register % 512;
                match write {
                    true => serial.pio_write(PioAddress(0), register, &data),
                    false => serial.pio_read(PioAddress(0), register, &mut data),
                }
            }
        }
    }
}
