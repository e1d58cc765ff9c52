use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex};

use event_manager::{EventManager, MutEventSubscriber, SubscriberOps};
use proptest::prelude::*;
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryRegion, MemoryRegionAddress};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::*;
use crate::devices::virtio::driver::{Driver, Offer, readable, writable};
use crate::memory::{self, GuestMemory};

const PAGE: u64 = 4096;
const MEMORY_BYTES: u64 = 8 << 20;
const RINGS: u64 = 0x1000;
/// Behind the rings of all queues.
const FREE: u64 = 0x10_0000;

struct Guest {
    drivers: [Driver; QUEUES],
    balloon: Balloon,
    irqfd: EventFd,
}

impl Guest {
    fn new() -> Self {
        Self::in_memory(memory::allocate(MEMORY_BYTES).unwrap())
    }

    fn in_memory(memory: GuestMemory) -> Self {
        let drivers = [0, 1, 2]
            .map(|number| Driver::new(&memory, RINGS + number * Driver::RINGS_BYTES, QUEUE_SIZE));
        let irqfd = EventFd::new(EFD_NONBLOCK).unwrap();
        let mut balloon = Balloon::new().unwrap();
        let queues = drivers.iter().map(|driver| driver.device_queue(true));
        let interrupt = Interrupt::new(irqfd.try_clone().unwrap());
        balloon.activate(queues.collect(), interrupt).unwrap();
        Self {
            drivers,
            balloon,
            irqfd,
        }
    }

    fn fill(&self, address: u64, bytes: u64) {
        self.drivers[0].write(address, &vec![1; bytes as usize]);
    }

    fn report(&mut self, ranges: &[Offer]) {
        let head = self.drivers[REPORTS].offer(ranges);
        self.balloon.serve();
        assert_eq!(self.drivers[REPORTS].take_used(), [(head, 0)]);
    }

    /// Bytes of the host's that this part of guest memory takes.
    fn resident_bytes(&self, address: u64, bytes: u64) -> u64 {
        let region = self.drivers[0].memory.iter().next().unwrap();
        let place = MemoryRegionAddress(address);
        let start = region.get_slice(place, bytes as usize).unwrap();
        let pagemap = File::open("/proc/self/pagemap").unwrap();
        let mut entries = vec![0; (bytes / PAGE * 8) as usize];
        let first = start.ptr_guard().as_ptr() as u64 / PAGE;
        pagemap.read_exact_at(&mut entries, first * 8).unwrap();
        let (entries, _) = entries.as_chunks();
        let is_present = |entry: &&[u8; 8]| u64::from_le_bytes(**entry) >> 63 == 1;
        entries.iter().filter(is_present).count() as u64 * PAGE
    }
}

#[test]
fn memory_that_is_reported_goes_back_to_the_host() {
    const FREED: u64 = 4 << 20;
    let mut guest = Guest::new();
    guest.fill(FREE, FREED);
    assert_eq!(guest.resident_bytes(FREE, FREED), FREED);
    guest.report(&[
        writable(FREE, (FREED / 2) as u32),
        writable(FREE + FREED / 2, (FREED / 2) as u32),
    ]);
    assert_eq!(guest.resident_bytes(FREE, FREED), 0);
    assert_eq!(guest.drivers[0].read(FREE, 8), [0; 8]);
    assert!(guest.irqfd.read().is_ok());
}

#[test]
fn what_is_not_reported_stays() {
    let mut guest = Guest::new();
    guest.fill(FREE, 4 * PAGE);
    // A part of a page is no page.
    guest.report(&[writable(FREE + PAGE - 1, PAGE as u32 + 2)]);
    assert_eq!(
        guest.drivers[0].read(FREE, PAGE as usize),
        [1; PAGE as usize]
    );
    assert_eq!(guest.drivers[0].read(FREE + PAGE, 1), [0]);
    let behind = guest.drivers[0].read(FREE + 2 * PAGE, 2 * PAGE as usize);
    assert_eq!(behind, [1; 2 * PAGE as usize]);
}

#[test]
fn memory_of_a_snapshot_reads_as_it_was_saved_after_a_report() {
    let memory = memory::allocate(MEMORY_BYTES).unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&[7; 2 * PAGE as usize]).unwrap();
    let region = memory.iter().next().unwrap();
    let place = region
        .get_slice(MemoryRegionAddress(FREE), 2 * PAGE as usize)
        .unwrap();
    // SAFETY: whole pages, which the file has as long as the test runs.
    unsafe { memory::map_file(&place, &file, 0).unwrap() };
    let mut guest = Guest::in_memory(memory.clone());
    guest.fill(FREE, PAGE);
    guest.report(&[writable(FREE, 2 * PAGE as u32)]);
    assert_eq!(
        guest.drivers[0].read(FREE, 2 * PAGE as usize),
        [7; 2 * PAGE as usize]
    );
    // The file itself is never written.
    let mut content = [0; 2 * PAGE as usize];
    file.read_exact_at(&mut content, 0).unwrap();
    assert_eq!(content, [7; 2 * PAGE as usize]);
}

#[test]
fn a_report_that_is_none_frees_nothing() {
    for ranges in [
        &[writable(MEMORY_BYTES - PAGE, 2 * PAGE as u32)][..],
        &[writable(FREE, PAGE as u32), writable(u64::MAX - 1, 8)],
        &[writable(FREE, PAGE as u32), readable(FREE, 8)],
        &[readable(FREE, PAGE as u32)],
        &[writable(FREE, 0)],
    ] {
        let mut guest = Guest::new();
        guest.fill(FREE, PAGE);
        guest.report(ranges);
        assert_eq!(guest.drivers[0].read(FREE, 1), [1], "{ranges:?}");
    }
}

#[test]
fn pages_that_are_put_into_it_unasked_stay_the_guests() {
    for number in [0, 1] {
        let mut guest = Guest::new();
        guest.fill(FREE, PAGE);
        let frames = ((FREE / PAGE) as u32).to_le_bytes();
        guest.drivers[0].write(FREE + PAGE, &frames);
        let head = guest.drivers[number].offer(&[readable(FREE + PAGE, 4)]);
        guest.balloon.serve();
        assert_eq!(guest.drivers[number].take_used(), [(head, 0)]);
        assert_eq!(guest.drivers[0].read(FREE, 1), [1]);
    }
}

#[test]
fn one_broken_queue_stops_it() {
    for number in 0..QUEUES {
        let mut guest = Guest::new();
        guest.drivers[number].set_available_index(QUEUE_SIZE + 1);
        guest.balloon.serve();
        assert!(guest.balloon.served_queues().is_none());
        assert!(guest.irqfd.read().is_ok());
    }
}

#[test]
fn an_event_manager_wakes_it_for_each_queue() {
    for number in 0..QUEUES {
        let mut guest = Guest::new();
        guest.drivers[number].offer(&[writable(FREE, PAGE as u32)]);
        let notify = guest.balloon.slots.offered()[number]
            .notify
            .try_clone()
            .unwrap();
        let mut manager: EventManager<Arc<Mutex<dyn MutEventSubscriber + Send>>> =
            EventManager::new().unwrap();
        manager.add_subscriber(Arc::new(Mutex::new(guest.balloon)));
        notify.write(1).unwrap();
        assert_eq!(manager.run_with_timeout(1000).unwrap(), 1);
        assert_eq!(guest.drivers[number].used_index(), 1);
        assert_eq!(manager.run_with_timeout(0).unwrap(), 0);
    }
}

proptest! {
    #[test]
    fn no_chain_makes_it_panic_or_keep_a_buffer(
        descriptors in prop::collection::vec(
            (
                prop_oneof![
                    3 => FREE..FREE + 0x4000,
                    1 => MEMORY_BYTES - 2 * PAGE..MEMORY_BYTES + PAGE,
                    1 => any::<u64>(),
                ],
                prop_oneof![3 => 0u32..0x4000, 1 => any::<u32>()],
                0u16..8,
                0u16..40,
            ),
            usize::from(QUEUE_SIZE),
        ),
        heads in prop::collection::vec(0..QUEUE_SIZE, 0..usize::from(QUEUE_SIZE)),
        number in 0..QUEUES,
    ) {
        let mut guest = Guest::new();
        let last = GuestAddress(FREE - 8);
        guest.drivers[0].memory.write_obj(5_u64, last).unwrap();
        for (i, (address, bytes, flags, next)) in (0..).zip(descriptors) {
            guest.drivers[number].store_descriptor(i, address, bytes, flags, next);
        }
        for head in &heads {
            guest.drivers[number].make_available(*head);
        }
        guest.balloon.serve();
        let used = guest.drivers[number].take_used();
        prop_assert_eq!(used, heads.iter().map(|head| (*head, 0)).collect::<Vec<_>>());
        let kept: u64 = guest.drivers[0].memory.read_obj(last).unwrap();
        prop_assert_eq!(kept, 5);
    }
}
