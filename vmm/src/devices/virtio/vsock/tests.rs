use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, poll};
use proptest::prelude::*;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::packet::{SHUTDOWN_RECEIVE, SHUTDOWN_SEND};
use super::*;
use crate::devices::virtio::driver::{Driver, readable, writable};
use crate::memory::GuestMemory;

const MEMORY_BYTES: u64 = 16 << 20;
pub(super) const QUEUE_SIZE: u16 = 16;
const RX_RINGS: u64 = 0x1_0000;
const TX_RINGS: u64 = 0x2_0000;
const EVENT_RINGS: u64 = 0x3_0000;
pub(super) const RX_BUFFERS: u64 = 0x10_0000;
const TX_BUFFERS: u64 = 0x40_0000;
/// From one packet to send to the next: a header and the most data.
const TX_STRIDE: u64 = 0x1_1000;

const HEADER_BYTES: u32 = 44;
pub(super) const GUEST_CID: u64 = 3;
pub(super) const PORT: u32 = 1024;
pub(super) const OTHER_PORT: u32 = 1025;
const GUEST_PORT: u32 = 70_000;

pub(super) const REQUEST: u16 = 1;
pub(super) const RESPONSE: u16 = 2;
pub(super) const RST: u16 = 3;
pub(super) const SHUTDOWN: u16 = 4;
pub(super) const RW: u16 = 5;
pub(super) const CREDIT_UPDATE: u16 = 6;
pub(super) const CREDIT_REQUEST: u16 = 7;

/// How long a stream may take to end, in milliseconds, before that is a failure.
const PATIENCE: u16 = 60_000;

const BOTH: u32 = SHUTDOWN_RECEIVE | SHUTDOWN_SEND;

/// A header, in the order of its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) src_cid: u64,
    pub(super) dst_cid: u64,
    pub(super) src_port: u32,
    pub(super) dst_port: u32,
    pub(super) len: u32,
    pub(super) kind: u16,
    pub(super) op: u16,
    pub(super) flags: u32,
    pub(super) buf_alloc: u32,
    pub(super) fwd_cnt: u32,
}

impl Header {
    fn encode(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.src_cid.to_le_bytes());
        bytes.extend(self.dst_cid.to_le_bytes());
        for word in [self.src_port, self.dst_port, self.len] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(self.kind.to_le_bytes());
        bytes.extend(self.op.to_le_bytes());
        for word in [self.flags, self.buf_alloc, self.fwd_cnt] {
            bytes.extend(word.to_le_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Self {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        let short = |at: usize| u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap());
        Self {
            src_cid: long(0),
            dst_cid: long(8),
            src_port: word(16),
            dst_port: word(20),
            len: word(24),
            kind: short(28),
            op: short(30),
            flags: word(32),
            buf_alloc: word(36),
            fwd_cnt: word(40),
        }
    }
}

/// A guest with a driver, two ports, and the host's ends of them.
pub(super) struct Guest {
    pub(super) vsock: Vsock,
    pub(super) rx: Driver,
    pub(super) tx: Driver,
    pub(super) events: Driver,
    pub(super) rx_bytes: u32,
    pub(super) irqfd: EventFd,
    pub(super) host: UnixStream,
    pub(super) other_host: UnixStream,
    /// What the guest says of its own credit.
    pub(super) buf_alloc: u32,
    pub(super) fwd_cnt: u32,
}

impl Guest {
    pub(super) fn new() -> Self {
        Self::with_rx_buffers(QUEUE_SIZE, 4096)
    }

    /// A guest that offers `count` buffers, each for a header and `data_bytes`.
    pub(super) fn with_rx_buffers(count: u16, data_bytes: u32) -> Self {
        let (host, device) = UnixStream::pair().unwrap();
        let (other_host, other_device) = UnixStream::pair().unwrap();
        host.set_nonblocking(true).unwrap();
        let ports = BTreeMap::from([(PORT, device), (OTHER_PORT, other_device)]);
        let mut vsock = Vsock::new(GUEST_CID, ports).unwrap();
        let memory: GuestMemory = crate::memory::allocate(MEMORY_BYTES).unwrap();
        let mut rx = Driver::new(&memory, RX_RINGS, QUEUE_SIZE);
        let tx = Driver::new(&memory, TX_RINGS, QUEUE_SIZE);
        let events = Driver::new(&memory, EVENT_RINGS, QUEUE_SIZE);
        let rx_bytes = HEADER_BYTES + data_bytes;
        for i in 0..count {
            rx.offer(&[writable(RX_BUFFERS + u64::from(i) * 0x4000, rx_bytes)]);
        }
        let irqfd = EventFd::new(EFD_NONBLOCK).unwrap();
        let queues = [&rx, &tx, &events].map(|driver| driver.device_queue(true));
        vsock
            .activate(queues.into(), Interrupt::new(irqfd.try_clone().unwrap()))
            .unwrap();
        Self {
            vsock,
            rx,
            tx,
            events,
            rx_bytes,
            irqfd,
            host,
            other_host,
            buf_alloc: 1 << 20,
            fwd_cnt: 0,
        }
    }

    pub(super) fn connected() -> Self {
        let mut guest = Self::new();
        guest.connect();
        guest
    }

    pub(super) fn connect(&mut self) {
        self.send(REQUEST, &[], 0);
        let packets = self.receive();
        assert_eq!(packets.len(), 1);
        assert_eq!(packets[0].0.op, RESPONSE);
    }

    pub(super) fn header(&self, op: u16, len: usize, flags: u32) -> Header {
        Header {
            src_cid: GUEST_CID,
            dst_cid: HOST_CID,
            src_port: GUEST_PORT,
            dst_port: PORT,
            len: len as u32,
            kind: 1,
            op,
            flags,
            buf_alloc: self.buf_alloc,
            fwd_cnt: self.fwd_cnt,
        }
    }

    /// Sends a packet on the connection and lets the device work.
    pub(super) fn send(&mut self, op: u16, data: &[u8], flags: u32) {
        self.send_raw(self.header(op, data.len(), flags), data);
    }

    pub(super) fn send_raw(&mut self, header: Header, data: &[u8]) {
        self.offer_raw(header, data);
        self.work();
    }

    /// Puts a packet into the queue.
    pub(super) fn offer_raw(&mut self, header: Header, data: &[u8]) {
        let slot = u64::from(self.tx.used_index()) % 4 * TX_STRIDE + TX_BUFFERS;
        self.tx.write(slot, &header.encode());
        let mut chain = vec![readable(slot, HEADER_BYTES)];
        if !data.is_empty() {
            self.tx.write(slot + 0x1000, data);
            chain.push(readable(slot + 0x1000, data.len() as u32));
        }
        self.tx.offer(&chain);
    }

    pub(super) fn work(&mut self) {
        self.vsock.muxer.stream_events();
        self.vsock.serve();
    }

    /// Takes what the device has sent so far, and offers the buffers again.
    pub(super) fn take(&mut self) -> Vec<(Header, Vec<u8>)> {
        let mut packets = Vec::new();
        for (head, used) in self.rx.take_used() {
            let bytes = self
                .rx
                .read(RX_BUFFERS + u64::from(head) * 0x4000, used as usize);
            let header = Header::decode(&bytes);
            assert_eq!(used, HEADER_BYTES + header.len);
            assert!(used <= self.rx_bytes);
            packets.push((header, bytes[HEADER_BYTES as usize..].to_vec()));
            self.rx.make_available(head);
        }
        packets
    }

    /// Takes all packets that the device has for the guest.
    pub(super) fn receive(&mut self) -> Vec<(Header, Vec<u8>)> {
        let mut all = Vec::new();
        loop {
            self.work();
            let packets = self.take();
            if packets.is_empty() {
                return all;
            }
            all.extend(packets);
        }
    }

    /// What the packets are for that the device has for the guest, with the flags.
    pub(super) fn receive_ops(&mut self) -> Vec<(u16, u32)> {
        self.receive()
            .into_iter()
            .map(|(header, _)| (header.op, header.flags))
            .collect()
    }

    /// Reads what the host can read now: bytes, and whether the end came.
    pub(super) fn host_read(&mut self) -> (Vec<u8>, bool) {
        let mut all = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match self.host.read(&mut buffer) {
                Ok(0) => return (all, true),
                Ok(bytes) => all.extend(&buffer[..bytes]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let before = all.len();
                    self.work();
                    match self.host.read(&mut buffer) {
                        Ok(0) => return (all, true),
                        Ok(bytes) => all.extend(&buffer[..bytes]),
                        Err(_) => (),
                    }
                    if all.len() == before {
                        return (all, false);
                    }
                }
                // What the host has sent and the guest has not taken is lost.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return (all, true),
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// What has come to the host, up to the end of its stream. That may be late: a process that
    /// another test is just starting has the device's end, too, until it becomes another program.
    pub(super) fn host_read_to_end(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let (bytes, ended) = self.host_read();
            all.extend(bytes);
            if ended {
                return all;
            }
            let mut host = [PollFd::new(self.host.as_fd(), PollFlags::POLLIN)];
            assert_eq!(poll(&mut host, PATIENCE), Ok(1), "the stream goes on");
        }
    }

    pub(super) fn connection_is_over(&self) -> bool {
        self.vsock.muxer.is_over(PORT)
    }

    pub(super) fn kept_bytes(&mut self) -> usize {
        self.vsock.muxer.kept_bytes()
    }
}

pub(super) fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|i| (i ^ i >> 8 ^ i >> 16) as u8).collect()
}

#[test]
fn a_port_comes_while_the_device_is_used_and_goes_with_its_connection() {
    let mut guest = Guest::connected();
    let number = 2000;
    for _ in 0..2 {
        let (mut host, device) = UnixStream::pair().unwrap();
        let ports = || BTreeMap::from([(number, device.try_clone().unwrap())]);
        guest.vsock.add_ports(ports()).unwrap();
        assert!(
            guest.vsock.add_ports(ports()).is_err(),
            "it is there already"
        );
        drop(device);
        let to_port = |op, bytes, guest: &Guest| Header {
            dst_port: number,
            ..guest.header(op, bytes, 0)
        };
        guest.send_raw(to_port(REQUEST, 0, &guest), &[]);
        assert_eq!(guest.receive_ops(), [(RESPONSE, 0)]);
        guest.send_raw(to_port(RW, 2, &guest), b"hi");
        let mut heard = [0; 2];
        host.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"hi");
        guest.vsock.remove_ports([number]);
        assert_eq!(guest.receive_ops(), [(RST, 0)]);
        assert_eq!(host.read(&mut heard).unwrap(), 0);
        guest.send_raw(to_port(REQUEST, 0, &guest), &[]);
        assert_eq!(guest.receive_ops(), [(RST, 0)]);
    }
}

#[test]
fn the_configuration_has_the_guests_context_id() {
    assert_eq!(Guest::new().vsock.config(), GUEST_CID.to_le_bytes());
}

#[test]
fn a_connection_to_a_port_is_accepted() {
    let mut guest = Guest::new();
    guest.send(REQUEST, &[], 0);
    let expected = Header {
        src_cid: HOST_CID,
        dst_cid: GUEST_CID,
        src_port: PORT,
        dst_port: GUEST_PORT,
        len: 0,
        kind: 1,
        op: RESPONSE,
        flags: 0,
        buf_alloc: BUFFER_BYTES,
        fwd_cnt: 0,
    };
    assert_eq!(guest.receive(), [(expected, vec![])]);
}

#[test]
fn what_belongs_to_no_connection_is_refused_to_its_sender() {
    let mut guest = Guest::connected();
    let good = guest.header(REQUEST, 0, 0);
    for header in [
        Header {
            dst_port: 1,
            ..good
        },
        // A second connection to the port.
        Header {
            src_port: 9,
            ..good
        },
        // Data without a connection.
        Header {
            dst_port: OTHER_PORT,
            op: RW,
            ..good
        },
        Header {
            dst_port: OTHER_PORT,
            op: CREDIT_REQUEST,
            ..good
        },
        Header {
            dst_port: OTHER_PORT,
            op: 0,
            ..good
        },
        Header {
            dst_port: OTHER_PORT,
            op: 8,
            ..good
        },
        Header {
            dst_port: OTHER_PORT,
            kind: 2,
            ..good
        },
        Header {
            dst_port: OTHER_PORT,
            dst_cid: 5,
            ..good
        },
        Header {
            dst_port: OTHER_PORT,
            src_cid: 4,
            ..good
        },
    ] {
        guest.send_raw(header, &[]);
        let answer = Header {
            src_cid: header.dst_cid,
            dst_cid: GUEST_CID,
            src_port: header.dst_port,
            dst_port: header.src_port,
            op: RST,
            buf_alloc: 0,
            fwd_cnt: 0,
            ..header
        };
        assert_eq!(guest.receive(), [(answer, vec![])], "{header:?}");
        assert!(!guest.connection_is_over());
    }
}

#[test]
fn a_refusal_is_not_refused() {
    let mut guest = Guest::new();
    guest.send(RST, &[], 0);
    guest.send_raw(
        Header {
            src_cid: 9,
            ..guest.header(RST, 0, 0)
        },
        &[],
    );
    assert_eq!(guest.receive(), []);
}

#[test]
fn nonsense_on_a_connection_resets_it() {
    for op in [0, REQUEST, RESPONSE, 8, u16::MAX] {
        let mut guest = Guest::connected();
        guest.send(op, &[], 0);
        assert_eq!(guest.receive_ops(), [(RST, 0)], "{op}");
        assert!(guest.connection_is_over());
        assert_eq!(guest.host_read_to_end(), b"");
    }
}

#[test]
fn a_port_takes_one_connection_ever() {
    let mut guest = Guest::connected();
    guest.send(SHUTDOWN, &[], BOTH);
    guest.receive();
    guest.send(REQUEST, &[], 0);
    assert_eq!(guest.receive_ops(), [(RST, 0)]);
}

#[test]
fn a_mebibyte_goes_both_ways_byte_for_byte_through_small_buffers() {
    const TOTAL: usize = 1 << 20;
    const GUEST_BUFFER: usize = 1000;
    let mut guest = Guest::with_rx_buffers(4, 100);
    guest.buf_alloc = GUEST_BUFFER as u32;
    guest.connect();
    let data = pattern(TOTAL);
    let (mut sent, mut told, mut host_got) = (0, 0, Vec::<u8>::new());
    let (mut host_sent, mut guest_got, mut guest_holds) = (0, Vec::new(), VecDeque::new());
    let mut rounds = 0;
    while host_got.len() < TOTAL || guest_got.len() < TOTAL {
        rounds += 1;
        assert!(rounds < 1_000_000, "no progress");
        let room = BUFFER_BYTES as usize - (sent - told);
        let now = room.min(TOTAL - sent).min(3001);
        if now > 0 {
            guest.send(RW, &data[sent..sent + now], 0);
            sent += now;
        }
        if let Ok(bytes) = guest.host.write(&data[host_sent..]) {
            host_sent += bytes;
        }
        for (header, data) in guest.receive() {
            assert!([RW, CREDIT_UPDATE, CREDIT_REQUEST].contains(&header.op));
            told = header.fwd_cnt as usize;
            guest_holds.extend(data);
            assert!(guest_holds.len() <= GUEST_BUFFER);
        }
        // The guest's application takes a part of it.
        let taken = guest_holds.len().min(700);
        guest_got.extend(guest_holds.drain(..taken));
        guest.fwd_cnt += taken as u32;
        guest.send(CREDIT_UPDATE, &[], 0);
        let mut buffer = [0; 2500];
        if let Ok(bytes) = guest.host.read(&mut buffer) {
            host_got.extend(&buffer[..bytes]);
        }
    }
    assert!(host_got == data);
    assert!(guest_got == data);
}

#[test]
fn a_guest_that_sends_no_more_may_still_receive() {
    let mut guest = Guest::connected();
    guest.send(RW, b"to the host", 0);
    guest.send(SHUTDOWN, &[], SHUTDOWN_SEND);
    assert_eq!(guest.host_read_to_end(), b"to the host");
    guest.host.write_all(b"to the guest").unwrap();
    let packets = guest.receive();
    assert_eq!(packets.len(), 1);
    assert_eq!(
        (packets[0].0.op, &packets[0].1[..]),
        (RW, &b"to the guest"[..])
    );
}

#[test]
fn a_guest_that_receives_no_more_may_still_send() {
    let mut guest = Guest::connected();
    guest.send(SHUTDOWN, &[], SHUTDOWN_RECEIVE);
    let error = guest.host.write(b"x").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    guest.send(RW, b"to the host", 0);
    assert_eq!(guest.host_read(), (b"to the host".to_vec(), false));
}

#[test]
fn a_host_that_sends_no_more_may_still_receive() {
    let mut guest = Guest::connected();
    guest.host.write_all(b"to the guest").unwrap();
    guest.host.shutdown(Shutdown::Write).unwrap();
    assert_eq!(guest.receive_ops(), [(RW, 0), (SHUTDOWN, SHUTDOWN_SEND)]);
    guest.send(RW, b"to the host", 0);
    assert_eq!(guest.host_read(), (b"to the host".to_vec(), false));
}

#[test]
fn a_host_that_receives_no_more_says_so_once_and_may_still_send() {
    let mut guest = Guest::connected();
    guest.host.shutdown(Shutdown::Read).unwrap();
    guest.send(RW, b"lost", 0);
    guest.send(RW, b"lost too", 0);
    assert_eq!(guest.receive_ops(), [(SHUTDOWN, SHUTDOWN_RECEIVE)]);
    guest.host.write_all(b"x").unwrap();
    assert_eq!(guest.receive_ops(), [(RW, 0)]);
}

#[test]
fn a_host_that_is_gone_is_shut_down_both_ways_after_its_last_data() {
    let mut guest = Guest::connected();
    let (nobody, _) = UnixStream::pair().unwrap();
    guest.host.write_all(b"last words").unwrap();
    guest.host = nobody;
    let packets = guest.receive();
    assert_eq!(packets[0].1, b"last words");
    let told = packets
        .iter()
        .fold(0, |told, (header, _)| told | header.flags);
    assert_eq!(told, BOTH);
    // What Linux answers.
    guest.send(RST, &[], 0);
    assert!(guest.connection_is_over());
    assert_eq!(guest.receive(), []);
}

#[test]
fn a_guest_that_closes_is_answered_when_the_host_has_everything() {
    let mut guest = Guest::connected();
    let data = pattern(BUFFER_BYTES as usize);
    for part in data.chunks(0x1_0000) {
        guest.send(RW, part, 0);
    }
    guest.send(SHUTDOWN, &[], BOTH);
    assert!(
        guest.kept_bytes() > 0,
        "the test is for a host that is slow"
    );
    assert!(!guest.receive_ops().contains(&(RST, 0)));
    assert!(guest.host_read_to_end() == data);
    assert_eq!(guest.receive_ops(), [(RST, 0)]);
    assert!(guest.connection_is_over());
}

#[test]
fn a_guest_that_goes_away_leaves_the_host_what_it_has_sent() {
    let mut guest = Guest::connected();
    let data = pattern(BUFFER_BYTES as usize);
    for part in data.chunks(0x1_0000) {
        guest.send(RW, part, 0);
    }
    guest.send(RST, &[], 0);
    assert!(
        guest.kept_bytes() > 0,
        "the test is for a host that is slow"
    );
    assert!(guest.host_read_to_end() == data);
    assert!(guest.connection_is_over());
}

#[test]
fn data_after_its_end_resets_the_connection() {
    let mut guest = Guest::connected();
    guest.send(SHUTDOWN, &[], SHUTDOWN_SEND);
    guest.send(RW, b"x", 0);
    assert_eq!(guest.receive_ops(), [(RST, 0)]);
}

#[test]
fn a_guest_that_sends_more_than_its_credit_is_reset() {
    let mut guest = Guest::connected();
    // The host's socket takes some of it; what is kept never exceeds the credit.
    for _ in 0..100 {
        guest.send(RW, &[0; 0x1_0000], 0);
        assert!(guest.kept_bytes() <= BUFFER_BYTES as usize);
    }
    assert!(guest.connection_is_over());
    assert_eq!(guest.kept_bytes(), 0);
    assert!(guest.receive_ops().contains(&(RST, 0)));
}

#[test]
fn a_guest_without_credit_is_told_when_the_host_has_read() {
    let mut guest = Guest::connected();
    // Fills the host's socket first, then the credit.
    let mut sent = 0;
    while guest.kept_bytes() < BUFFER_BYTES as usize {
        let rest = BUFFER_BYTES as usize - guest.kept_bytes();
        let now = rest.min(0x1_0000);
        guest.send(RW, &vec![7; now], 0);
        sent += now;
    }
    guest.receive();
    let (got, _) = guest.host_read();
    assert_eq!(got.len(), sent);
    let packets = guest.receive();
    assert_eq!(packets.len(), 1);
    assert_eq!(packets[0].0.op, CREDIT_UPDATE);
    let room = BUFFER_BYTES as usize - (sent - packets[0].0.fwd_cnt as usize);
    assert!(room >= BUFFER_BYTES as usize / 2, "{room}");
}

#[test]
fn a_guest_that_asks_for_its_credit_is_told() {
    let mut guest = Guest::connected();
    guest.send(RW, b"12345", 0);
    assert_eq!(guest.receive(), []);
    guest.send(CREDIT_REQUEST, &[], 0);
    let packets = guest.receive();
    assert_eq!(packets.len(), 1);
    assert_eq!((packets[0].0.op, packets[0].0.fwd_cnt), (CREDIT_UPDATE, 5));
}

#[test]
fn no_more_is_sent_than_the_guest_takes_and_it_is_asked_once() {
    let mut guest = Guest::new();
    guest.buf_alloc = 10;
    guest.connect();
    guest.host.write_all(&pattern(25)).unwrap();
    let packets = guest.receive();
    let ops: Vec<_> = packets.iter().map(|(header, _)| header.op).collect();
    assert_eq!(ops, [RW, CREDIT_REQUEST]);
    assert_eq!(packets[0].1, pattern(25)[..10]);
    assert_eq!(guest.receive(), []);
    guest.fwd_cnt = 10;
    guest.send(CREDIT_UPDATE, &[], 0);
    assert_eq!(guest.receive()[0].1, pattern(25)[10..20]);
}

#[test]
fn without_buffers_of_the_guest_nothing_is_lost() {
    let mut guest = Guest::with_rx_buffers(2, 100);
    guest.connect();
    guest.host.write_all(&pattern(1000)).unwrap();
    for _ in 0..10 {
        guest.work();
    }
    let mut got = Vec::new();
    loop {
        let packets = guest.take();
        assert!(packets.len() <= 2);
        if packets.is_empty() {
            break;
        }
        got.extend(packets.into_iter().flat_map(|(_, data)| data));
        guest.work();
    }
    assert_eq!(got, pattern(1000));
}

#[test]
fn a_notification_of_new_buffers_is_asked_for_only_while_packets_wait_for_them() {
    let mut guest = Guest::with_rx_buffers(2, 100);
    guest.connect();
    assert_eq!(guest.rx.available_event(), 0);
    // Three buffers were offered so far, the third again after the connection was accepted.
    guest.host.write_all(&[0; 300]).unwrap();
    guest.work();
    assert_eq!(guest.rx.available_event(), 3);
    // And of every packet of the guest, once all are taken.
    guest.send(CREDIT_UPDATE, &[], 0);
    assert_eq!(guest.tx.available_event(), guest.tx.used_index());
}

#[test]
fn each_connection_has_its_turn() {
    let mut guest = Guest::with_rx_buffers(4, 100);
    guest.connect();
    let other = Header {
        dst_port: OTHER_PORT,
        ..guest.header(REQUEST, 0, 0)
    };
    guest.send_raw(other, &[]);
    guest.receive();
    guest.host.write_all(&[0; 1000]).unwrap();
    guest.other_host.write_all(&[0; 1000]).unwrap();
    guest.work();
    let ports: Vec<_> = guest
        .take()
        .iter()
        .map(|(header, _)| header.src_port)
        .collect();
    assert_eq!(ports, [PORT, OTHER_PORT, PORT, OTHER_PORT]);
}

#[test]
fn many_packets_make_one_interrupt() {
    let mut guest = Guest::connected();
    while guest.irqfd.read().is_ok() {}
    let next = guest.rx.used_index();
    guest.rx.set_used_event(next);
    guest.host.write_all(&[0; 10 * 4096]).unwrap();
    guest.work();
    assert_eq!(guest.take().len(), 10);
    assert_eq!(guest.irqfd.read().ok(), Some(1));
}

#[test]
fn refusals_that_can_not_be_sent_hold_the_guest_up_and_none_is_lost() {
    let mut guest = Guest::with_rx_buffers(1, 100);
    guest.send_raw(
        Header {
            dst_port: 1,
            ..guest.header(REQUEST, 0, 0)
        },
        &[],
    );
    // The only buffer is in use now.
    let mut offered = 1;
    while guest.tx.used_index() == offered && offered < 1000 {
        guest.send_raw(
            Header {
                dst_port: 1,
                ..guest.header(REQUEST, 0, 0)
            },
            &[],
        );
        offered += 1;
    }
    assert!(offered < 1000, "an unlimited number of refusals waits");
    let refusals = guest.receive().len();
    assert_eq!(refusals, usize::from(offered));
    assert_eq!(guest.tx.used_index(), offered);
}

#[test]
fn a_packet_that_is_none_is_given_back() {
    let mut guest = Guest::connected();
    let header = guest.header(RW, 100, 0);
    guest.tx.write(TX_BUFFERS, &header.encode());
    let outside = MEMORY_BYTES - 50;
    for chain in [
        vec![readable(TX_BUFFERS, HEADER_BYTES - 1)],
        // The data is missing, too short, outside of memory, or not for the device to read.
        vec![readable(TX_BUFFERS, HEADER_BYTES)],
        vec![readable(TX_BUFFERS, HEADER_BYTES + 99)],
        vec![readable(TX_BUFFERS, HEADER_BYTES), readable(TX_BUFFERS, 99)],
        vec![readable(TX_BUFFERS, HEADER_BYTES), readable(outside, 100)],
        vec![
            readable(TX_BUFFERS, HEADER_BYTES),
            writable(TX_BUFFERS, 100),
        ],
        vec![writable(TX_BUFFERS, HEADER_BYTES)],
        vec![readable(u64::MAX - 20, HEADER_BYTES)],
    ] {
        let before = guest.tx.used_index();
        guest.tx.offer(&chain);
        guest.work();
        assert_eq!(guest.tx.used_index(), before + 1, "{chain:?}");
    }
    let too_long = Header {
        len: MAX_DATA_BYTES + 1,
        ..header
    };
    guest.tx.write(TX_BUFFERS, &too_long.encode());
    guest.tx.offer(&[
        readable(TX_BUFFERS, HEADER_BYTES),
        readable(TX_BUFFERS, MAX_DATA_BYTES + 1),
    ]);
    guest.work();
    assert_eq!(guest.host_read(), (vec![], false));
    assert!(!guest.connection_is_over());
}

#[test]
fn data_may_be_in_any_number_of_buffers() {
    let mut guest = Guest::connected();
    let data = pattern(5 * 4096);
    guest
        .tx
        .write(TX_BUFFERS, &guest.header(RW, data.len(), 0).encode());
    let mut chain = vec![readable(TX_BUFFERS, HEADER_BYTES)];
    for (i, page) in data.chunks(4096).enumerate() {
        // Last page first: they do not lie side by side.
        let address = TX_BUFFERS + (5 - i as u64) * 0x1_0000;
        guest.tx.write(address, page);
        chain.push(readable(address, 4096));
    }
    guest.tx.offer(&chain);
    guest.work();
    assert!(guest.host_read().0 == data);
}

#[test]
fn header_and_data_may_share_a_buffer() {
    let mut guest = Guest::connected();
    guest.tx.write(TX_BUFFERS, &guest.header(RW, 3, 0).encode());
    guest.tx.write(TX_BUFFERS + u64::from(HEADER_BYTES), b"abc");
    guest.tx.offer(&[readable(TX_BUFFERS, HEADER_BYTES + 3)]);
    guest.work();
    assert_eq!(guest.host_read(), (b"abc".to_vec(), false));
}

#[test]
fn a_buffer_without_room_is_given_back_and_stands_in_no_ones_way() {
    let mut guest = Guest::with_rx_buffers(0, 100);
    for bytes in [0, 10, HEADER_BYTES] {
        guest.rx.offer(&[writable(RX_BUFFERS, bytes)]);
    }
    guest.rx.offer(&[readable(RX_BUFFERS, 200)]);
    guest.rx.offer(&[writable(MEMORY_BYTES - 10, 200)]);
    guest.rx.offer(&[writable(RX_BUFFERS, 200)]);
    guest.send(REQUEST, &[], 0);
    let used: Vec<_> = guest
        .rx
        .take_used()
        .into_iter()
        .map(|(_, bytes)| bytes)
        .collect();
    assert_eq!(used, [0, 0, 0, 0, 0, HEADER_BYTES]);
}

#[test]
fn a_broken_queue_ends_everything() {
    let mut guest = Guest::connected();
    guest.tx.set_available_index(1000);
    guest.work();
    assert!(guest.vsock.active.is_none());
    assert_eq!(guest.host_read_to_end(), b"");
}

#[test]
fn queues_that_always_have_more_are_left_and_looked_at_again() {
    for endless in 0..2 {
        let mut guest = Guest::with_rx_buffers(8, 4096);
        guest.connect();
        // Something to be sent, so that the device looks for room.
        guest.host.write_all(b"data").unwrap();
        guest.vsock.muxer.stream_events();
        let queues = [&guest.rx, &guest.tx, &guest.events];
        let mut queues = queues.map(|driver| driver.device_queue(false));
        queues[endless] = [&guest.rx, &guest.tx][endless].endless_queue();
        let interrupt = Interrupt::new(guest.irqfd.try_clone().unwrap());
        guest.vsock.activate(queues.into(), interrupt).unwrap();
        guest.vsock.serve();
        let woken = guest.vsock.slots[FROM_GUEST].notify.read();
        assert!(woken.is_ok(), "queue {endless}");
    }
}

#[test]
fn a_reset_ends_connections_and_keeps_what_was_not_connected() {
    let mut guest = Guest::connected();
    guest.vsock.reset();
    assert_eq!(guest.host_read_to_end(), b"");
    guest.other_host.set_nonblocking(true).unwrap();
    let error = guest.other_host.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
}

#[test]
fn an_event_manager_wakes_it_and_lets_it_sleep() {
    use event_manager::{EventManager, MutEventSubscriber, SubscriberOps};
    use std::sync::{Arc, Mutex};

    let mut guest = Guest::with_rx_buffers(4, 100);
    guest.offer_raw(guest.header(REQUEST, 0, 0), &[]);
    let [rx_notify, tx_notify, _] = guest
        .vsock
        .slots
        .each_ref()
        .map(|slot| slot.notify.try_clone().unwrap());
    let vsock = std::mem::replace(&mut guest.vsock, Vsock::new(0, BTreeMap::new()).unwrap());
    let mut manager: EventManager<Arc<Mutex<dyn MutEventSubscriber + Send>>> =
        EventManager::new().unwrap();
    manager.add_subscriber(Arc::new(Mutex::new(vsock)));
    let mut settle = || {
        let mut rounds = 0;
        while manager.run_with_timeout(0).unwrap() > 0 {
            rounds += 1;
            assert!(rounds < 20, "it does not sleep");
        }
        rounds
    };
    tx_notify.write(1).unwrap();
    assert!(settle() > 0);
    assert_eq!(guest.take().len(), 1);
    // More than the guest's buffers take: it waits for the guest, not for the host.
    guest.host.write_all(&[1; 10_000]).unwrap();
    assert!(settle() > 0);
    let mut got = 0;
    while got < 10_000 {
        let bytes: usize = guest.take().iter().map(|(_, data)| data.len()).sum();
        assert!(bytes > 0);
        got += bytes;
        rx_notify.write(1).unwrap();
        assert!(settle() > 0);
    }
    // A host that does not read, and then one that is gone while the guest has no buffers.
    for _ in 0..4 {
        guest.offer_raw(guest.header(RW, 0x1_0000, 0), &[2; 0x1_0000]);
        tx_notify.write(1).unwrap();
        assert!(settle() > 0);
    }
    guest.host = UnixStream::pair().unwrap().0;
    assert!(settle() > 0);
    assert_eq!(settle(), 0);
}

/// A header that mostly belongs to one of two connections.
fn header() -> impl Strategy<Value = Header> {
    let cid = |usual| prop_oneof![20 => Just(usual), 1 => any::<u64>()];
    (
        (cid(GUEST_CID), cid(HOST_CID)),
        prop_oneof![20 => Just(GUEST_PORT), 1 => any::<u32>()],
        prop_oneof![10 => Just(PORT), 10 => Just(OTHER_PORT), 1 => any::<u32>()],
        prop_oneof![10 => 0u32..3000, 1 => Just(MAX_DATA_BYTES), 1 => any::<u32>()],
        prop_oneof![20 => Just(1u16), 1 => any::<u16>()],
        prop_oneof![10 => Just(RW), 10 => 0u16..9, 1 => any::<u16>()],
        prop_oneof![10 => 0u32..4, 1 => any::<u32>()],
        (
            prop_oneof![1 => 0u32..5000, 1 => any::<u32>()],
            prop_oneof![1 => 0u32..5000, 1 => any::<u32>()],
        ),
    )
        .prop_map(
            |((src_cid, dst_cid), src_port, dst_port, len, kind, op, flags, credit)| Header {
                src_cid,
                dst_cid,
                src_port,
                dst_port,
                len,
                kind,
                op,
                flags,
                buf_alloc: credit.0,
                fwd_cnt: credit.1,
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_packets_make_it_panic_or_keep_more_than_the_credit(
        steps in prop::collection::vec(
            (header(), 0usize..0x1_0001, 0usize..5000, any::<bool>()),
            0..60,
        ),
        connected: bool,
    ) {
        let mut guest = match connected {
            true => Guest::connected(),
            false => Guest::new(),
        };
        for (header, bytes, host_bytes, host_reads) in steps {
            let used = guest.tx.used_index();
            guest.send_raw(header, &vec![0; bytes]);
            let _ = guest.host.write(&vec![0; host_bytes]);
            if host_reads {
                guest.host_read();
            }
            guest.receive();
            prop_assert_eq!(guest.tx.used_index(), used + 1);
            prop_assert!(guest.kept_bytes() <= 2 * BUFFER_BYTES as usize);
            prop_assert!(guest.vsock.active.is_some());
        }
    }

    #[test]
    fn no_chain_makes_it_panic_or_keep_a_buffer(
        descriptors in prop::collection::vec(
            (
                prop_oneof![4 => RX_BUFFERS..RX_BUFFERS + 0x1000, 1 => any::<u64>()],
                prop_oneof![4 => 40u32..4096, 1 => any::<u32>()],
                0u16..8,
                0u16..20,
            ),
            16,
        ),
        heads in prop::collection::vec(0u16..16, 0..16),
    ) {
        let mut guest = Guest::with_rx_buffers(0, 100);
        for (i, (address, bytes, flags, next)) in descriptors.into_iter().enumerate() {
            guest.rx.store_descriptor(i as u16, address, bytes, flags, next);
            guest.tx.store_descriptor(i as u16, address, bytes, flags, next);
        }
        guest.rx.write(RX_BUFFERS, &guest.header(REQUEST, 0, 0).encode());
        for head in &heads {
            guest.rx.make_available(*head);
            guest.tx.make_available(*head);
        }
        guest.work();
        let used: Vec<_> = guest.tx.take_used().into_iter().map(|(head, _)| head).collect();
        prop_assert_eq!(used, heads);
        prop_assert!(guest.vsock.active.is_some());
    }
}
