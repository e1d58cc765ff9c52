//! The bus, with all devices on it that are none of virtio's: what of a guest's access reaches which
//! of them, and what ends the machine.

use std::sync::{Arc, Mutex};

use arbitrary::{Result, Unstructured};
use guest_protocol::{DOORBELL_BYTES, DOORBELL_GPA};
use vmm::bus::{AttachError, Bus};
use vmm::devices::doorbell::Doorbell;
use vmm::devices::serial::Serial;
use vmm::ending::{EndLine, Ending};
use vmm::layout;
use vmm::power::{self, PowerPort};
use vmm::reset::{self, ResetPort};

use crate::allocation;
use crate::fields::{bytes, number, seldom};

/// A machine, another that it goes on in, and a line on the serial port.
const MAX_ALLOCATED_BYTES: usize = 64 << 10;

/// Each device's first port, and how many it has.
const PORTS: [(u16, u16); 3] = [
    (layout::SERIAL_PORT, layout::SERIAL_PORT_COUNT),
    (reset::PORT, reset::PORT_COUNT),
    (power::PORT, power::PORT_COUNT),
];

struct Machine {
    bus: Bus,
    end: EndLine,
}

/// Feeds it one input.
pub fn run(input: &[u8]) {
    // An input ends somewhere.
    let _ = allocation::limited(MAX_ALLOCATED_BYTES, || {
        access(&mut Unstructured::new(input))
    });
}

/// What a guest does with its machine until that is over.
fn access(u: &mut Unstructured<'_>) -> Result<()> {
    let mut machine = Machine::new().expect("a place for each device");
    while !u.is_empty() && machine.end.pulled().is_none() {
        match u.int_in_range(0..=7u8)? {
            0..=3 => {
                let port = port(u)?;
                let data = data(u)?;
                machine.bus.pio_write(port, &data);
                assert_eq!(
                    machine.end.pulled(),
                    ending(port, &data),
                    "{port:#x} {data:x?}"
                );
            }
            4 => {
                let port = port(u)?;
                let mut data = data(u)?;
                machine.bus.pio_read(port, &mut data);
                let answers = PORTS.iter().any(|at| is_in(port, data.len(), *at));
                assert!(
                    answers || data.iter().all(|byte| *byte == 0xff),
                    "{port:#x}"
                );
            }
            5 => machine.bus.mmio_write(address(u)?, &data(u)?),
            6 => machine.bus.mmio_read(address(u)?, &mut data(u)?),
            _ => machine = machine.moved(),
        }
    }
    // As it was when it ended.
    let end = machine.end.pulled();
    assert_eq!(machine.moved().end.pulled(), end);
    Ok(())
}

impl Machine {
    fn new() -> std::result::Result<Self, AttachError> {
        let (mut bus, end) = (Bus::default(), EndLine::default());
        let [serial, reset, power] = PORTS;
        let device = Serial::new(|_: &str| (), None);
        bus.attach_pio(serial.0, serial.1, Arc::new(Mutex::new(device)))?;
        let device = ResetPort::new(end.clone());
        bus.attach_pio(reset.0, reset.1, Arc::new(Mutex::new(device)))?;
        let device = PowerPort::new(end.clone());
        bus.attach_pio(power.0, power.1, Arc::new(Mutex::new(device)))?;
        let device = Doorbell::new(|_, _| ());
        bus.attach_mmio(DOORBELL_GPA, DOORBELL_BYTES, Arc::new(Mutex::new(device)))?;
        Ok(Self { bus, end })
    }

    /// Another one that goes on where this one was saved.
    fn moved(&self) -> Self {
        let other = Self::new().expect("a place for each device");
        let states = self.bus.save().expect("states that can be encoded");
        other.bus.restore(&states).expect("its own states");
        other.bus.resume();
        other
    }
}

/// What a write asks for: soft off, of the power registers' last byte, or the command to reset.
fn ending(port: u16, data: &[u8]) -> Option<Ending> {
    const SLEEP: u8 = 0b10_0000;
    const SLEEP_FIELDS: u8 = 0b11_1100;
    let last = *data.last()?;
    let at = |first: u16, count: u16| port == first && data.len() <= count.into();
    if at(power::PORT, power::PORT_COUNT) && last & SLEEP_FIELDS == SLEEP | power::SOFT_OFF << 2 {
        return Some(Ending::PowerOff);
    }
    (at(reset::PORT + reset::COMMAND, 1) && last == reset::RESET).then_some(Ending::Reset)
}

fn is_in(port: u16, count: usize, (first, ports): (u16, u16)) -> bool {
    port >= first && usize::from(port - first) + count <= ports.into()
}

/// A port of a device's or right beside it, or any.
fn port(u: &mut Unstructured<'_>) -> Result<u16> {
    let (first, ports) = *u.choose(&PORTS)?;
    match seldom(u, 16)? {
        true => u.arbitrary(),
        false => Ok(first - 1 + u.int_in_range(0..=ports + 1)?),
    }
}

/// Around the doorbell, or any address.
fn address(u: &mut Unstructured<'_>) -> Result<u64> {
    match seldom(u, 8)? {
        true => number(u, u64::MAX),
        false => Ok(DOORBELL_GPA
            .wrapping_sub(8)
            .wrapping_add(number(u, DOORBELL_BYTES + 16)?)),
    }
}

/// What is written: now and then what ends the machine.
fn data(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    Ok(match u.int_in_range(0..=31u8)? {
        0 => vec![reset::RESET],
        1 => vec![0, 0x34],
        _ => bytes(u, 16)?.to_vec(),
    })
}
