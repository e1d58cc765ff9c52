//! Where a booting guest kernel spends its time: its instruction pointer, sampled, and counted
//! by the functions of its symbol table.
//!
//! Made for hosts that emulate ring 0, where a kernel takes seconds and no tool in the guest can
//! look. A thread kicks the vCPU at a steady rate; each kick is a sample.

mod symbols;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use guest_protocol::{GUEST_CID, Mark, SHARES_TAG};
use launch::MemoryLimit;

use crate::boot::Backing;
use crate::boot::cmdline::{CommandLineError, Voice};
use crate::boot::kernel::{Kernel, KernelError};
use crate::builder::{self, Boot, BuildError, Devices};
use crate::devices::virtio::balloon::Balloon;
use crate::devices::virtio::block::{Access, Block, BlockError, Id};
use crate::devices::virtio::fs::{Fs, Limits};
use crate::devices::virtio::net::Net;
use crate::devices::virtio::rng::Rng;
use crate::devices::virtio::vsock::Vsock;
use crate::guest_end::GuestEnd;
use crate::kvm::{self, KvmError};
use crate::last_words::LastWords;
use crate::machine::Size;
use crate::power::PowerButton;
use crate::probe::ProbeError;
use crate::ring0;
use crate::vcpu::{HostCpuid, Kick, Stop, VcpuCount, VcpuError};

pub use symbols::{SymbolError, Symbols};

/// What a machine has by default.
const MEMORY: MemoryLimit = MemoryLimit::from_mib(128);

/// Why there is no profile.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// There is no KVM.
    #[error(transparent)]
    Kvm(#[from] KvmError),
    /// The kernel is none.
    #[error("the kernel can't be used")]
    Kernel(#[from] KernelError),
    /// The host's kind is not known.
    #[error(transparent)]
    Ring0(#[from] ProbeError),
    /// The machine can't be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// Its sockets can't be made.
    #[error("the machine's devices can't be made")]
    Sockets(#[from] std::io::Error),
    /// Its disk can't be made.
    #[error(transparent)]
    Disk(#[from] BlockError),
    /// The kernel can't be told what it must know.
    #[error(transparent)]
    CommandLine(#[from] CommandLineError),
    /// The machine can't be looked at.
    #[error(transparent)]
    Vcpu(#[from] VcpuError),
    /// The vCPU can't be kicked.
    #[error("the vCPU can't be sampled")]
    Kick(#[source] std::io::Error),
    /// The guest ended before PID 1 ran.
    #[error(transparent)]
    GuestEnd(#[from] GuestEnd),
}

/// The share of one function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The function.
    pub symbol: String,
    /// How long it ran itself, what it calls aside.
    pub time: Duration,
}

/// Where the time from the first instruction to PID 1 went.
#[derive(Clone, Debug)]
pub struct Profile {
    /// All of it.
    pub total: Duration,
    /// How many samples were taken.
    pub samples: usize,
    /// By function, the dearest first.
    pub rows: Vec<Row>,
}

/// Boots a kernel until its PID 1 runs, looking at it once each `period`.
///
/// # Errors
///
/// When this host can't run it, or the guest does not get there.
pub fn boot(
    image: File,
    initrd: &File,
    symbols: &Symbols,
    period: Duration,
) -> Result<Profile, ProfileError> {
    let kvm = kvm::open()?;
    let kernel = Kernel::parse(image)?;
    let booted = Arc::new(AtomicBool::new(false));
    let words = LastWords::default();
    let ring0 = ring0::of_host(&kvm)?;
    let command_line = builder::command_line(ring0, Voice::Quiet, 0, None)?;
    let from = Boot {
        kernel: &kernel,
        backing: Backing::Copied,
        initrd,
        initrd_backing: Backing::Copied,
        cpuid: &HostCpuid::of(&kvm)?,
        size: Size {
            memory_bytes: MEMORY.bytes(),
            vcpus: VcpuCount::ONE,
        },
        ring0,
        command_line: &command_line,
    };
    let devices = Devices {
        // What PID 1 does after its first mark is not looked at any more, so nothing is on the
        // disk, nobody behind the sockets, and nothing shared. No device is served.
        disk: Arc::new(Mutex::new(Block::new(
            File::open("/dev/null")?,
            Access::ReadOnly,
            Id::default(),
        )?)),
        sockets: Arc::new(Mutex::new(Vsock::new(GUEST_CID, BTreeMap::new())?)),
        shares: Arc::new(Mutex::new(Fs::new(SHARES_TAG, Vec::new(), Limits::NONE)?)),
        network: Arc::new(Mutex::new(Net::new(None)?)),
        random: Arc::new(Mutex::new(Rng::new()?)),
        balloon: Arc::new(Mutex::new(Balloon::new()?)),
        disks: Vec::new(),
        power_button: PowerButton::new()?,
        on_mark: Box::new({
            let booted = booted.clone();
            move |mark, _| {
                if mark == Mark::Init {
                    booted.store(true, Ordering::Relaxed);
                }
            }
        }),
        on_line: words.listener(),
        on_console: None,
    };
    let mut machine = builder::boot(kvm, from, devices, |_| {})?;
    let kick = Kick::this_thread().map_err(ProfileError::Kick)?;

    thread::scope(|scope| {
        let (_running, stopped) = mpsc::channel::<()>();
        scope.spawn(move || {
            // Ends when the other end of the channel does.
            while stopped.recv_timeout(period) == Err(mpsc::RecvTimeoutError::Timeout) {
                if kick.kick().is_err() {
                    break;
                }
            }
        });
        let start = Instant::now();
        let mut last = start;
        let mut samples = 0;
        let mut times: HashMap<&str, Duration> = HashMap::new();
        while !booted.load(Ordering::Relaxed) {
            match machine.run() {
                Ok(Stop::Kicked) => {
                    // A sample stands for the time since the one before: kicks come late.
                    let now = Instant::now();
                    let rip = machine.first_vcpu().registers()?.0.rip;
                    *times.entry(symbols.name(rip)).or_default() += now - last;
                    last = now;
                    samples += 1;
                }
                stopped => return Err(GuestEnd::of(stopped, &words).into()),
            }
        }
        let mut rows: Vec<_> = times
            .into_iter()
            .map(|(symbol, time)| Row {
                symbol: symbol.to_owned(),
                time,
            })
            .collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.time));
        Ok(Profile {
            total: last - start,
            samples,
            rows,
        })
    })
}
