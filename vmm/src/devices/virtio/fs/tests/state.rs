//! A machine that was saved before anything was shared with it gets shares when it goes on.

use std::sync::{Arc, Mutex};

use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};
use zerocopy::{FromBytes, IntoBytes};

use super::super::wire::*;
use super::super::*;
use super::guest::{ANSWER, LIMITS, Place, REQUEST, share};
use crate::devices::StateBytes;
use crate::devices::virtio::driver::{self, Driver, readable, writable};
use crate::devices::virtio::mmio::MmioTransport;

fn registers(shares: Vec<Share>, driver: &Driver) -> (MmioTransport<Fs>, Arc<Mutex<Fs>>) {
    let fs = Arc::new(Mutex::new(Fs::new("tag", shares, LIMITS).unwrap()));
    let interrupt = Interrupt::new(EventFd::new(EFD_NONBLOCK).unwrap());
    let registers = MmioTransport::new(fs.clone(), driver.memory.clone(), interrupt);
    (registers, fs)
}

fn mount(fs: &Mutex<Fs>, driver: &mut Driver) -> OutHeader {
    let header = InHeader {
        opcode: opcode::INIT,
        ..InHeader::default()
    };
    let init = InitIn {
        major: MAJOR,
        minor: MINOR,
        ..InitIn::default()
    };
    driver.write(REQUEST, &[header.as_bytes(), init.as_bytes()].concat());
    driver.offer(&[readable(REQUEST, 56), writable(ANSWER, 100)]);
    fs.lock().unwrap().serve();
    let used = driver.take_used();
    let answer = driver.read(ANSWER, used[0].1 as usize);
    OutHeader::read_from_prefix(&answer).unwrap().0
}

#[test]
fn a_machine_that_goes_on_mounts_what_is_shared_then() {
    let memory = crate::memory::allocate(16 << 20).unwrap();
    let urgent = Driver::new(&memory, 0x1000, 16);
    let mut driver = Driver::new(&memory, 0x1000 + Driver::RINGS_BYTES, 16);
    let (mut template, fs) = registers(vec![], &driver);
    driver::start(&mut template, &[&urgent, &driver]);
    assert_eq!(mount(&fs, &mut driver).error, -libc::ENODEV);
    let state = template.save_bytes().unwrap();
    drop(template);

    let place = Place::new();
    let (mut registers, fs) = registers(vec![share(&place.share(), false)], &driver);
    registers.restore_bytes(&state).unwrap();
    StateBytes::resume(&mut registers);
    assert_eq!(mount(&fs, &mut driver).error, 0);
}
