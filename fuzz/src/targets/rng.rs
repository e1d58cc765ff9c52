//! The source of random numbers.

use arbitrary::{Result, Unstructured};
use vmm::devices::virtio::rng::Rng;

use crate::fields::number32;
use crate::virtio::{self, Buffer, Guest, Subject};

struct Source;

impl Subject for Source {
    type Device = Rng;

    fn new(_: &mut Unstructured<'_>) -> Result<Self> {
        Ok(Self)
    }

    fn device(&mut self) -> Rng {
        Rng::new().expect("a device")
    }

    fn request(
        &mut self,
        guest: &mut Guest,
        u: &mut Unstructured<'_>,
    ) -> Result<(u16, Vec<Buffer>)> {
        let buffers = (0..u.int_in_range(1..=3)?)
            .map(|_| Ok(guest.room(number32(u, 600)?)))
            .collect::<Result<_>>()?;
        Ok((0, buffers))
    }

    fn probe(&mut self, guest: &mut Guest) -> (u16, Vec<Buffer>) {
        (0, vec![guest.room(64)])
    }
}

/// Feeds it one input.
pub fn run(input: &[u8]) {
    virtio::run::<Source>(input);
}
