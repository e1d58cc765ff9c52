//! A network interface, with one end of a pair of sockets in place of a tap: it keeps packets
//! apart, too.

use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use arbitrary::{Result, Unstructured};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair,
};
use vmm::devices::virtio::net::{Link, Net, Tap};

use crate::fields::{bytes, number, number32, seldom};
use crate::virtio::{self, Buffer, Guest, Subject};

const TO_GUEST: u16 = 0;
const FROM_GUEST: u16 = 1;
const HEADER_BYTES: usize = 12;

struct Wire {
    device_end: OwnedFd,
    host_end: OwnedFd,
}

impl Wire {
    fn new() -> Self {
        let (device_end, host_end) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            None,
        )
        .expect("a pair of sockets");
        Self {
            device_end,
            host_end,
        }
    }

    /// Takes all that is under way.
    fn drain(&self) {
        for end in [&self.device_end, &self.host_end] {
            while recv(end, &mut [0], RecvFlags::TRUNC).is_ok() {}
        }
    }
}

/// The thread's wire, with nothing on it at first, and what may pass it.
struct Wired {
    wire: Rc<Wire>,
    rate: Option<NonZeroU64>,
}

impl Subject for Wired {
    type Device = Net;

    fn new(u: &mut Unstructured<'_>) -> Result<Self> {
        thread_local! {
            static WIRE: Rc<Wire> = Rc::new(Wire::new());
        }
        let wire = WIRE.with(Rc::clone);
        wire.drain();
        let rate = match seldom(u, 4)? {
            true => NonZeroU64::new(number(u, 1 << 20)?),
            false => None,
        };
        Ok(Self { wire, rate })
    }

    fn device(&mut self) -> Net {
        let packets = self.wire.device_end.try_clone().expect("a descriptor");
        Net::new(Some(Link {
            tap: Tap::stand_in(packets),
            ethernet_address: [2, 0, 0, 0, 0, 1],
            mtu: 1500,
            rate: self.rate,
        }))
        .expect("a device")
    }

    fn request(
        &mut self,
        guest: &mut Guest,
        u: &mut Unstructured<'_>,
    ) -> Result<(u16, Vec<Buffer>)> {
        if u.arbitrary()? {
            let room = match u.int_in_range(0..=3u8)? {
                0 => number32(u, 64)?,
                _ => 1526,
            };
            return Ok((TO_GUEST, vec![guest.room(room)]));
        }
        let mut header = [0; HEADER_BYTES];
        // Flags and type of segmentation, and then sizes.
        header[0] = u.int_in_range(0..=3)?;
        header[1] = *u.choose(&[0, 0, 1, 0x81, 4, 5])?;
        let sizes = bytes(u, HEADER_BYTES - 2)?;
        header[2..][..sizes.len()].copy_from_slice(sizes);
        let mut frame = bytes(u, 64)?.to_vec();
        if u.arbitrary()? {
            frame.resize(u.int_in_range(0..=1514)?, 0x5a);
        } else if seldom(u, 16)? {
            frame.resize(65535 + u.int_in_range(0..=32)?, 0x5a);
        }
        let header = guest.holding(&header);
        Ok((FROM_GUEST, vec![header, guest.holding(&frame)]))
    }

    fn host_step(&mut self, _: &mut Net, u: &mut Unstructured<'_>) -> Result<()> {
        match u.arbitrary()? {
            true => {
                let mut frame = bytes(u, 32)?.to_vec();
                let length = match seldom(u, 8)? {
                    true => HEADER_BYTES + 65535 + 18,
                    false => u.int_in_range(0..=1526)?,
                };
                frame.resize(length, 0x33);
                // When there is no room for it, it is lost.
                let _ = send(&self.wire.host_end, &frame, SendFlags::NOSIGNAL);
            }
            false => {
                while recv(&self.wire.host_end, &mut [0; 64], RecvFlags::TRUNC)
                    .is_ok_and(|(_, length)| length > 0)
                {}
            }
        }
        Ok(())
    }

    fn probe(&mut self, guest: &mut Guest) -> (u16, Vec<Buffer>) {
        let header = guest.holding(&[0; HEADER_BYTES]);
        (FROM_GUEST, vec![header, guest.holding(&[0x5a; 60])])
    }

    /// What it sent before may have used up its allowance.
    fn may_hold_back(&self) -> bool {
        self.rate.is_some()
    }
}

/// Feeds it one input.
pub fn run(input: &[u8]) {
    virtio::run::<Wired>(input);
}

/// The same, and what guest memory holds after it.
pub fn memory_after(input: &[u8]) -> Vec<u8> {
    virtio::memory_after::<Wired>(input)
}
