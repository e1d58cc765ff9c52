use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arbitrary::{Result, Unstructured};
use event_manager::{MutEventSubscriber, SubscriberId};
use virtio_bindings::virtio_config::{VIRTIO_CONFIG_S_NEEDS_RESET, VIRTIO_F_VERSION_1};
use virtio_bindings::virtio_mmio::*;
use virtio_bindings::virtio_ring::VIRTIO_RING_F_EVENT_IDX;
use vm_device::MutDeviceMmio;
use vm_device::bus::MmioAddress;
use vmm::devices::virtio::mmio::MmioTransport;
use vmm::devices::virtio::{Interrupt, VirtioDevice};
use vmm::devices::{SavedState, StateBytes};

use super::board::Board;
use super::guest::{Buffer, Guest, Rings};
use super::hostile;
use crate::allocation;
use crate::fields::{self, MAX_STEPS, number, number32, seldom};

/// Most that a device may have allocated for whatever a guest does, in bytes: a frame or a
/// request of 64 KiB, held twice, what is kept of a few streams, and some.
const MAX_ALLOCATED_BYTES: usize = 2 << 20;

/// How often the device is woken before the guest does something else.
const MAX_ROUNDS: usize = 4;

/// How often a machine is saved and restored: to make another one takes as long as many requests.
const MAX_RESTORES: usize = 2;

/// A device with what it serves a guest with, on the host's side.
pub trait Subject: Sized {
    /// The device.
    type Device: VirtioDevice + MutEventSubscriber + Send + 'static;

    /// What an input begins with.
    ///
    /// # Errors
    ///
    /// When there is no more input.
    fn new(u: &mut Unstructured<'_>) -> Result<Self>;

    /// The device, new. After a restore it is another one that has the same behind it.
    fn device(&mut self) -> Self::Device;

    /// Has the driver ask for what it does first.
    fn first_requests(&mut self, _guest: &mut Guest) -> Vec<(u16, Vec<Buffer>)> {
        Vec::new()
    }

    /// A request as a driver makes it, in earnest or nearly so, and the queue that it goes to.
    ///
    /// # Errors
    ///
    /// When there is no more input.
    fn request(
        &mut self,
        guest: &mut Guest,
        u: &mut Unstructured<'_>,
    ) -> Result<(u16, Vec<Buffer>)>;

    /// Something that happens on the host's side.
    ///
    /// # Errors
    ///
    /// When there is no more input.
    fn host_step(&mut self, _device: &mut Self::Device, _u: &mut Unstructured<'_>) -> Result<()> {
        Ok(())
    }

    /// A request that a device gives back, whatever was before, once it was reset and set up.
    fn probe(&mut self, guest: &mut Guest) -> (u16, Vec<Buffer>);

    /// Whether such a request may have to wait, too.
    fn may_hold_back(&self) -> bool {
        false
    }

    /// Panics if something is not as it must be, whatever the guest did.
    fn check(&mut self) {}
}

/// A device and its registers, and as what it is woken.
struct Attached<D: VirtioDevice> {
    device: Arc<Mutex<D>>,
    registers: MmioTransport<D>,
    subscriber: SubscriberId,
}

/// A machine with one device.
struct Machine<S: Subject> {
    subject: S,
    board: Board,
    guest: Guest,
    attached: Attached<S::Device>,
    restores_left: usize,
    /// Whether it goes on from a state that no machine had.
    is_forged: bool,
}

/// Lets a hostile guest do to a device what `input` says.
///
/// # Panics
///
/// When that does harm: the device must neither panic nor allocate much, it must stop when its
/// queue is broken, and work after a reset, whatever was before.
pub fn run<S: Subject>(input: &[u8]) {
    if let Some(machine) = play::<S>(input) {
        machine.take_apart();
    }
}

/// The same, and what guest memory holds after it.
pub fn memory_after<S: Subject>(input: &[u8]) -> Vec<u8> {
    let Some(machine) = play::<S>(input) else {
        return Vec::new();
    };
    let memory = machine.board.contents();
    machine.take_apart();
    memory
}

/// Does what `input` says with a machine, if it says anything.
fn play<S: Subject>(input: &[u8]) -> Option<Machine<S>> {
    let mut u = Unstructured::new(input);
    let mut machine = Machine::new(S::new(&mut u).ok()?);
    allocation::limited(MAX_ALLOCATED_BYTES, || {
        // An input ends somewhere.
        let _ = machine.begin(&mut u);
        for _ in 0..MAX_STEPS {
            if u.is_empty() || machine.step(&mut u).is_err() {
                break;
            }
            machine.check();
        }
        machine.assert_works_after_reset();
        machine.subject.check();
    });
    Some(machine)
}

impl<D: VirtioDevice + MutEventSubscriber + Send + 'static> Attached<D> {
    fn new(device: D, board: &mut Board) -> Self {
        let device = Arc::new(Mutex::new(device));
        let interrupt = Interrupt::new(board.line());
        let registers = MmioTransport::new(device.clone(), board.memory().clone(), interrupt);
        let subscriber = board.plug_in(device.clone());
        Self {
            device,
            registers,
            subscriber,
        }
    }
}

impl<S: Subject> Machine<S> {
    fn new(mut subject: S) -> Self {
        let mut board = Board::take();
        let guest = Guest::new(board.memory().clone());
        let attached = Attached::new(subject.device(), &mut board);
        Self {
            subject,
            board,
            guest,
            attached,
            restores_left: MAX_RESTORES,
            is_forged: false,
        }
    }

    fn take_apart(mut self) {
        self.board.unplug(self.attached.subscriber);
        self.board.give_back();
    }

    /// Sets the device up, as a rule properly.
    fn begin(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        self.start(u)?;
        if !seldom(u, 8)? {
            for (queue, buffers) in self.subject.first_requests(&mut self.guest) {
                self.offer(queue, &buffers);
            }
        }
        Ok(())
    }

    fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        match u.int_in_range(0..=31u8)? {
            0..=15 => self.request(u)?,
            16 | 17 => {
                let queue = u.int_in_range(0..=2)?;
                let mut chain = hostile::chain(u)?;
                if seldom(u, 4)? {
                    chain = hostile::indirect(&mut self.guest, &chain);
                }
                self.guest.offer(queue, &chain);
                self.notify(queue.into());
            }
            18 | 19 => self.poke_queue(u)?,
            20 | 21 => {
                let address = hostile::address(u)?;
                self.guest.poke(address, fields::bytes(u, 64)?);
            }
            22 => {
                let register = number32(u, 0x140)? & !3;
                let value = number32(u, 16)?;
                self.write(register, value);
            }
            23 => self.access(u)?,
            24 if self.restores_left > 0 => self.save_and_restore(u)?,
            25 => {
                self.write(VIRTIO_MMIO_STATUS, 0);
                self.start(u)?;
            }
            26 => {
                let queue = number32(u, 4)?;
                self.notify(queue);
            }
            _ => {
                let mut device = lock(&self.attached.device);
                self.subject.host_step(&mut device, u)?;
            }
        }
        if !seldom(u, 4)? {
            self.wake();
        }
        Ok(())
    }

    fn request(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let (queue, mut buffers) = self.subject.request(&mut self.guest, u)?;
        while seldom(u, 4)? && buffers.len() < 16 {
            hostile::spoil_buffers(u, &mut buffers)?;
        }
        let is_indirect = seldom(u, 16)?;
        let (first, size) = match self.guest.queue(queue) {
            Some(queue) if !is_indirect => (None, queue.rings.size),
            _ => (Some(0), u16::MAX),
        };
        let first = first.unwrap_or_else(|| self.guest.next_descriptor(queue));
        let mut chain = Guest::chain(&buffers, first, size);
        if seldom(u, 8)? {
            hostile::spoil_chain(u, &mut chain)?;
        }
        if is_indirect {
            chain = hostile::indirect(&mut self.guest, &chain);
        }
        self.guest.offer(queue, &chain);
        if !seldom(u, 8)? {
            self.notify(queue.into());
        }
        Ok(())
    }

    /// Changes what the driver says in a queue's rings.
    fn poke_queue(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let number = u.int_in_range(0..=2)?;
        let Some(queue) = self.guest.queue(number).copied() else {
            return Ok(());
        };
        let value: u16 = match seldom(u, 2)? {
            true => u.arbitrary()?,
            false => queue.available.wrapping_add(u.int_in_range(0..=8)?),
        };
        let after_ring = 4 + u64::from(queue.rings.size) * 2;
        match u.int_in_range(0..=3u8)? {
            0 => self.guest.set_available(number, value),
            // No interrupts, by a flag or by an index that the device is far from.
            1 => self.guest.poke(queue.rings.available, &value.to_le_bytes()),
            2 => {
                let used_event = queue.rings.available.wrapping_add(after_ring);
                self.guest.poke(used_event, &value.to_le_bytes());
            }
            _ => {
                let slot = queue
                    .rings
                    .available
                    .wrapping_add(4 + u64::from(value % 16) * 2);
                let head: u16 = u.int_in_range(0..=300)?;
                self.guest.poke(slot, &head.to_le_bytes());
            }
        }
        self.notify(number.into());
        Ok(())
    }

    /// Reads or writes registers in any place and width.
    fn access(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let offset = number(u, 0x200)?;
        let mut data = fields::bytes(u, 9)?.to_vec();
        match u.arbitrary()? {
            true => self
                .attached
                .registers
                .mmio_write(MmioAddress(0), offset, &data),
            false => self
                .attached
                .registers
                .mmio_read(MmioAddress(0), offset, &mut data),
        }
        Ok(())
    }

    /// Saves the machine, and goes on with another from there, or from what somebody has made
    /// of what was saved.
    fn save_and_restore(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let mut state = self
            .attached
            .registers
            .save_bytes()
            .expect("a state can be encoded");
        let mut is_forged = false;
        while seldom(u, 2)? && !state.is_empty() && !u.is_empty() {
            let at = u.int_in_range(0..=state.len() - 1)?;
            state[at] = u.arbitrary()?;
            is_forged = true;
        }
        self.restores_left -= 1;
        let mut other = Attached::new(self.subject.device(), &mut self.board);
        let restored = other.registers.restore_bytes(&state);
        // If it is refused, the old one goes on, with what the new one was given in place of its own.
        let gone = match &restored {
            Ok(()) => mem::replace(&mut self.attached, other),
            Err(_) => other,
        };
        self.board.unplug(gone.subscriber);
        drop(gone);
        match restored {
            Ok(()) => {
                SavedState::resume(&mut self.attached.registers);
                self.is_forged |= is_forged;
            }
            Err(error) => assert!(
                is_forged || self.is_forged,
                "what was saved is refused: {error}"
            ),
        }
        Ok(())
    }

    /// Does all that a driver does until the device works.
    fn start(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let queues: Vec<u16> = self
            .lock()
            .queues()
            .iter()
            .map(|slot| slot.max_size)
            .collect();
        let rings = (0..)
            .zip(&queues)
            .map(|(number, size)| hostile::rings(u, number, *size))
            .collect::<Result<Vec<_>>>()?;
        let offered = self.lock().features() | 1 << VIRTIO_RING_F_EVENT_IDX;
        let chosen = match u.int_in_range(0..=7u8)? {
            0 => u.arbitrary()?,
            1 => offered & u.arbitrary::<u64>()?,
            2 => 0,
            _ => offered,
        };
        self.set_up(chosen | 1 << VIRTIO_F_VERSION_1, &rings);
        Ok(())
    }

    fn set_up(&mut self, features: u64, rings: &[Rings]) {
        self.guest.set_queues(rings);
        self.write(VIRTIO_MMIO_STATUS, 3);
        for (select, word) in [(0, features as u32), (1, (features >> 32) as u32)] {
            self.write(VIRTIO_MMIO_DRIVER_FEATURES_SEL, select);
            self.write(VIRTIO_MMIO_DRIVER_FEATURES, word);
        }
        self.write(VIRTIO_MMIO_STATUS, 11);
        for (number, rings) in (0..).zip(rings) {
            self.write(VIRTIO_MMIO_QUEUE_SEL, number);
            self.write(VIRTIO_MMIO_QUEUE_NUM, rings.size.into());
            for (low, high, address) in [
                (
                    VIRTIO_MMIO_QUEUE_DESC_LOW,
                    VIRTIO_MMIO_QUEUE_DESC_HIGH,
                    rings.descriptors,
                ),
                (
                    VIRTIO_MMIO_QUEUE_AVAIL_LOW,
                    VIRTIO_MMIO_QUEUE_AVAIL_HIGH,
                    rings.available,
                ),
                (
                    VIRTIO_MMIO_QUEUE_USED_LOW,
                    VIRTIO_MMIO_QUEUE_USED_HIGH,
                    rings.used,
                ),
            ] {
                self.write(low, address as u32);
                self.write(high, (address >> 32) as u32);
            }
            self.write(VIRTIO_MMIO_QUEUE_READY, 1);
        }
        self.write(VIRTIO_MMIO_STATUS, 15);
    }

    /// Makes a chain of these buffers available, and has the device look.
    fn offer(&mut self, queue: u16, buffers: &[Buffer]) {
        let first = self.guest.next_descriptor(queue);
        let size = self.guest.queue(queue).map_or(1, |queue| queue.rings.size);
        self.guest.offer(queue, &Guest::chain(buffers, first, size));
        self.notify(queue.into());
        self.wake();
    }

    fn notify(&mut self, queue: u32) {
        self.write(VIRTIO_MMIO_QUEUE_NOTIFY, queue);
    }

    /// Has the device's thread do what there is to do.
    fn wake(&mut self) {
        for _ in 0..MAX_ROUNDS {
            if !self.board.wake() {
                return;
            }
        }
    }

    fn write(&mut self, register: u32, value: u32) {
        self.attached
            .registers
            .mmio_write(MmioAddress(0), register.into(), &value.to_le_bytes());
    }

    fn status(&mut self) -> u32 {
        let mut status = [0; 4];
        let register = VIRTIO_MMIO_STATUS.into();
        self.attached
            .registers
            .mmio_read(MmioAddress(0), register, &mut status);
        u32::from_le_bytes(status)
    }

    fn lock(&self) -> MutexGuard<'_, S::Device> {
        lock(&self.attached.device)
    }

    /// A device that has told its driver to reset it touches no queue any more.
    fn check(&mut self) {
        let needs_reset = self.status() & VIRTIO_CONFIG_S_NEEDS_RESET != 0;
        assert!(
            !needs_reset || self.is_forged || self.lock().served_queues().is_none(),
            "a device with a broken queue goes on"
        );
    }

    fn assert_works_after_reset(&mut self) {
        self.write(VIRTIO_MMIO_STATUS, 0);
        assert_eq!(self.status(), 0, "a reset device has a status");
        let queues: Vec<u16> = self
            .lock()
            .queues()
            .iter()
            .map(|slot| slot.max_size)
            .collect();
        let rings: Vec<_> = (0..)
            .zip(queues)
            .map(|(number, size)| Rings::of(number, size))
            .collect();
        self.set_up(1 << VIRTIO_F_VERSION_1, &rings);
        assert_eq!(self.status(), 15, "a device is not ready after a reset");
        let (queue, buffers) = self.subject.probe(&mut self.guest);
        self.offer(queue, &buffers);
        let used = self.guest.used(queue);
        assert!(
            used == Some(1) || used == Some(0) && self.subject.may_hold_back(),
            "a device does not work after a reset"
        );
    }
}

fn lock<D>(device: &Mutex<D>) -> MutexGuard<'_, D> {
    device.lock().unwrap_or_else(PoisonError::into_inner)
}
