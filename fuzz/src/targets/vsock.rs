//! A guest's sockets, with streams of the host's behind three ports, and behind others that come and go.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use arbitrary::{Result, Unstructured};
use vmm::devices::virtio::vsock::Vsock;

use crate::fields::{bytes, number, number32, seldom};
use crate::virtio::{self, Buffer, Guest, Subject};

const TO_GUEST: u16 = 0;
const FROM_GUEST: u16 = 1;
const GUEST_CID: u64 = 3;
const HOST_CID: u64 = 2;
const PORTS: [u32; 3] = [1024, 1025, 1026];
/// Ports such as a further command has: added while the guest runs, and taken away.
const PASSING: [u32; 2] = [1027, 1028];

struct Host {
    /// The host's ends, each until it is closed.
    streams: BTreeMap<u32, UnixStream>,
}

#[derive(Clone, Copy)]
struct Packet {
    ports: (u32, u32),
    cids: (u64, u64),
    bytes: u32,
    kind: u16,
    op: u16,
    flags: u32,
    buffer_bytes: u32,
    forwarded: u32,
}

impl Packet {
    fn encode(self) -> Vec<u8> {
        [
            &self.cids.0.to_le_bytes()[..],
            &self.cids.1.to_le_bytes(),
            &self.ports.0.to_le_bytes(),
            &self.ports.1.to_le_bytes(),
            &self.bytes.to_le_bytes(),
            &self.kind.to_le_bytes(),
            &self.op.to_le_bytes(),
            &self.flags.to_le_bytes(),
            &self.buffer_bytes.to_le_bytes(),
            &self.forwarded.to_le_bytes(),
        ]
        .concat()
    }

    /// What a guest connects with.
    fn request(port: u32) -> Self {
        Self {
            ports: (port.wrapping_add(100), port),
            cids: (GUEST_CID, HOST_CID),
            bytes: 0,
            kind: 1,
            op: 1,
            flags: 0,
            buffer_bytes: 1 << 18,
            forwarded: 0,
        }
    }
}

impl Host {
    fn add(&mut self, port: u32, device: &mut Vsock) {
        let (ours, theirs) = pair();
        // It may be there already.
        if device.add_ports(BTreeMap::from([(port, theirs)])).is_ok() {
            self.streams.insert(port, ours);
        }
    }
}

fn any_port(u: &mut Unstructured<'_>) -> Result<u32> {
    let [a, b, c] = PORTS;
    let [d, e] = PASSING;
    u.choose(&[a, b, c, d, e]).copied()
}

/// The host's end of a stream, which does not block, and the device's.
fn pair() -> (UnixStream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    ours.set_nonblocking(true).expect("to be set");
    (ours, theirs)
}

impl Subject for Host {
    type Device = Vsock;

    fn new(_: &mut Unstructured<'_>) -> Result<Self> {
        Ok(Self {
            streams: BTreeMap::new(),
        })
    }

    fn device(&mut self) -> Vsock {
        let mut behind = BTreeMap::new();
        for port in PORTS {
            let (ours, theirs) = pair();
            self.streams.insert(port, ours);
            behind.insert(port, theirs);
        }
        Vsock::new(GUEST_CID, behind).expect("a device")
    }

    fn first_requests(&mut self, guest: &mut Guest) -> Vec<(u16, Vec<Buffer>)> {
        let room = |guest: &mut Guest| (TO_GUEST, vec![guest.room(44), guest.room(4096)]);
        let mut requests = vec![room(guest), room(guest)];
        for port in &PORTS[..2] {
            let packet = Packet::request(*port).encode();
            requests.push((FROM_GUEST, vec![guest.holding(&packet)]));
        }
        requests
    }

    fn request(
        &mut self,
        guest: &mut Guest,
        u: &mut Unstructured<'_>,
    ) -> Result<(u16, Vec<Buffer>)> {
        if u.int_in_range(0..=2u8)? == 0 {
            let data = number32(u, 4096)?;
            return Ok((TO_GUEST, vec![guest.room(44), guest.room(data)]));
        }
        let port = match seldom(u, 16)? {
            true => number32(u, 2000)?,
            false => any_port(u)?,
        };
        let mut packet = Packet::request(port);
        packet.op = match seldom(u, 16)? {
            true => u.arbitrary()?,
            // Data more often than all else.
            false => *u.choose(&[5, 5, 5, 5, 1, 2, 3, 4, 6, 7])?,
        };
        let mut data = Vec::new();
        if packet.op == 5 {
            data = bytes(u, 32)?.to_vec();
            if seldom(u, 4)? {
                data.resize(u.int_in_range(0..=66_000)?, 0x77);
            }
        }
        packet.bytes = data.len() as u32;
        packet.flags = u.int_in_range(0..=3)?;
        if seldom(u, 4)? {
            packet.buffer_bytes = number32(u, 1 << 18)?;
        }
        if seldom(u, 4)? {
            packet.forwarded = number32(u, 1 << 18)?;
        }
        if seldom(u, 8)? {
            match u.int_in_range(0..=4u8)? {
                0 => packet.bytes = number32(u, 70_000)?,
                1 => packet.kind = u.arbitrary()?,
                2 => packet.cids = (number(u, 5)?, number(u, 5)?),
                3 => packet.ports.0 = number32(u, 2000)?,
                _ => packet.ports.1 = number32(u, 2000)?,
            }
        }
        let header = guest.holding(&packet.encode());
        Ok((FROM_GUEST, vec![header, guest.holding(&data)]))
    }

    fn host_step(&mut self, device: &mut Vsock, u: &mut Unstructured<'_>) -> Result<()> {
        let step = u.int_in_range(0..=9u8)?;
        if step >= 8 {
            let port = *u.choose(&PASSING)?;
            match step {
                8 => self.add(port, device),
                _ => device.remove_ports([port]),
            }
            return Ok(());
        }
        let port = any_port(u)?;
        let Some(stream) = self.streams.get_mut(&port) else {
            return Ok(());
        };
        match step {
            0..=2 => {
                let mut data = bytes(u, 32)?.to_vec();
                if seldom(u, 4)? {
                    data.resize(u.int_in_range(0..=66_000)?, 0x44);
                }
                // As much as there is room for, if anybody listens.
                let _ = stream.write(&data);
            }
            3..=5 => {
                // As much as there is.
                let _ = stream.read(&mut vec![0; u.int_in_range(0..=66_000)?]);
            }
            6 => {
                let how = *u.choose(&[Shutdown::Read, Shutdown::Write, Shutdown::Both])?;
                // It fails if the other end is gone.
                let _ = stream.shutdown(how);
            }
            _ => drop(self.streams.remove(&port)),
        }
        Ok(())
    }

    fn probe(&mut self, guest: &mut Guest) -> (u16, Vec<Buffer>) {
        let packet = Packet::request(PORTS[0]).encode();
        (FROM_GUEST, vec![guest.holding(&packet)])
    }
}

/// Feeds it one input.
pub fn run(input: &[u8]) {
    virtio::run::<Host>(input);
}

/// The same, and what guest memory holds after it.
pub fn memory_after(input: &[u8]) -> Vec<u8> {
    virtio::memory_after::<Host>(input)
}
