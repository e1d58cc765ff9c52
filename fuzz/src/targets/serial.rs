//! The serial port.

use arbitrary::{Result, Unstructured};
use vm_device::MutDevicePio;
use vm_device::bus::PioAddress;
use vmm::devices::StateBytes;
use vmm::devices::serial::{MAX_LINE_BYTES, Serial};

use crate::allocation;
use crate::fields::{bytes, number, seldom};

/// A line twice over, and what an access and a state take.
const MAX_ALLOCATED_BYTES: usize = 64 << 10;

/// Feeds it one input.
pub fn run(input: &[u8]) {
    // An input ends somewhere.
    let _ = allocation::limited(MAX_ALLOCATED_BYTES, || {
        access(&mut Unstructured::new(input))
    });
}

fn print(line: &str) {
    // What is no UTF-8 is shown by a sign of three bytes.
    assert!(line.len() <= 3 * MAX_LINE_BYTES, "a line of {}", line.len());
    assert!(!line.contains(char::is_control), "{line:?} moves a cursor");
}

fn access(u: &mut Unstructured<'_>) -> Result<()> {
    let mut serial = Serial::new(print, None);
    while !u.is_empty() {
        let register = number(u, 8)? as u16;
        let mut data = bytes(u, 64)?.to_vec();
        match u.int_in_range(0..=7u8)? {
            0..=4 => serial.pio_write(PioAddress(0), register, &data),
            5 | 6 => serial.pio_read(PioAddress(0), register, &mut data),
            _ => {
                let mut state = serial.save_bytes().expect("a state can be encoded");
                let is_forged = seldom(u, 2)?;
                if is_forged {
                    let at = u.int_in_range(0..=state.len() - 1)?;
                    state[at] = u.arbitrary()?;
                }
                let mut other = Serial::new(print, None);
                match other.restore_bytes(&state) {
                    Ok(()) => serial = other,
                    Err(error) => assert!(is_forged, "what was saved is refused: {error}"),
                }
            }
        }
    }
    Ok(())
}
