//! What a launch computes.

use criterion::{BatchSize, Criterion};
use vmm::boot::cmdline::Voice;
use vmm::boot::kernel::{Entry, Loaded};
use vmm::boot::{Hardware, VirtioPlace, hand_over};
use vmm::builder;
use vmm::jail::{Filter, Role};
use vmm::ring0::Ring0;
use vmm::vcpu::VcpuCount;

const MEMORY_BYTES: u64 = 16 << 20;
/// As on hardware, where the command line is shortest.
const RING0: Ring0 = Ring0::Hardware {
    instructions_per_second: 1_000_000_000,
};

pub fn all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("boot");
    group.bench_function("kernel's command line", |bencher| {
        bencher.iter(|| builder::command_line(RING0, Voice::Quiet, 4, None));
    });
    tables(&mut group);
    group.finish();
    let mut group = criterion.benchmark_group("seccomp");
    for role in [Role::Vcpu, Role::Main] {
        group.bench_function(
            format!("compile the filter of {}", role.name()),
            |bencher| {
                bencher.iter(|| Filter::of(role));
            },
        );
    }
    group.finish();
}

/// The MP table, ACPI's, the zero page and the page tables.
fn tables(group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>) {
    let command_line = builder::command_line(RING0, Voice::Quiet, 4, None).expect("a command line");
    let kernel = Loaded {
        entry: Entry::Long(0x100_0000),
        end: 0x180_0000,
        setup_header: None,
    };
    let virtio: Vec<_> = (0..10)
        .map(|place| VirtioPlace {
            base: 0xd000_0000 + u64::from(place) * 0x1000,
            gsi: 5 + place,
        })
        .collect();
    let hardware = Hardware {
        vcpus: VcpuCount::ONE,
        virtio: &virtio,
    };
    let memory = || vmm::memory::allocate(MEMORY_BYTES).expect("memory");
    group.bench_function("tables in memory that was not touched", |bencher| {
        bencher.iter_batched_ref(
            memory,
            |memory| hand_over(memory, &kernel, &command_line, None, &hardware),
            BatchSize::PerIteration,
        );
    });
}
