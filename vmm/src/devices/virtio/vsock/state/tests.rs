use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;

use proptest::prelude::*;

use super::super::BUFFER_BYTES;
use super::super::tests::{Header, *};
use super::*;
use crate::devices::virtio::{DeviceQueue, Interrupt, VirtioDevice};
use crate::devices::{StateBytes, StateError};

impl Guest {
    fn save(&mut self) -> Vec<u8> {
        self.vsock.save_bytes().unwrap()
    }

    /// Another device, and other ends of the host, over the same memory; not restored yet.
    fn replace_device(&mut self) -> Vec<DeviceQueue> {
        let queues = self.vsock.served_queues().unwrap();
        let queues = [&self.rx, &self.tx, &self.events]
            .into_iter()
            .zip(queues)
            .map(|(driver, queue)| driver.device_queue_at(true, queue.position()))
            .collect();
        let (host, device) = UnixStream::pair().unwrap();
        let (other_host, other_device) = UnixStream::pair().unwrap();
        host.set_nonblocking(true).unwrap();
        let ports = BTreeMap::from([(PORT, device), (OTHER_PORT, other_device)]);
        self.vsock = Vsock::new(GUEST_CID, ports).unwrap();
        self.host = host;
        self.other_host = other_host;
        queues
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), StateError> {
        let queues = self.replace_device();
        self.vsock.restore_bytes(state)?;
        let interrupt = Interrupt::new(self.irqfd.try_clone().unwrap());
        self.vsock.activate(queues, interrupt).unwrap();
        // Its transport wakes it.
        self.work();
        Ok(())
    }

    /// Saves the device and goes on with another; what the host had not read is read before.
    fn move_device(&mut self) -> Vec<u8> {
        let read = read_now(&self.host);
        let state = self.save();
        self.restore(&state).unwrap();
        read
    }
}

/// What there is to be read.
fn read_now(mut host: &UnixStream) -> Vec<u8> {
    let mut all = Vec::new();
    // Ends where the stream does, or where it would block.
    let _ = host.read_to_end(&mut all);
    all
}

fn ends_of(guest: &mut Guest) -> (bool, bool) {
    let sends = guest.host.write(&[]).is_ok() && guest.host.write(b"x").is_ok();
    let receives = !matches!(guest.host.read(&mut [0]), Ok(0));
    (sends, receives)
}

#[test]
fn what_the_host_sent_before_the_save_reaches_the_guest_after_the_restore() {
    let mut guest = Guest::connected();
    guest.host.write_all(b"before ").unwrap();
    guest.move_device();
    guest.host.write_all(b"after").unwrap();
    let data: Vec<u8> = guest
        .receive()
        .into_iter()
        .flat_map(|(_, data)| data)
        .collect();
    assert_eq!(data, b"before after");
}

#[test]
fn a_device_that_was_saved_goes_on_itself() {
    let mut guest = Guest::connected();
    guest.host.write_all(b"before ").unwrap();
    guest.save();
    guest.host.write_all(b"after").unwrap();
    let data: Vec<u8> = guest
        .receive()
        .into_iter()
        .flat_map(|(_, data)| data)
        .collect();
    assert_eq!(data, b"before after");
}

#[test]
fn a_full_stream_fits_into_a_state() {
    let mut guest = Guest::with_rx_buffers(1, 100);
    guest.connect();
    let mut sent = 0;
    while let Ok(bytes) = guest.host.write(&pattern(sent + 4096)[sent..]) {
        sent += bytes;
    }
    guest.move_device();
    let mut got = Vec::new();
    while got.len() < sent {
        let packets = guest.receive();
        assert!(!packets.is_empty());
        for (_, data) in packets {
            guest.fwd_cnt += data.len() as u32;
            got.extend(data);
        }
        guest.send(CREDIT_UPDATE, &[], 0);
    }
    assert!(got == pattern(sent));
}

#[test]
fn what_the_guest_sent_before_the_save_reaches_the_host_after_the_restore() {
    let mut guest = Guest::connected();
    let data = pattern(BUFFER_BYTES as usize);
    for part in data.chunks(0x1_0000) {
        guest.send(RW, part, 0);
    }
    guest.send(SHUTDOWN, &[], SHUTDOWN_SEND);
    assert!(
        guest.kept_bytes() > 0,
        "the test is for a host that is slow"
    );
    let mut got = guest.move_device();
    got.extend(guest.host_read_to_end());
    assert!(got == data);
}

#[test]
fn an_end_that_the_host_made_before_the_save_comes_behind_its_data() {
    let mut guest = Guest::connected();
    guest.host.write_all(b"last words").unwrap();
    guest.host.shutdown(Shutdown::Write).unwrap();
    guest.move_device();
    let packets = guest.receive();
    assert_eq!(packets[0].1, b"last words");
    assert_eq!(
        (packets[1].0.op, packets[1].0.flags),
        (SHUTDOWN, SHUTDOWN_SEND)
    );
    guest.send(RW, b"to the host", 0);
    assert_eq!(guest.host_read(), (b"to the host".to_vec(), false));
}

#[test]
fn a_direction_that_was_shut_down_stays_so_for_the_next_host() {
    for (flags, expected) in [
        (0, (true, true)),
        (SHUTDOWN_RECEIVE, (false, true)),
        (SHUTDOWN_SEND, (true, false)),
    ] {
        let mut guest = Guest::connected();
        if flags != 0 {
            guest.send(SHUTDOWN, &[], flags);
        }
        guest.move_device();
        assert_eq!(ends_of(&mut guest), expected, "{flags}");
    }
}

#[test]
fn ports_stay_free_or_over() {
    let mut guest = Guest::connected();
    guest.send(RST, &[], 0);
    guest.move_device();
    assert!(guest.connection_is_over());
    assert_eq!(guest.host_read_to_end(), b"");
    let to_other = Header {
        dst_port: OTHER_PORT,
        ..guest.header(REQUEST, 0, 0)
    };
    guest.send_raw(to_other, &[]);
    assert_eq!(guest.receive_ops(), [(RESPONSE, 0)]);
}

#[test]
fn refusals_that_wait_are_sent_after_the_restore() {
    let mut guest = Guest::with_rx_buffers(0, 100);
    let nowhere = Header {
        dst_port: 1,
        ..guest.header(REQUEST, 0, 0)
    };
    guest.send_raw(nowhere, &[]);
    guest.move_device();
    guest.rx.offer(&[crate::devices::virtio::driver::writable(
        RX_BUFFERS,
        guest.rx_bytes,
    )]);
    let packets = guest.receive();
    assert_eq!(packets.len(), 1);
    assert_eq!((packets[0].0.op, packets[0].0.src_port), (RST, 1));
}

#[test]
fn a_connection_to_a_port_that_is_gone_is_reset_by_the_restore() {
    let mut guest = Guest::connected();
    let (_stays, device) = UnixStream::pair().unwrap();
    let (_stays_too, other) = UnixStream::pair().unwrap();
    let more = BTreeMap::from([(2000, device), (2001, other)]);
    guest.vsock.add_ports(more).unwrap();
    let request = Header {
        dst_port: 2000,
        ..guest.header(REQUEST, 0, 0)
    };
    guest.send_raw(request, &[]);
    assert_eq!(guest.receive_ops(), [(RESPONSE, 0)]);
    guest.move_device();
    let packets = guest.receive();
    assert_eq!(packets.len(), 1);
    assert_eq!((packets[0].0.op, packets[0].0.src_port), (RST, 2000));
    // What was not gone lives on, and what is gone does not come back.
    guest.host.write_all(b"here").unwrap();
    assert_eq!(guest.receive()[0].1, b"here");
    guest.send_raw(
        Header {
            dst_port: 2001,
            ..request
        },
        &[],
    );
    assert_eq!(guest.receive_ops(), [(RST, 0)]);
}

#[test]
fn a_state_that_can_not_be_is_refused() {
    let mut guest = Guest::connected();
    type Spoil = fn(&mut State);
    let cases: [(Spoil, &str); 5] = [
        (
            |state| state.guest_cid = 9,
            "sockets of the guest with context ID 9",
        ),
        (
            |state| drop(state.ports.remove(&OTHER_PORT)),
            "other ports than the device has",
        ),
        (
            |state| {
                let many = 10_000..10_000 + MAX_PORTS as u32;
                state.ports.extend(many.map(|port| (port, PortState::Free)));
            },
            "other ports than the device has",
        ),
        (
            |state| {
                let reset = Reset {
                    src_cid: 2,
                    src_port: 1,
                    dst_port: 1,
                    packet_type: 1,
                };
                state.resets = vec![reset; 3000];
            },
            "3000 refusals",
        ),
        (
            |state| {
                let Some(PortState::Connected(connection)) = state.ports.get_mut(&PORT) else {
                    panic!("it is connected");
                };
                connection.guest_shut = 4;
            },
            "the connection to port 1024 can't be",
        ),
    ];
    for (spoil, expected) in cases {
        let mut state = SavedState::save(&mut guest.vsock);
        spoil(&mut state);
        let mut other = Guest::new();
        let error = other.vsock.restore(state).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_device_that_was_used_is_not_restored() {
    let mut guest = Guest::connected();
    let state = SavedState::save(&mut guest.vsock);
    assert!(matches!(
        guest.vsock.restore(state),
        Err(InvalidState::InUse(PORT))
    ));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    GuestSends(usize),
    GuestTakes,
    GuestForwards(usize),
    GuestEnds,
    HostSends(usize),
    HostReads(usize),
    HostEnds,
    Work,
    Save,
    Move,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1usize..0x1_0000).prop_map(Step::GuestSends),
        4 => Just(Step::GuestTakes),
        4 => (1usize..20_000).prop_map(Step::GuestForwards),
        1 => Just(Step::GuestEnds),
        4 => (1usize..100_000).prop_map(Step::HostSends),
        4 => (1usize..100_000).prop_map(Step::HostReads),
        1 => Just(Step::HostEnds),
        4 => Just(Step::Work),
        2 => Just(Step::Save),
        2 => Just(Step::Move),
    ]
}

/// Bytes on their way in one direction.
#[derive(Default)]
struct Direction {
    sent: usize,
    got: Vec<u8>,
    ended: bool,
    end_seen: bool,
}

impl Direction {
    /// What comes next.
    fn next(&self, bytes: usize) -> Vec<u8> {
        pattern(self.sent + bytes).split_off(self.sent)
    }

    fn is_whole(&self) -> bool {
        self.end_seen && self.got.len() == self.sent && self.got == pattern(self.sent)
    }
}

/// A guest and a host that keep to the rules.
struct Talk {
    guest: Guest,
    to_host: Direction,
    to_guest: Direction,
    /// Of what the guest has sent, how much it knows to be with the host.
    told: usize,
    guest_holds: usize,
}

impl Talk {
    const GUEST_BUFFER: usize = 20_000;

    fn new() -> Self {
        let mut guest = Guest::with_rx_buffers(6, 3000);
        guest.buf_alloc = Self::GUEST_BUFFER as u32;
        guest.connect();
        Self {
            guest,
            to_host: Direction::default(),
            to_guest: Direction::default(),
            told: 0,
            guest_holds: 0,
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::GuestSends(bytes) => {
                let room = BUFFER_BYTES as usize - (self.to_host.sent - self.told);
                let bytes = bytes.min(room);
                if bytes > 0 && !self.to_host.ended {
                    self.guest.send(RW, &self.to_host.next(bytes), 0);
                    self.to_host.sent += bytes;
                }
            }
            Step::GuestTakes => {
                for (header, data) in self.guest.take() {
                    assert!(matches!(
                        header.op,
                        RW | CREDIT_UPDATE | CREDIT_REQUEST | SHUTDOWN
                    ));
                    assert!(!self.to_guest.end_seen || header.op != RW);
                    self.told = header.fwd_cnt as usize;
                    self.to_guest.end_seen |= header.op == SHUTDOWN;
                    self.guest_holds += data.len();
                    assert!(self.guest_holds <= Self::GUEST_BUFFER);
                    self.to_guest.got.extend(data);
                }
            }
            Step::GuestForwards(bytes) => {
                let bytes = bytes.min(self.guest_holds);
                self.guest_holds -= bytes;
                self.guest.fwd_cnt += bytes as u32;
                self.guest.send(CREDIT_UPDATE, &[], 0);
            }
            Step::GuestEnds if !self.to_host.ended => {
                self.to_host.ended = true;
                self.guest.send(SHUTDOWN, &[], SHUTDOWN_SEND);
            }
            Step::HostSends(bytes) if !self.to_guest.ended => {
                if let Ok(bytes) = self.guest.host.write(&self.to_guest.next(bytes)) {
                    self.to_guest.sent += bytes;
                }
            }
            Step::HostReads(bytes) => {
                let mut buffer = vec![0; bytes];
                match self.guest.host.read(&mut buffer) {
                    Ok(0) => self.to_host.end_seen = true,
                    Ok(bytes) => self.to_host.got.extend(&buffer[..bytes]),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
            }
            Step::HostEnds if !self.to_guest.ended => {
                self.to_guest.ended = true;
                self.guest.host.shutdown(Shutdown::Write).unwrap();
            }
            Step::GuestEnds | Step::HostSends(_) | Step::HostEnds => (),
            Step::Work => self.guest.work(),
            Step::Save => {
                self.guest.save();
                // As after every save, the device is woken.
                self.guest.work();
            }
            Step::Move => {
                let read = self.guest.move_device();
                self.to_host.got.extend(read);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn all_bytes_arrive_in_order_however_often_the_device_is_moved(
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let mut talk = Talk::new();
        for step in steps {
            talk.step(step);
        }
        let mut rounds = 0;
        while !(talk.to_host.is_whole() && talk.to_guest.is_whole()) {
            for step in [
                Step::GuestEnds,
                Step::HostEnds,
                Step::Work,
                Step::GuestTakes,
                Step::GuestForwards(usize::MAX),
                Step::HostReads(1 << 20),
            ] {
                talk.step(step);
            }
            rounds += 1;
            prop_assert!(rounds < 1000, "something was lost");
        }
    }

    #[test]
    fn no_state_makes_it_panic_or_keep_more_than_it_says(
        steps in prop::collection::vec(step(), 0..20),
        flips in prop::collection::vec((0usize..80, 0u32..8), 0..6),
        far_flips in prop::collection::vec((any::<prop::sample::Index>(), 0u32..8), 0..3),
        after in prop::collection::vec((0u16..9, 0usize..3000, 0u32..4), 0..20),
    ) {
        let mut talk = Talk::new();
        for step in steps {
            talk.step(step);
        }
        let mut guest = talk.guest;
        let mut state = guest.save();
        for (at, bit) in flips {
            let at = at % state.len();
            state[at] ^= 1 << bit;
        }
        for (index, bit) in far_flips {
            *index.get_mut(&mut state) ^= 1 << bit;
        }
        if guest.restore(&state).is_ok() {
            for (op, bytes, flags) in after {
                guest.send(op, &vec![0; bytes], flags);
                let _ = guest.host.write(&[0; 100]);
                guest.receive();
                prop_assert!(guest.kept_bytes() <= 2 * BUFFER_BYTES as usize);
            }
            guest.save();
        }
    }

    #[test]
    fn no_bytes_make_it_panic(state in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut guest = Guest::new();
        let _ = guest.restore(&state);
    }
}
