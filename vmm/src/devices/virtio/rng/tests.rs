use std::sync::{Arc, Mutex};

use event_manager::{EventManager, MutEventSubscriber, SubscriberOps};
use proptest::prelude::*;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::{Interrupt, MAX_BYTES, Rng, VirtioDevice};
use crate::devices::StateBytes;
use crate::devices::virtio::driver::{self, Driver, readable, writable};
use crate::devices::virtio::mmio::MmioTransport;
use crate::memory::GuestMemory;

const MEMORY_BYTES: u64 = 1 << 20;
const RINGS: u64 = 0x1000;
const BUFFER: u64 = 0x1_0000;
const QUEUE: u16 = 8;

struct Guest {
    driver: Driver,
    rng: Rng,
    irqfd: EventFd,
}

impl Guest {
    fn new() -> Self {
        let memory: GuestMemory = crate::memory::allocate(MEMORY_BYTES).unwrap();
        let driver = Driver::new(&memory, RINGS, QUEUE);
        let irqfd = EventFd::new(EFD_NONBLOCK).unwrap();
        let mut rng = Rng::new().unwrap();
        rng.activate(
            vec![driver.device_queue(true)],
            Interrupt::new(irqfd.try_clone().unwrap()),
        )
        .unwrap();
        Self { driver, rng, irqfd }
    }

    /// Asks for this many bytes; what came.
    fn ask(&mut self, bytes: u32) -> Vec<u8> {
        self.driver.write(BUFFER, &vec![0; 2 * MAX_BYTES]);
        self.driver.offer(&[writable(BUFFER, bytes)]);
        self.rng.serve();
        let [(_, given)] = self.driver.take_used()[..] else {
            panic!("one answer was expected");
        };
        let all = self.driver.read(BUFFER, 2 * MAX_BYTES);
        let (given, rest) = all.split_at(given as usize);
        assert!(rest.iter().all(|byte| *byte == 0), "more than it says");
        given.to_vec()
    }
}

fn is_random(bytes: &[u8]) -> bool {
    // Of 64 random bytes, 57 are different on average.
    (0..=u8::MAX).filter(|byte| bytes.contains(byte)).count() > 32
}

#[test]
fn a_buffer_is_filled_with_other_bytes_each_time() {
    let mut guest = Guest::new();
    let (first, second) = (guest.ask(64), guest.ask(64));
    assert_eq!((first.len(), second.len()), (64, 64));
    assert!(is_random(&first) && is_random(&second));
    assert_ne!(first, second);
}

#[test]
fn however_long_the_buffer_is_an_answer_is_short() {
    let mut guest = Guest::new();
    assert_eq!(guest.ask(MAX_BYTES as u32).len(), MAX_BYTES);
    assert_eq!(guest.ask(MAX_BYTES as u32 + 1).len(), MAX_BYTES);
    assert_eq!(guest.ask((MEMORY_BYTES - BUFFER) as u32).len(), MAX_BYTES);
}

#[test]
fn a_buffer_in_pieces_is_filled_in_order() {
    let mut guest = Guest::new();
    guest.driver.offer(&[
        writable(BUFFER, 10),
        writable(BUFFER + 100, 0),
        writable(BUFFER + 200, 90),
    ]);
    guest.rng.serve();
    assert_eq!(guest.driver.take_used(), [(0, 100)]);
    assert!(is_random(&guest.driver.read(BUFFER + 200, 90)));
    assert_eq!(guest.driver.read(BUFFER + 10, 190), [0; 190]);
}

#[test]
fn what_can_not_be_filled_comes_back_empty() {
    for buffers in [
        &[readable(BUFFER, 64)][..],
        &[writable(BUFFER, 0)],
        &[writable(MEMORY_BYTES - 8, 64)],
        &[writable(u64::MAX - 8, 64)],
        &[writable(BUFFER, 8), readable(BUFFER, 8)],
    ] {
        let mut guest = Guest::new();
        guest.driver.offer(buffers);
        guest.rng.serve();
        assert_eq!(guest.driver.take_used(), [(0, 0)], "{buffers:?}");
        assert_eq!(guest.driver.read(BUFFER, 64), [0; 64], "{buffers:?}");
    }
}

#[test]
fn a_broken_queue_stops_it() {
    let mut guest = Guest::new();
    guest.driver.set_available_index(QUEUE + 1);
    guest.rng.serve();
    assert!(guest.rng.served_queues().is_none());
    assert!(guest.irqfd.read().is_ok());
}

#[test]
fn a_queue_that_always_has_more_is_left_and_looked_at_again() {
    let mut guest = Guest::new();
    let interrupt = Interrupt::new(guest.irqfd.try_clone().unwrap());
    let queues = vec![guest.driver.endless_queue()];
    guest.rng.activate(queues, interrupt).unwrap();
    guest.rng.serve();
    assert!(guest.rng.slots.offered()[0].notify.read().is_ok());
}

#[test]
fn an_event_manager_wakes_it() {
    let mut guest = Guest::new();
    guest.driver.offer(&[writable(BUFFER, 64)]);
    let notify = guest.rng.slots.offered()[0].notify.try_clone().unwrap();
    let mut manager: EventManager<Arc<Mutex<dyn MutEventSubscriber + Send>>> =
        EventManager::new().unwrap();
    manager.add_subscriber(Arc::new(Mutex::new(guest.rng)));
    notify.write(1).unwrap();
    assert_eq!(manager.run_with_timeout(1000).unwrap(), 1);
    assert_eq!(guest.driver.take_used(), [(0, 64)]);
    assert_eq!(manager.run_with_timeout(0).unwrap(), 0);
}

/// A request that waits when a machine is saved is answered in each that goes on from there, in
/// each with other bytes.
#[test]
fn two_copies_get_different_answers_to_what_was_asked_before() {
    let transport = |memory: &GuestMemory| {
        let rng = Arc::new(Mutex::new(Rng::new().unwrap()));
        let irqfd = EventFd::new(EFD_NONBLOCK).unwrap();
        let registers = MmioTransport::new(rng.clone(), memory.clone(), Interrupt::new(irqfd));
        (rng, registers)
    };
    let memory = crate::memory::allocate(MEMORY_BYTES).unwrap();
    let mut driver = Driver::new(&memory, RINGS, QUEUE);
    let (_, mut registers) = transport(&memory);
    driver::start(&mut registers, &[&driver]);
    driver.offer(&[writable(BUFFER, 64)]);
    let state = registers.save_bytes().unwrap();
    let rings = driver.read(RINGS, Driver::RINGS_BYTES as usize);

    let answers = [(); 2].map(|()| {
        let memory = crate::memory::allocate(MEMORY_BYTES).unwrap();
        let driver = Driver::new(&memory, RINGS, QUEUE);
        driver.write(RINGS, &rings);
        let (rng, mut registers) = transport(&memory);
        registers.restore_bytes(&state).unwrap();
        StateBytes::resume(&mut registers);
        let mut rng = rng.lock().unwrap();
        assert!(
            rng.slots.offered()[0].notify.read().is_ok(),
            "it is not woken"
        );
        rng.serve();
        assert_eq!(driver.used_index(), 1);
        driver.read(BUFFER, 64)
    });
    assert!(answers.iter().all(|answer| is_random(answer)));
    assert_ne!(answers[0], answers[1]);
}

proptest! {
    #[test]
    fn no_chain_makes_it_panic_or_keep_a_buffer(
        descriptors in prop::collection::vec(
            (
                prop_oneof![3 => BUFFER..BUFFER + 0x1000, 1 => any::<u64>()],
                prop_oneof![3 => 0u32..600, 1 => any::<u32>()],
                0u16..8,
                0u16..10,
            ),
            usize::from(QUEUE),
        ),
        heads in prop::collection::vec(0..QUEUE, 0..usize::from(QUEUE)),
    ) {
        let mut guest = Guest::new();
        for (i, (address, bytes, flags, next)) in (0..).zip(descriptors) {
            guest.driver.store_descriptor(i, address, bytes, flags, next);
        }
        for head in &heads {
            guest.driver.make_available(*head);
        }
        guest.rng.serve();
        let used = guest.driver.take_used();
        prop_assert!(used.iter().all(|(_, bytes)| *bytes <= MAX_BYTES as u32));
        let used: Vec<_> = used.into_iter().map(|(head, _)| head).collect();
        prop_assert_eq!(used, heads);
    }
}
