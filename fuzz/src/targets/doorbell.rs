//! The doorbell.

use arbitrary::{Result, Unstructured};
use guest_protocol::Mark;
use vm_device::MutDeviceMmio;
use vm_device::bus::MmioAddress;
use vmm::devices::StateBytes;
use vmm::devices::doorbell::Doorbell;

use crate::allocation;
use crate::fields::{bytes, number, number32};

const MAX_ALLOCATED_BYTES: usize = 16 << 10;

/// Feeds it one input.
pub fn run(input: &[u8]) {
    // An input ends somewhere.
    let _ = allocation::limited(MAX_ALLOCATED_BYTES, || {
        access(&mut Unstructured::new(input))
    });
}

fn access(u: &mut Unstructured<'_>) -> Result<()> {
    let mut marks: Vec<Mark> = Vec::new();
    let mut doorbell = Doorbell::new(|mark, _| marks.push(mark));
    while !u.is_empty() {
        match u.int_in_range(0..=7u8)? {
            0..=3 => {
                let mark = number32(u, 8)?;
                doorbell.mmio_write(MmioAddress(0), 0, &mark.to_le_bytes());
            }
            4 | 5 => doorbell.mmio_write(MmioAddress(0), number(u, 16)?, bytes(u, 16)?),
            6 => {
                let mut data = bytes(u, 16)?.to_vec();
                doorbell.mmio_read(MmioAddress(0), number(u, 16)?, &mut data);
            }
            _ => {
                let state = doorbell.save_bytes().expect("a state can be encoded");
                // Its own, or any: one that is refused leaves it as it was.
                doorbell.restore_bytes(&state).expect("its own state");
                drop(Doorbell::new(|_, _| ()).restore_bytes(bytes(u, 8)?));
            }
        }
    }
    assert!(
        marks.is_sorted_by(|a, b| (*a as u32) < *b as u32),
        "marks out of order: {marks:?}"
    );
    Ok(())
}
