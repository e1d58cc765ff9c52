use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex};

use virtio_bindings::virtio_mmio::*;
use vm_device::MutDeviceMmio;
use vm_device::bus::MmioAddress;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use crate::devices::StateBytes;
use crate::devices::virtio::Interrupt;
use crate::devices::virtio::driver::{self, Driver, readable, writable};
use crate::devices::virtio::mmio::MmioTransport;
use crate::devices::virtio::net::{Link, Net, Tap};

const MEMORY_BYTES: u64 = 1 << 20;
const RINGS: u64 = 0x1000;
const BUFFER: u64 = 0x4_0000;

/// A guest, and the host that it is connected to, if it is.
struct Guest {
    to_guest: Driver,
    from_guest: Driver,
    registers: MmioTransport<Net>,
    net: Arc<Mutex<Net>>,
    irqfd: EventFd,
    host: UnixDatagram,
}

impl Guest {
    fn new(address: Option<u8>) -> Self {
        let memory = crate::memory::allocate(MEMORY_BYTES).unwrap();
        let rings = [RINGS, RINGS + Driver::RINGS_BYTES];
        Self::with(rings.map(|base| Driver::new(&memory, base, 16)), address)
    }

    /// The end of the guest's address is given if it is connected.
    fn with([to_guest, from_guest]: [Driver; 2], address: Option<u8>) -> Self {
        let (host, link) = UnixDatagram::pair().unwrap();
        for socket in [&host, &link] {
            socket.set_nonblocking(true).unwrap();
        }
        let link = address.map(|last| Link {
            tap: Tap::stand_in(link.into()),
            ethernet_address: [2, 0, 0, 0, 0, last],
            mtu: 1500,
            rate: None,
        });
        let net = Arc::new(Mutex::new(Net::new(link).unwrap()));
        let irqfd = EventFd::new(EFD_NONBLOCK).unwrap();
        let interrupt = Interrupt::new(irqfd.try_clone().unwrap());
        Self {
            registers: MmioTransport::new(net.clone(), to_guest.memory.clone(), interrupt),
            to_guest,
            from_guest,
            net,
            irqfd,
            host,
        }
    }

    fn moved(mut self, address: Option<u8>) -> Self {
        let state = self.registers.save_bytes().unwrap();
        let mut other = Self::with([self.to_guest, self.from_guest], address);
        other.registers.restore_bytes(&state).unwrap();
        assert!(other.irqfd.read().is_err(), "it interrupts too early");
        StateBytes::resume(&mut other.registers);
        other
    }

    fn start(&mut self) {
        driver::start(&mut self.registers, &[&self.to_guest, &self.from_guest]);
    }

    fn read(&mut self, register: u32) -> u32 {
        let mut data = [0; 4];
        self.registers
            .mmio_read(MmioAddress(0), register.into(), &mut data);
        u32::from_le_bytes(data)
    }

    fn address_end(&mut self) -> u8 {
        let mut data = [0];
        let at = u64::from(VIRTIO_MMIO_CONFIG) + 5;
        self.registers.mmio_read(MmioAddress(0), at, &mut data);
        data[0]
    }

    fn serve(&mut self) {
        self.net.lock().unwrap().serve();
    }
}

#[test]
fn a_place_that_was_empty_can_be_filled() {
    let mut guest = Guest::new(None);
    assert_eq!(guest.read(VIRTIO_MMIO_DEVICE_ID), 0);
    let mut guest = guest.moved(Some(7));
    assert_eq!(guest.read(VIRTIO_MMIO_DEVICE_ID), 1);
    assert_eq!(guest.address_end(), 7);
    assert!(guest.irqfd.read().is_err());
    guest.start();
    guest.from_guest.offer(&[readable(BUFFER, 100)]);
    guest.serve();
    assert_eq!(guest.host.recv(&mut [0; 200]).unwrap(), 100);
}

#[test]
fn an_interface_that_is_used_goes_on_with_another_address() {
    let mut guest = Guest::new(Some(7));
    guest.start();
    guest.to_guest.offer(&[writable(BUFFER, 200)]);
    let mut guest = guest.moved(Some(9));
    assert_eq!(guest.address_end(), 9);
    assert_eq!(
        guest.read(VIRTIO_MMIO_INTERRUPT_STATUS),
        VIRTIO_MMIO_INT_CONFIG
    );
    assert!(guest.irqfd.read().is_ok());
    guest.host.send(&[0; 100]).unwrap();
    guest.serve();
    assert_eq!(guest.to_guest.take_used(), [(0, 100)]);
    guest.from_guest.offer(&[readable(BUFFER, 100)]);
    guest.serve();
    assert_eq!(guest.host.recv(&mut [0; 200]).unwrap(), 100);
}

#[test]
fn an_interface_can_not_be_taken_away() {
    let mut guest = Guest::new(Some(7));
    let state = guest.registers.save_bytes().unwrap();
    let mut other = Guest::new(None);
    assert!(other.registers.restore_bytes(&state).is_err());
}

#[test]
fn an_empty_place_that_a_driver_has_touched_stays_empty() {
    let mut guest = Guest::new(None);
    guest.start();
    let state = guest.registers.save_bytes().unwrap();
    let mut other = Guest::new(Some(7));
    assert!(other.registers.restore_bytes(&state).is_err());
}
