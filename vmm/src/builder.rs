//! Builds a machine: the recipes, from top to bottom, of one that boots and of one that goes on.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};

use guest_protocol::{DOORBELL_BYTES, DOORBELL_GPA, FIRST_DISK_PLACE, Mark, NETWORK_PLACE};
use kvm_ioctls::Kvm;
use launch::MonotonicNs;
use vmm_sys_util::eventfd::EventFd;

use crate::boot::cmdline::{CommandLine, CommandLineError, KernelParameters, Voice};
use crate::boot::initrd::{self, InitrdError};
use crate::boot::kernel::{Kernel, KernelError};
use crate::boot::{self, Backing, Hardware, VirtioPlace};
use crate::bus::{self, AttachError, Bus};
use crate::devices::doorbell::Doorbell;
use crate::devices::serial::{OnBytes, Serial};
use crate::devices::virtio::balloon::Balloon;
use crate::devices::virtio::block::Block;
use crate::devices::virtio::fs::Fs;
use crate::devices::virtio::mmio::{MmioTransport, QUEUE_NOTIFY};
use crate::devices::virtio::net::Net;
use crate::devices::virtio::rng::Rng;
use crate::devices::virtio::vsock::Vsock;
use crate::devices::virtio::{Interrupt, VirtioDevice};
use crate::ending::EndLine;
use crate::layout;
use crate::machine::{Machine, MachineState, Size};
use crate::memory::{self, MemoryError};
use crate::power::{self, PowerButton, PowerPort};
use crate::reset::{self, ResetPort};
use crate::ring0::Ring0;
use crate::snapshot::{MemoryFile, SavedMemory};
use crate::vcpu::{
    self, Crew, HostCpuid, ImpossibleCount, Surroundings, Vcpu, VcpuCount, VcpuError,
};
use crate::vm::{Vm, VmError};

/// The devices of a machine, and who hears of what the guest does with them.
pub struct Devices {
    /// Its root disk.
    pub disk: Arc<Mutex<Block>>,
    /// Its sockets.
    pub sockets: Arc<Mutex<Vsock>>,
    /// The host's files that it may use.
    pub shares: Arc<Mutex<Fs>>,
    /// Its network interface, or the place for one.
    pub network: Arc<Mutex<Net>>,
    /// Its source of random numbers.
    pub random: Arc<Mutex<Rng>>,
    /// What gives the host back the memory that it has freed.
    pub balloon: Arc<Mutex<Balloon>>,
    /// Its other disks, or the places for them, at most [`MAX_DISKS`].
    pub disks: Vec<Arc<Mutex<Block>>>,
    /// What asks it to end.
    pub power_button: PowerButton,
    /// Called on the vCPU's thread when the guest rings the doorbell.
    pub on_mark: Box<dyn FnMut(Mark, MonotonicNs) + Send>,
    /// Called on the vCPU's thread for each line on the serial port.
    pub on_line: Box<dyn FnMut(&str) + Send>,
    /// Called there for all that comes on it, if that is the guest's console.
    pub on_console: Option<OnBytes>,
}

/// What a machine boots from.
pub struct Boot<'a> {
    /// The kernel.
    pub kernel: &'a Kernel,
    /// How that comes into memory.
    pub backing: Backing,
    /// The archive that has its PID 1.
    pub initrd: &'a File,
    /// How that comes into memory.
    pub initrd_backing: Backing,
    /// How large it is.
    pub size: Size,
    /// What KVM lets its processors know.
    pub cpuid: &'a HostCpuid,
    /// Who executes its kernel's instructions.
    pub ring0: Ring0,
    /// What its kernel is told: [`command_line`] with as many disks as it has.
    pub command_line: &'a CStr,
}

/// What a machine goes on from.
pub struct Saved<'a> {
    /// Its memory's file.
    pub file: &'a MemoryFile,
    /// What is in that.
    pub memory: &'a SavedMemory,
    /// All else.
    pub state: &'a MachineState,
    /// Who executes its kernel's instructions.
    pub ring0: Ring0,
}

/// A step of the recipe that was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Step {
    /// Guest memory is mapped.
    Memory,
    /// The virtual machine exists.
    Create,
    /// The devices are on its bus.
    Devices,
    /// Kernel and init are in its memory.
    KernelLoad,
    /// Its first processor is about to execute the kernel's first instruction.
    Vcpu,
    /// Its processors are about to go on.
    Restore,
}

/// Why a machine can't be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Its memory.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// Its saved memory.
    #[error(transparent)]
    SavedMemory(#[from] memory::RestoreError),
    /// A device's saved state.
    #[error(transparent)]
    DeviceState(#[from] bus::RestoreError),
    /// A processor's saved state.
    #[error(transparent)]
    VcpuState(#[from] vcpu::StateError),
    /// A saved machine of too many processors, or none.
    #[error(transparent)]
    VcpuCount(#[from] ImpossibleCount),
    /// The virtual machine.
    #[error(transparent)]
    Vm(#[from] VmError),
    /// A device's place on the bus.
    #[error(transparent)]
    Bus(#[from] AttachError),
    /// A device's interrupt.
    #[error("no descriptor for an interrupt")]
    Interrupt(#[source] std::io::Error),
    /// A device's queue.
    #[error("no descriptor for a queue")]
    Queue(#[source] std::io::Error),
    /// The kernel.
    #[error("the kernel can't be used")]
    Kernel(#[from] KernelError),
    /// The initial RAM file system.
    #[error(transparent)]
    Initrd(#[from] InitrdError),
    /// What the kernel is handed.
    #[error("guest memory is too small for the boot protocol")]
    HandOver(#[from] vm_memory::GuestMemoryError),
    /// A processor.
    #[error(transparent)]
    Vcpu(#[from] VcpuError),
}

/// Builds a machine that is about to boot. `done` is told of each step when it is done.
///
/// # Errors
///
/// When a step fails.
pub fn boot(
    kvm: Kvm,
    from: Boot<'_>,
    devices: Devices,
    mut done: impl FnMut(Step),
) -> Result<Machine, BuildError> {
    let memory = memory::allocate(from.size.memory_bytes)?;
    done(Step::Memory);

    let vm = Vm::new(&kvm, memory)?;
    done(Step::Create);

    let end = EndLine::default();
    let disks = devices.disks.len();
    let bus = attach(&vm, devices, &end)?;
    done(Step::Devices);

    let kernel = from.kernel.load(vm.memory(), from.backing)?;
    let initrd = initrd::load(from.initrd, vm.memory(), from.initrd_backing, kernel.end)?;
    let start = boot::hand_over(
        vm.memory(),
        &kernel,
        from.command_line,
        Some(initrd),
        &Hardware {
            vcpus: from.size.vcpus,
            virtio: &places(disks).map(Place::of_registers).collect::<Vec<_>>(),
        },
    )?;
    done(Step::KernelLoad);

    let (first, others) = Vcpu::all(&vm, from.cpuid, from.size.vcpus, start)?;
    let crew = crew(first, others, from.ring0, &vm);
    done(Step::Vcpu);

    Ok(Machine {
        crew,
        around: Surroundings { bus, end },
        vm,
        kvm,
    })
}

/// Builds a machine that goes on where another one was saved. `done` is told of each step when
/// it is done.
///
/// # Errors
///
/// When a step fails.
pub fn restore(
    kvm: Kvm,
    from: Saved<'_>,
    devices: Devices,
    mut done: impl FnMut(Step),
) -> Result<Machine, BuildError> {
    let memory = memory::restore(from.file, from.memory)?;
    done(Step::Memory);

    let vm = Vm::new(&kvm, memory)?;
    done(Step::Create);

    let end = EndLine::default();
    let bus = attach(&vm, devices, &end)?;
    bus.restore(&from.state.devices)?;
    done(Step::Devices);

    let count = VcpuCount::new(from.state.other_vcpus.len() + 1)?;
    let first = Vcpu::restore(&kvm, &vm, 0, &from.state.first_vcpu)?;
    let others = (count.ids().skip(1))
        .zip(&from.state.other_vcpus)
        .map(|(id, state)| Vcpu::restore(&kvm, &vm, id, state))
        .collect::<Result<_, _>>()?;
    let crew = crew(first, others, from.ring0, &vm);
    vm.restore(&from.state.vm)?;
    // Last: from here on interrupts reach the guest.
    bus.resume();
    done(Step::Restore);

    Ok(Machine {
        crew,
        around: Surroundings { bus, end },
        vm,
        kvm,
    })
}

fn crew(mut first: Vcpu, mut others: Vec<Vcpu>, ring0: Ring0, vm: &Vm) -> Crew {
    if let Ring0::Emulated { .. } = ring0 {
        for vcpu in others.iter_mut().chain([&mut first]) {
            vcpu.switch_extended_state(vm.memory().clone());
        }
    }
    Crew::new(first, others)
}

/// What the kernel is told of a machine with so many disks besides its root's, and what the user adds.
///
/// # Errors
///
/// When that is more than a command line holds.
pub fn command_line(
    ring0: Ring0,
    voice: Voice,
    disks: usize,
    added: Option<&KernelParameters>,
) -> Result<CString, CommandLineError> {
    let mut line = CommandLine::new(ring0, voice)?;
    for place in places(disks) {
        line.virtio_device(place.base(), place.gsi())?;
    }
    if let Some(added) = added {
        line.append(added)?;
    }
    line.finish()
}

/// How many devices a machine with so many disks besides its root's has. The interrupt controllers
/// and the timer are the kernel's.
pub fn device_count(disks: usize) -> usize {
    /// Serial port, reset port, registers to switch off, doorbell.
    const NOT_VIRTIO: usize = 4;
    NOT_VIRTIO + places(disks).count()
}

/// Puts everything on a bus.
fn attach(vm: &Vm, devices: Devices, end: &EndLine) -> Result<Arc<Bus>, BuildError> {
    let mut bus = Bus::default();
    bus.attach_pio(
        layout::SERIAL_PORT,
        layout::SERIAL_PORT_COUNT,
        Arc::new(Mutex::new(Serial::new(devices.on_line, devices.on_console))),
    )?;
    bus.attach_pio(
        reset::PORT,
        reset::PORT_COUNT,
        Arc::new(Mutex::new(ResetPort::new(end.clone()))),
    )?;
    vm.interrupt_on(devices.power_button.line(), power::BUTTON_GSI)?;
    bus.attach_pio(
        power::PORT,
        power::PORT_COUNT,
        Arc::new(Mutex::new(PowerPort::new(end.clone()))),
    )?;
    bus.attach_mmio(
        DOORBELL_GPA,
        DOORBELL_BYTES,
        Arc::new(Mutex::new(Doorbell::new(devices.on_mark))),
    )?;
    attach_virtio(vm, &mut bus, &DISK, devices.disk)?;
    attach_virtio(vm, &mut bus, &SOCKETS, devices.sockets)?;
    attach_virtio(vm, &mut bus, &SHARES, devices.shares)?;
    attach_virtio(vm, &mut bus, &NETWORK, devices.network)?;
    attach_virtio(vm, &mut bus, &RANDOM, devices.random)?;
    attach_virtio(vm, &mut bus, &BALLOON, devices.balloon)?;
    for (place, disk) in DISKS.iter().zip(devices.disks) {
        attach_virtio(vm, &mut bus, place, disk)?;
    }
    Ok(Arc::new(bus))
}

/// Where a virtio device is: the how manieth it is.
#[derive(Clone, Copy)]
struct Place(u8);

const DISK: Place = Place(0);
const SOCKETS: Place = Place(1);
const SHARES: Place = Place(2);
const NETWORK: Place = Place(NETWORK_PLACE);
const RANDOM: Place = Place(4);
const BALLOON: Place = Place(5);

/// Places in every machine.
const ALWAYS: [Place; FIRST_DISK_PLACE as usize] =
    [DISK, SOCKETS, SHARES, NETWORK, RANDOM, BALLOON];

/// Places for disks, in machines that are to have some.
const DISKS: [Place; MAX_DISKS] = [
    Place(FIRST_DISK_PLACE),
    Place(FIRST_DISK_PLACE + 1),
    Place(FIRST_DISK_PLACE + 2),
    Place(FIRST_DISK_PLACE + 3),
];

/// Those of a machine with so many disks besides its root's, in their order.
fn places(disks: usize) -> impl Iterator<Item = Place> {
    ALWAYS.into_iter().chain(DISKS.into_iter().take(disks))
}

/// Most disks besides that of the root.
pub const MAX_DISKS: usize = 4;

impl Place {
    /// The first ISA interrupt that no PC device has: those below are taken, or probed for, by
    /// drivers of timer, keyboard, serial ports, floppy disk, printer and clock.
    const FIRST_GSI: u32 = 9;

    /// The last ISA interrupt. Behind it come those of printers and the floppy disk, downwards:
    /// their drivers find no such device in a machine that needs so many.
    const LAST_GSI: u32 = 15;
    const LAST_BELOW: u32 = 7;

    fn base(&self) -> u64 {
        layout::VIRTIO + u64::from(self.0) * layout::VIRTIO_BYTES
    }

    fn of_registers(self) -> VirtioPlace {
        VirtioPlace {
            base: self.base(),
            gsi: self.gsi(),
        }
    }

    fn gsi(&self) -> u32 {
        let gsi = Self::FIRST_GSI + u32::from(self.0);
        match gsi.checked_sub(Self::LAST_GSI + 1) {
            None => gsi,
            Some(behind) => Self::LAST_BELOW - behind,
        }
    }
}

fn attach_virtio(
    vm: &Vm,
    bus: &mut Bus,
    place: &Place,
    device: Arc<Mutex<impl VirtioDevice + 'static>>,
) -> Result<(), BuildError> {
    let irqfd = EventFd::new(0).map_err(BuildError::Interrupt)?;
    vm.interrupt_on(&irqfd, place.gsi())?;
    {
        let device = device.lock().unwrap_or_else(PoisonError::into_inner);
        for (number, queue) in (0..).zip(device.queues()) {
            vm.signal_on_write(&queue.notify, place.base() + QUEUE_NOTIFY, number)?;
        }
    }
    let transport = MmioTransport::new(device, vm.memory().clone(), Interrupt::new(irqfd));
    bus.attach_mmio(
        place.base(),
        layout::VIRTIO_BYTES,
        Arc::new(Mutex::new(transport)),
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pid_1_finds_the_network_interface_by_its_number_on_the_command_line() {
        let hardware = Ring0::Hardware {
            instructions_per_second: 1,
        };
        let line = command_line(hardware, Voice::Quiet, MAX_DISKS, None).unwrap();
        let line = line.to_str().unwrap();
        let (before, _) = line.split_once(&format!("{:#x}", NETWORK.base())).unwrap();
        let number = before.matches("virtio_mmio.device=").count() - 1;
        assert_eq!(number, usize::from(NETWORK_PLACE));
    }

    #[test]
    fn each_place_has_its_number_and_an_interrupt_of_its_own() {
        let all: Vec<_> = ALWAYS.iter().chain(&DISKS).collect();
        let mut interrupts: Vec<_> = all.iter().map(|place| place.gsi()).collect();
        assert!(all.iter().zip(0..).all(|(place, number)| place.0 == number));
        interrupts.sort();
        assert_eq!(interrupts, [5, 6, 7, 9, 10, 11, 12, 13, 14, 15]);
    }
}
