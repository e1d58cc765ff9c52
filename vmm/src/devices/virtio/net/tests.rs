use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;

use proptest::prelude::*;
use virtio_bindings::virtio_net::{VIRTIO_NET_F_CSUM, VIRTIO_NET_F_MRG_RXBUF};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::header::HEADER_BYTES;
use super::*;
use crate::devices::virtio::driver::{Driver, Offer, readable, writable};
use crate::memory::GuestMemory;

const MEMORY_BYTES: u64 = 16 << 20;
const RINGS: u64 = 0x1000;
const BUFFERS: u64 = 0x10_0000;
/// So far is one of a test's buffers from the next.
const STRIDE: u64 = 0x2_0000;

const MERGEABLE: u64 = 1 << VIRTIO_NET_F_MRG_RXBUF;

/// Its Ethernet address.
const ADDRESS: [u8; 6] = [2, 3, 4, 5, 6, 7];

/// A guest with a driver, and a host at the other end of the link.
struct Guest {
    to_guest: Driver,
    from_guest: Driver,
    net: Net,
    irqfd: EventFd,
    host: UnixDatagram,
}

impl Guest {
    fn new(features: u64) -> Self {
        Self::with(features, 16)
    }

    fn with(features: u64, queue_size: u16) -> Self {
        Self::limited(features, queue_size, None)
    }

    fn limited(features: u64, queue_size: u16, rate: Option<NonZeroU64>) -> Self {
        let (host, link) = UnixDatagram::pair().unwrap();
        for socket in [&host, &link] {
            socket.set_nonblocking(true).unwrap();
        }
        let mut net = Net::new(Some(Link {
            tap: Tap::stand_in(OwnedFd::from(link)),
            ethernet_address: ADDRESS,
            mtu: 1400,
            rate,
        }))
        .unwrap();
        let memory: GuestMemory = crate::memory::allocate(MEMORY_BYTES).unwrap();
        let to_guest = Driver::new(&memory, RINGS, queue_size);
        let from_guest = Driver::new(&memory, RINGS + Driver::RINGS_BYTES, queue_size);
        let irqfd = EventFd::new(EFD_NONBLOCK).unwrap();
        net.negotiated(features);
        net.activate(
            vec![to_guest.device_queue(true), from_guest.device_queue(true)],
            Interrupt::new(irqfd.try_clone().unwrap()),
        )
        .unwrap();
        Self {
            to_guest,
            from_guest,
            net,
            irqfd,
            host,
        }
    }

    fn hears(&self) -> Option<Vec<u8>> {
        let mut frame = vec![0; 1 << 17];
        let bytes = self.host.recv(&mut frame).ok()?;
        frame.truncate(bytes);
        Some(frame)
    }

    /// Sends a frame in one buffer; what the host gets.
    fn sends(&mut self, header: &[u8], frame: &[u8]) -> Option<Vec<u8>> {
        let bytes = [header, frame].concat();
        self.from_guest.write(BUFFERS, &bytes);
        let head = self
            .from_guest
            .offer(&[readable(BUFFERS, bytes.len() as u32)]);
        self.net.serve();
        assert_eq!(self.from_guest.take_used(), [(head, 0)]);
        self.hears()
    }

    fn is_broken(&self) -> bool {
        self.net.active.is_none()
    }
}

#[test]
fn a_queue_that_always_has_more_is_left_and_looked_at_again() {
    let mut guest = Guest::new(0);
    let queues = vec![
        guest.to_guest.device_queue(false),
        guest.from_guest.endless_queue(),
    ];
    let interrupt = Interrupt::new(guest.irqfd.try_clone().unwrap());
    guest.net.activate(queues, interrupt).unwrap();
    guest.net.serve();
    assert!(guest.net.slots[FROM_GUEST].notify.read().is_ok());
}

/// A frame as the tap gives it: with a header.
fn from_tap(frame: &[u8]) -> Vec<u8> {
    [&[0; HEADER_BYTES], frame].concat()
}

fn frame(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|i| (i * 7 + i / 256) as u8).collect()
}

#[test]
fn the_configuration_has_the_address_and_the_longest_packet() {
    let guest = Guest::new(0);
    let config = guest.net.config();
    assert_eq!(config[..6], ADDRESS);
    assert_eq!(config[10..], 1400u16.to_le_bytes());
    assert_eq!(guest.net.device_id(), 1);
}

#[test]
fn a_place_without_a_link_is_no_device() {
    let mut net = Net::new(None).unwrap();
    assert_eq!(net.device_id(), 0);
    assert_eq!(net.config(), [0; CONFIG_BYTES]);
    // A guest that uses it all the same reaches nobody.
    let guest = Guest::new(0);
    let queues = [&guest.to_guest, &guest.from_guest].map(|queue| queue.device_queue(true));
    net.activate(queues.into(), Interrupt::new(guest.irqfd))
        .unwrap();
    net.serve();
}

#[test]
fn a_frame_leaves_however_the_driver_has_cut_it() {
    let sent = from_tap(&frame(1000));
    for cuts in [
        &[0, 1012][..],
        &[0, 12, 1012],
        &[0, 5, 40, 1012],
        &[0, 13, 1012],
    ] {
        let mut guest = Guest::new(0);
        guest.from_guest.write(BUFFERS, &sent);
        let offers: Vec<_> = cuts
            .windows(2)
            .map(|cut| readable(BUFFERS + cut[0], (cut[1] - cut[0]) as u32))
            .collect();
        let head = guest.from_guest.offer(&offers);
        guest.from_guest.ask_for_interrupt();
        guest.net.serve();
        assert_eq!(guest.from_guest.take_used(), [(head, 0)]);
        assert_eq!(guest.hears(), Some(sent.clone()), "{cuts:?}");
        assert!(guest.irqfd.read().is_ok());
    }
}

#[test]
fn what_is_no_frame_or_asks_for_too_much_is_sent_to_nobody() {
    let mut header = [0; HEADER_BYTES];
    let mut guest = Guest::new(1 << VIRTIO_NET_F_CSUM);
    assert_eq!(guest.sends(&header[..5], &[]), None);
    assert_eq!(guest.sends(&header, &frame(13)), None);
    assert_eq!(guest.sends(&header, &frame(tap::MAX_FRAME_BYTES + 1)), None);
    header[1] = 1;
    assert_eq!(guest.sends(&header, &frame(100)), None);
    header = [0; HEADER_BYTES];
    header[0] = 1;
    let sent = [&header[..], &frame(100)].concat();
    assert_eq!(guest.sends(&header, &frame(100)), Some(sent));
    assert_eq!(Guest::new(0).sends(&header, &frame(100)), None);
    assert!(!guest.is_broken());
}

#[test]
fn a_frame_arrives_in_a_buffer() {
    let mut guest = Guest::new(0);
    let head = guest
        .to_guest
        .offer(&[writable(BUFFERS, 12), writable(BUFFERS + 100, 2000)]);
    guest.to_guest.ask_for_interrupt();
    guest.host.send(&from_tap(&frame(1000))).unwrap();
    guest.net.serve();
    assert_eq!(guest.to_guest.take_used(), [(head, 1012)]);
    let mut header = [0; HEADER_BYTES];
    header[10] = 1;
    assert_eq!(guest.to_guest.read(BUFFERS, 12), header);
    assert_eq!(guest.to_guest.read(BUFFERS + 100, 1000), frame(1000));
    assert!(guest.irqfd.read().is_ok());
}

#[test]
fn what_the_driver_would_not_understand_is_left_out() {
    for (features, flags) in [(0, 0), (1 << VIRTIO_NET_F_GUEST_CSUM, 2)] {
        let mut guest = Guest::new(features);
        guest.to_guest.offer(&[writable(BUFFERS, 2000)]);
        let mut sent = from_tap(&frame(60));
        sent[0] = 2;
        guest.host.send(&sent).unwrap();
        guest.net.serve();
        assert_eq!(guest.to_guest.read(BUFFERS, 1), [flags]);
    }
}

#[test]
fn a_long_frame_is_spread_over_buffers_that_come_back_together() {
    let mut guest = Guest::new(MERGEABLE);
    let heads: Vec<_> = (0..4)
        .map(|i| guest.to_guest.offer(&[writable(BUFFERS + i * STRIDE, 500)]))
        .collect();
    guest.host.send(&from_tap(&frame(1200))).unwrap();
    guest.net.serve();
    let used = guest.to_guest.take_used();
    assert_eq!(used, [(heads[0], 500), (heads[1], 500), (heads[2], 212)]);
    assert_eq!(guest.to_guest.read(BUFFERS + 10, 2), [3, 0]);
    let mut got = guest.to_guest.read(BUFFERS + 12, 488);
    got.extend(guest.to_guest.read(BUFFERS + STRIDE, 500));
    got.extend(guest.to_guest.read(BUFFERS + 2 * STRIDE, 212));
    assert_eq!(got, frame(1200));
}

#[test]
fn a_frame_waits_until_there_is_room_for_all_of_it() {
    let mut guest = Guest::new(MERGEABLE);
    guest.to_guest.offer(&[writable(BUFFERS, 500)]);
    guest.host.send(&from_tap(&frame(600))).unwrap();
    guest.host.send(&from_tap(&frame(100))).unwrap();
    guest.net.serve();
    assert_eq!(guest.to_guest.take_used(), []);
    // It wants to know of the next buffer.
    assert_eq!(guest.to_guest.available_event(), 1);
    guest.to_guest.offer(&[writable(BUFFERS + STRIDE, 500)]);
    guest.to_guest.offer(&[writable(BUFFERS + 2 * STRIDE, 500)]);
    guest.net.serve();
    let bytes: Vec<_> = guest
        .to_guest
        .take_used()
        .iter()
        .map(|used| used.1)
        .collect();
    assert_eq!(bytes, [500, 112, 112]);
}

#[test]
fn a_frame_that_no_room_will_do_for_is_lost_and_the_next_one_comes() {
    // In one buffer, or in all that the queue has.
    for (features, queue_size, buffers) in [(0, 16, 1), (MERGEABLE, 4, 4)] {
        let mut guest = Guest::with(features, queue_size);
        for i in 0..buffers {
            guest.to_guest.offer(&[writable(BUFFERS + i * STRIDE, 200)]);
        }
        guest.host.send(&from_tap(&frame(1000))).unwrap();
        guest.host.send(&from_tap(&frame(100))).unwrap();
        guest.net.serve();
        let used: Vec<_> = guest
            .to_guest
            .take_used()
            .iter()
            .map(|used| used.1)
            .collect();
        assert_eq!(used, [112]);
    }
}

#[test]
fn no_direction_keeps_the_thread_for_itself() {
    let mut guest = Guest::with(0, 256);
    for _ in 0..100 {
        guest.from_guest.offer(&[readable(BUFFERS, 100)]);
    }
    guest.net.serve();
    assert_eq!(guest.from_guest.take_used().len(), FRAMES_AT_ONCE as usize);
    // It wakes itself for the rest.
    assert!(guest.net.slots[FROM_GUEST].notify.read().is_ok());
    guest.net.serve();
    assert_eq!(
        guest.from_guest.take_used().len(),
        100 - FRAMES_AT_ONCE as usize
    );
    assert!(guest.net.slots[FROM_GUEST].notify.read().is_err());
}

#[test]
fn an_interrupt_is_raised_for_the_chain_that_the_driver_waits_for() {
    let mut guest = Guest::new(MERGEABLE);
    for i in 0..8 {
        guest.to_guest.offer(&[writable(BUFFERS + i * STRIDE, 100)]);
    }
    // The third one is in the middle of a frame.
    guest.to_guest.set_used_event(2);
    guest.host.send(&from_tap(&frame(50))).unwrap();
    guest.net.serve();
    assert!(guest.irqfd.read().is_err());
    guest.host.send(&from_tap(&frame(300))).unwrap();
    guest.net.serve();
    assert_eq!(guest.to_guest.take_used().len(), 5);
    assert!(guest.irqfd.read().is_ok());
    guest.host.send(&from_tap(&frame(50))).unwrap();
    guest.net.serve();
    assert!(guest.irqfd.read().is_err());
}

#[test]
fn a_broken_ring_stops_the_device_until_it_is_reset() {
    for broken in 0..QUEUES {
        let mut guest = Guest::new(0);
        let queue = [&mut guest.to_guest, &mut guest.from_guest];
        queue
            .into_iter()
            .nth(broken)
            .unwrap()
            .set_available_index(1000);
        guest.host.send(&from_tap(&frame(100))).unwrap();
        guest.net.serve();
        assert!(guest.is_broken(), "{broken}");
        assert!(guest.net.served_queues().is_none());
        assert!(guest.irqfd.read().is_ok());
        guest.net.serve();
    }
}

#[test]
fn a_number_that_is_no_descriptor_stops_the_device() {
    let mut guest = Guest::new(MERGEABLE);
    guest.to_guest.offer(&[writable(BUFFERS, 100)]);
    guest.to_guest.make_available(77);
    guest.to_guest.offer(&[writable(BUFFERS + STRIDE, 1000)]);
    guest.host.send(&from_tap(&frame(500))).unwrap();
    guest.net.serve();
    assert!(guest.is_broken());
}

fn offer() -> impl Strategy<Value = Offer> {
    let address = prop_oneof![
        0..MEMORY_BYTES,
        MEMORY_BYTES - 100..MEMORY_BYTES + 100,
        any::<u64>(),
    ];
    let bytes = prop_oneof![0u32..3000, 0u32..0x2_0000, any::<u32>()];
    (address, bytes, any::<bool>()).prop_map(|(address, bytes, writable)| Offer {
        address,
        bytes,
        writable,
    })
}

proptest! {
    #[test]
    fn no_descriptors_and_no_headers_make_it_panic(
        features: u64,
        event_idx: bool,
        chains in prop::collection::vec(prop::collection::vec(offer(), 1..5), 0..12),
        frames in prop::collection::vec(0usize..3000, 0..6),
        noise in prop::collection::vec(any::<u8>(), 0..4096),
        raw in prop::collection::vec(
            (0u16..16, any::<u64>(), any::<u32>(), any::<u16>(), any::<u16>()), 0..4,
        ),
    ) {
        let mut guest = Guest::new(features);
        let queues = [&guest.to_guest, &guest.from_guest];
        let queues = queues.map(|queue| queue.device_queue(event_idx)).into();
        guest.net.activate(queues, Interrupt::new(guest.irqfd.try_clone().unwrap())).unwrap();
        guest.from_guest.write(BUFFERS, &noise);
        for chain in &chains {
            guest.to_guest.offer(chain);
            guest.from_guest.offer(chain);
        }
        for (index, address, bytes, flags, next) in raw {
            for driver in [&guest.to_guest, &guest.from_guest] {
                driver.store_descriptor(index, address, bytes, flags, next);
            }
        }
        for length in frames {
            // The socket may be full.
            let _ = guest.host.send(&from_tap(&frame(length)));
        }
        for _ in 0..3 {
            guest.net.serve();
        }
    }

    #[test]
    fn every_frame_arrives_once_whole_and_in_order(
        mergeable: bool,
        sizes in prop::collection::vec(100u32..1200, 1..12),
        lengths in prop::collection::vec(14usize..80, 0..8),
    ) {
        let mut guest = Guest::new(if mergeable { MERGEABLE } else { 0 });
        let mut places = Vec::new();
        for (i, size) in (0..).zip(&sizes) {
            let address = BUFFERS + i * STRIDE;
            let head = guest.to_guest.offer(&[writable(address, *size)]);
            places.push((head, address));
        }
        for length in &lengths {
            guest.host.send(&from_tap(&frame(*length))).unwrap();
        }
        guest.net.serve();
        let got: Vec<_> = guest.to_guest.take_used().into_iter().map(|(head, bytes)| {
            let (_, address) = places.iter().find(|(of, _)| *of == head).unwrap();
            guest.to_guest.read(*address, bytes as usize).split_off(HEADER_BYTES)
        }).collect();
        let count = lengths.len().min(sizes.len());
        let expected: Vec<_> = lengths[..count].iter().map(|length| frame(*length)).collect();
        prop_assert_eq!(got, expected);
    }
}

#[test]
fn a_frame_beyond_the_limit_waits_in_its_queue() {
    // A byte a second: the second frame would have to wait for a quarter of an hour.
    let mut guest = Guest::limited(0, 16, NonZeroU64::new(1));
    let sent = [&[0; HEADER_BYTES][..], &frame(1000)].concat();
    guest.from_guest.write(BUFFERS, &sent);
    let heads = [0; 2].map(|_| guest.from_guest.offer(&[readable(BUFFERS, 1012)]));
    guest.net.serve();
    assert_eq!(guest.from_guest.take_used(), [(heads[0], 0)]);
    assert!(guest.hears().is_some());
    guest.net.serve();
    assert_eq!(guest.hears(), None);
    // The other way has a limit of its own.
    for _ in 0..2 {
        guest.to_guest.offer(&[writable(BUFFERS, 2000)]);
        guest.host.send(&sent).unwrap();
    }
    guest.net.serve();
    guest.net.serve();
    assert_eq!(guest.to_guest.take_used().len(), 1);
}

#[test]
fn what_waited_goes_on_when_the_timer_says_so() {
    // Two of three frames empty what may pass at once, which is 2000 bytes.
    let mut guest = Guest::limited(0, 16, NonZeroU64::new(20_000));
    guest.from_guest.write(BUFFERS, &from_tap(&frame(1400)));
    for _ in 0..3 {
        guest.from_guest.offer(&[readable(BUFFERS, 1412)]);
    }
    guest.net.serve();
    for _ in 0..2 {
        assert!(guest.hears().is_some());
    }
    while guest.hears().is_none() {
        guest.net.limits.as_mut().unwrap().woken();
        guest.net.serve();
    }
    assert_eq!(guest.from_guest.take_used().len(), 3);
}
