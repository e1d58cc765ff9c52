//! The balloon, which is told what of memory is free.

use arbitrary::{Result, Unstructured};
use vmm::devices::virtio::balloon::Balloon;

use crate::fields::{number32, seldom};
use crate::virtio::{self, Buffer, Guest, Subject};

/// The queue that reports come in.
const REPORTS: u16 = 2;

struct Flat;

impl Subject for Flat {
    type Device = Balloon;

    fn new(_: &mut Unstructured<'_>) -> Result<Self> {
        Ok(Self)
    }

    fn device(&mut self) -> Balloon {
        Balloon::new().expect("a device")
    }

    fn request(
        &mut self,
        guest: &mut Guest,
        u: &mut Unstructured<'_>,
    ) -> Result<(u16, Vec<Buffer>)> {
        let queue = match seldom(u, 8)? {
            true => u.int_in_range(0..=3)?,
            false => REPORTS,
        };
        let ranges = (0..u.int_in_range(1..=8)?)
            .map(|_| {
                let pages = u.int_in_range(0..=8)?;
                Ok(guest.room(number32(u, 16)?.saturating_add(pages * 4096)))
            })
            .collect::<Result<_>>()?;
        Ok((queue, ranges))
    }

    fn probe(&mut self, guest: &mut Guest) -> (u16, Vec<Buffer>) {
        (REPORTS, vec![guest.room(8192)])
    }
}

/// Feeds it one input.
pub fn run(input: &[u8]) {
    virtio::run::<Flat>(input);
}

/// The same, and what guest memory holds after it.
pub fn memory_after(input: &[u8]) -> Vec<u8> {
    virtio::memory_after::<Flat>(input)
}
