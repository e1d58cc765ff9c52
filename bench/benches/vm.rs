//! A VM of 128 MiB on the built-in kernel: from the entry of `launch()` to the first KVM_RUN,
//! from there to PID 1, and what memory the monitor needs for itself.
//!
//! The last is read from `smaps` of a monitor whose guest runs its command: all private pages
//! outside of the range of addresses that is the guest's memory.

#[path = "vm/qemu.rs"]
mod qemu;
mod vm_runs;

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;

use bench::{Environment, quantile, size};
use guest_images::{Cache, Kernel, Processors};
use launch::{Instance, Stdio};
use vm_runs::{Result, prepare, print_times, until_end_of_ns};
use vmm::StartMode;
use vmm::ring0::Ring0;

/// How often a machine is built, and taken down at its first instruction.
const BUILDS: usize = 40;
/// How often one boots to its end.
const BOOTS: usize = 3;
/// It runs until it is killed.
const ENDLESS: [&str; 2] = ["sleep", "1000"];
/// The guest's memory, in bytes: the default.
const MEMORY_BYTES: u64 = 128 << 20;
/// The span that the first KVM_RUN ends.
const LAST_BEFORE_RUN: &str = "jail";
/// The span from there to PID 1.
const BOOT: &str = "kernel boot";
/// The span at whose end PID 1 is connected and knows what to run.
const CONNECT: &str = "connect";

fn main() -> Result<()> {
    if vmm::is_monitor() {
        vmm::monitor_main();
    }
    let cache = Cache::new(host::paths::cache_dir()?, []);
    let prepared = prepare(&cache, &ENDLESS, None, StartMode::Cold)?;
    let vmlinux = Kernel::find(&cache, Processors::One)?
        .ok_or("no kernel")?
        .vmlinux();
    let ring0 = vmm::ring0::of_host(&vmm::kvm::open()?)?;
    println!("vm: {}", Environment::of_this_host(Some(ring0)));

    let mut to_first_run_ns = Vec::new();
    let mut spans = BTreeMap::<_, Vec<_>>::new();
    for _ in 0..BUILDS {
        // It returns when the machine is built, and dropping the instance takes it down.
        let instance = prepared.launch(Stdio::null()?)?;
        to_first_run_ns.push(until_end_of_ns(instance.as_ref(), LAST_BEFORE_RUN)?);
        for (number, span) in (0..).zip(instance.timeline().spans()) {
            let of_span: &mut Vec<u64> = spans.entry((number, span.name.to_string())).or_default();
            of_span.push(span.duration_ns);
        }
    }
    print_times("launch() to the first KVM_RUN", &to_first_run_ns);
    for ((_, name), samples_ns) in &spans {
        print_times(&format!("  of which {name}"), samples_ns);
    }

    let (mut boots_ns, mut to_connected_ns) = (Vec::new(), Vec::new());
    for boot in 0..BOOTS {
        let instance = prepared.launch(Stdio::null()?)?;
        if !instance.wait_main()? {
            return Err("the guest ended before its command ran".into());
        }
        boots_ns.push(span_ns(instance.as_ref(), BOOT)?);
        to_connected_ns.push(until_end_of_ns(instance.as_ref(), CONNECT)?);
        if boot == 0 {
            let memory = own_memory(monitor_of_this_process()?, &vmlinux)?;
            println!("  {:45} {}", "monitor's own private memory", size(memory));
        }
    }
    print_times("first KVM_RUN to PID 1", &boots_ns);
    if let Ring0::Emulated {
        instructions_per_second,
    } = ring0
    {
        let boot_s = quantile(&boots_ns, 0.5).unwrap_or_default() as f64 / 1e9;
        println!(
            "  {:45} {:.1} million, of the speed of a loop of two",
            "guest instructions in that",
            boot_s * instructions_per_second as f64 / 1e6
        );
    }
    print_times("launch() to PID 1, told what to run", &to_connected_ns);
    qemu::print(&cache, &ENDLESS, BOOTS)
}

fn span_ns(instance: &dyn Instance, name: &str) -> Result<u64> {
    let timeline = instance.timeline();
    let span = timeline.spans().iter().find(|span| span.name == name);
    Ok(span.ok_or("the timeline lacks a span")?.duration_ns)
}

/// The one child process that there is.
fn monitor_of_this_process() -> Result<u32> {
    let children = fs::read_to_string("/proc/thread-self/children")?;
    let mut children = children.split_whitespace();
    match (children.next(), children.next()) {
        (Some(only), None) => Ok(only.parse()?),
        _ => Err("there is not exactly one child process".into()),
    }
}

/// Private pages of a monitor outside of its guest's memory, in bytes: proc_pid_smaps(5).
fn own_memory(pid: u32, vmlinux: &Path) -> Result<u64> {
    let smaps = fs::read_to_string(format!("/proc/{pid}/smaps"))?;
    let guest = guest_memory(&smaps, vmlinux)?;
    let mut own_bytes = 0;
    let mut is_guests = false;
    for line in smaps.lines() {
        if let Some(mapping) = Mapping::parse(line) {
            // What is spare before the guest's memory is in one mapping with it, and never touched.
            is_guests = mapping.start < guest.end && guest.start < mapping.end;
        } else if line.starts_with("Private_") && !is_guests {
            let kib = line.split_whitespace().nth(1).ok_or("a line of smaps")?;
            own_bytes += kib.parse::<u64>()? << 10;
        }
    }
    Ok(own_bytes)
}

/// Where in the monitor's addresses its guest's memory is. Nothing of it says so but the kernel:
/// its file is mapped there, at the address in the guest that its ELF headers name.
fn guest_memory(smaps: &str, vmlinux: &Path) -> Result<Range<u64>> {
    let path = vmlinux.to_str().ok_or("the kernel's path is no text")?;
    let mapping = smaps
        .lines()
        .filter(|line| line.ends_with(path))
        .find_map(Mapping::parse)
        .ok_or("the kernel is not mapped")?;
    let in_guest = guest_address(&fs::read(vmlinux)?, mapping.offset)
        .ok_or("the kernel's headers do not name what is mapped")?;
    let start = mapping.start - in_guest;
    Ok(start..start + MEMORY_BYTES)
}

/// The line of `smaps` that begins a mapping.
struct Mapping {
    start: u64,
    end: u64,
    offset: u64,
}

impl Mapping {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let _permissions = words.next()?;
        let number = |digits| u64::from_str_radix(digits, 16).ok();
        Some(Self {
            start: number(start)?,
            end: number(end)?,
            offset: number(words.next()?)?,
        })
    }
}

/// The physical address of what stands at `offset` in an ELF file: `Elf64_Ehdr` and
/// `Elf64_Phdr`, elf(5).
fn guest_address(elf: &[u8], offset: u64) -> Option<u64> {
    let long = |at: usize| Some(u64::from_le_bytes(*elf.get(at..)?.first_chunk()?));
    let half = |at: usize| Some(u16::from_le_bytes(*elf.get(at..)?.first_chunk()?));
    let table = usize::try_from(long(32)?).ok()?;
    let (size, count) = (usize::from(half(54)?), usize::from(half(56)?));
    (0..count).find_map(|index| {
        let header = table + index * size;
        let (start, address, bytes) = (long(header + 8)?, long(header + 24)?, long(header + 32)?);
        let within = offset.checked_sub(start).filter(|within| *within < bytes)?;
        Some(address + within)
    })
}
