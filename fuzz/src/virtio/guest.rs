use virtio_bindings::virtio_ring::{VRING_DESC_F_NEXT, VRING_DESC_F_WRITE};
use vm_memory::{Bytes, GuestAddress};
use vmm::memory::GuestMemory;

/// Size of guest memory: little, as it is erased for each input.
pub(super) const MEMORY_BYTES: u64 = 256 << 10;
/// Where the rings of the first queue lie.
const RINGS: u64 = 0x1000;
/// Room for the rings of the largest queue.
const RINGS_BYTES: u64 = 0x4000;
/// Where buffers lie, up to the end of memory.
pub(super) const BUFFERS: u64 = 0x1_0000;

/// A buffer that the driver offers.
#[derive(Clone, Copy, Debug)]
pub struct Buffer {
    /// Where it is.
    pub address: u64,
    /// Its length.
    pub bytes: u32,
    /// Whether the device is to write it.
    pub writable: bool,
}

/// A descriptor, as it is in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Descriptor {
    pub(super) address: u64,
    pub(super) bytes: u32,
    pub(super) flags: u16,
    pub(super) next: u16,
}

/// Where the driver has put a queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rings {
    pub(super) size: u16,
    pub(super) descriptors: u64,
    pub(super) available: u64,
    pub(super) used: u64,
}

impl Rings {
    /// A proper place for queue `number`.
    pub(super) fn of(number: u16, size: u16) -> Self {
        let base = RINGS + u64::from(number) * RINGS_BYTES;
        Self {
            size,
            descriptors: base,
            available: base + 0x2000,
            used: base + 0x3000,
        }
    }
}

/// What a driver knows of a queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queue {
    pub(super) rings: Rings,
    next_descriptor: u16,
    pub(super) available: u16,
}

/// A guest: its memory, and its driver's queues.
pub struct Guest {
    pub(super) memory: GuestMemory,
    pub(super) queues: Vec<Queue>,
    next_buffer: u64,
}

impl Guest {
    pub(super) fn new(memory: GuestMemory) -> Self {
        Self {
            memory,
            queues: Vec::new(),
            next_buffer: BUFFERS,
        }
    }

    /// Begins anew with queues that nothing was put into.
    pub(super) fn set_queues(&mut self, rings: &[Rings]) {
        self.queues = rings
            .iter()
            .map(|rings| Queue {
                rings: *rings,
                next_descriptor: 0,
                available: 0,
            })
            .collect();
        for rings in rings {
            // Neither flags nor indexes are left from before.
            self.poke(rings.available, &[0; 4]);
            self.poke(rings.used, &[0; 4]);
        }
        self.next_buffer = BUFFERS;
    }

    /// Writes to memory, as far as there is some.
    pub(super) fn poke(&self, address: u64, bytes: &[u8]) {
        // A driver that misses its own memory has done nothing.
        let _ = self.memory.write_slice(bytes, GuestAddress(address));
    }

    /// A buffer with these bytes, for the device to read.
    pub fn holding(&mut self, bytes: &[u8]) -> Buffer {
        let buffer = Buffer {
            writable: false,
            ..self.room(bytes.len() as u32)
        };
        self.poke(buffer.address, bytes);
        buffer
    }

    /// A buffer for the device to write.
    pub fn room(&mut self, bytes: u32) -> Buffer {
        if self.next_buffer + u64::from(bytes) > MEMORY_BYTES {
            // What was there before may be in use; that is a hostile driver's own affair.
            self.next_buffer = BUFFERS;
        }
        let address = self.next_buffer;
        self.next_buffer += u64::from(bytes).next_multiple_of(16);
        Buffer {
            address,
            bytes,
            writable: true,
        }
    }

    /// The descriptors of a proper chain, whose first one has the number `first` in a table of
    /// `size`.
    pub(super) fn chain(buffers: &[Buffer], first: u16, size: u16) -> Vec<Descriptor> {
        let count = buffers.len();
        let at = |i: usize| (usize::from(first) + i) % usize::from(size.max(1));
        let descriptor = |(i, buffer): (usize, &Buffer)| {
            let mut flags = 0;
            if buffer.writable {
                flags |= VRING_DESC_F_WRITE;
            }
            if i + 1 < count {
                flags |= VRING_DESC_F_NEXT;
            }
            Descriptor {
                address: buffer.address,
                bytes: buffer.bytes,
                flags: flags as u16,
                next: at(i + 1) as u16,
            }
        };
        buffers.iter().enumerate().map(descriptor).collect()
    }

    /// The number of the descriptor that a chain in this queue begins with.
    pub(super) fn next_descriptor(&self, queue: u16) -> u16 {
        self.queue(queue).map_or(0, |queue| queue.next_descriptor)
    }

    pub(super) fn queue(&self, number: u16) -> Option<&Queue> {
        self.queues.get(usize::from(number))
    }

    /// Puts a chain into a queue and makes it available.
    pub(super) fn offer(&mut self, number: u16, chain: &[Descriptor]) {
        let Some(queue) = self.queues.get_mut(usize::from(number)) else {
            return;
        };
        let Queue {
            rings, available, ..
        } = *queue;
        let head = queue.next_descriptor;
        let size = rings.size.max(1);
        queue.next_descriptor = (head + chain.len() as u16) % size;
        queue.available = available.wrapping_add(1);
        for (i, descriptor) in chain.iter().enumerate() {
            let index = (usize::from(head) + i) % usize::from(size);
            self.store(rings.descriptors, index as u16, *descriptor);
        }
        let slot = u64::from(available % size);
        self.poke(
            rings.available.wrapping_add(4 + slot * 2),
            &head.to_le_bytes(),
        );
        self.set_available(number, available.wrapping_add(1));
    }

    /// Writes descriptor `index` of a table.
    pub(super) fn store(&self, table: u64, index: u16, descriptor: Descriptor) {
        let Descriptor {
            address,
            bytes,
            flags,
            next,
        } = descriptor;
        let mut raw = [0; 16];
        raw[..8].copy_from_slice(&address.to_le_bytes());
        raw[8..12].copy_from_slice(&bytes.to_le_bytes());
        raw[12..14].copy_from_slice(&flags.to_le_bytes());
        raw[14..].copy_from_slice(&next.to_le_bytes());
        self.poke(table.wrapping_add(u64::from(index) * 16), &raw);
    }

    /// Says how many chains were made available, whether or not that is so.
    pub(super) fn set_available(&self, number: u16, index: u16) {
        if let Some(queue) = self.queue(number) {
            self.poke(queue.rings.available.wrapping_add(2), &index.to_le_bytes());
        }
    }

    /// How many chains the device says it has used.
    pub(super) fn used(&self, number: u16) -> Option<u16> {
        let used = self.queue(number)?.rings.used;
        self.memory.read_obj(GuestAddress(used + 2)).ok()
    }
}
