use std::convert::Infallible;

use serde::{Deserialize, Serialize};
use vm_superio::SerialState;
use vm_superio::serial::{Error, NoEvents};

use super::lines::LineTooLong;
use super::{NoInterrupt, Serial};
use crate::devices::SavedState;

/// What a serial port keeps.
#[derive(Debug, Serialize, Deserialize)]
pub struct State {
    #[serde(with = "Registers")]
    registers: SerialState,
    /// What was printed of the line that has not ended.
    line: Vec<u8>,
}

/// The fields of [`SerialState`].
#[derive(Serialize, Deserialize)]
#[serde(remote = "SerialState")]
struct Registers {
    baud_divisor_low: u8,
    baud_divisor_high: u8,
    interrupt_enable: u8,
    interrupt_identification: u8,
    line_control: u8,
    line_status: u8,
    modem_control: u8,
    modem_status: u8,
    scratch: u8,
    in_buffer: Vec<u8>,
}

/// A serial port can't be in such a state.
#[derive(Debug, thiserror::Error)]
pub enum InvalidState {
    /// Its registers.
    #[error("registers of a serial port")]
    Registers(#[source] Error<Infallible>),
    /// The line.
    #[error(transparent)]
    Line(#[from] LineTooLong),
}

impl<F: FnMut(&str) + Send> SavedState for Serial<F> {
    type State = State;
    type Error = InvalidState;

    fn save(&mut self) -> State {
        State {
            registers: self.registers.state(),
            line: self.lines.line().to_vec(),
        }
    }

    fn restore(&mut self, state: State) -> Result<(), InvalidState> {
        self.lines.set_line(state.line)?;
        self.registers =
            vm_superio::Serial::from_state(&state.registers, NoInterrupt, NoEvents, Vec::new())
                .map_err(InvalidState::Registers)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use vm_device::MutDevicePio;
    use vm_device::bus::PioAddress;

    use super::*;
    use crate::devices::serial::MAX_LINE_BYTES;

    /// The register that keeps a byte.
    const SCRATCH: u16 = 7;

    #[test]
    fn a_line_goes_on_where_it_was_and_registers_keep_what_they_held() {
        let mut before = Serial::new(|_: &str| (), None);
        before.pio_write(PioAddress(0), 0, b"half ");
        before.pio_write(PioAddress(0), SCRATCH, &[0x5a]);
        let mut lines = Vec::new();
        let mut after = Serial::new(|line: &str| lines.push(line.to_owned()), None);
        after.restore(before.save()).unwrap();
        after.pio_write(PioAddress(0), 0, b"a line\n");
        let mut scratch = [0];
        after.pio_read(PioAddress(0), SCRATCH, &mut scratch);
        drop(after);
        assert_eq!(lines, ["half a line"]);
        assert_eq!(scratch, [0x5a]);
    }

    #[test]
    fn what_is_longer_than_a_line_or_the_fifo_is_refused() {
        let mut serial = Serial::new(|_: &str| (), None);
        let mut state = serial.save();
        state.line = vec![0; MAX_LINE_BYTES + 1];
        assert!(matches!(serial.restore(state), Err(InvalidState::Line(_))));
        let mut state = serial.save();
        state.registers.in_buffer = vec![0; 1000];
        assert!(matches!(
            serial.restore(state),
            Err(InvalidState::Registers(_))
        ));
    }
}
