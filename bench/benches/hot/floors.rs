//! What the kernel takes at least. A report shows the same beside our figures.

use std::time::{Duration, Instant};

use bench::floors;
use criterion::Criterion;
use kvm_ioctls::Kvm;
use vmm::floor;
use vmm::probe::{HLT, Probe};

pub fn all(criterion: &mut Criterion) {
    children(criterion);
    match Kvm::new() {
        Ok(kvm) => {
            machine(criterion, &kvm);
            exits(criterion, &kvm);
        }
        Err(error) => println!("floors of KVM: skipped, /dev/kvm can't be opened: {error}"),
    }
}

fn children(criterion: &mut Criterion) {
    for (what, child) in floors::children() {
        let run = || Duration::from_nanos(child.run_once().expect("a child"));
        criterion.bench_function(&format!("floor/{what}"), |bencher| {
            bencher.iter_custom(|times| (0..times).map(|_| run()).sum());
        });
    }
}

fn machine(criterion: &mut Criterion, kvm: &Kvm) {
    let create = || {
        let start = Instant::now();
        let vm = kvm.create_vm().expect("a machine");
        let took = start.elapsed();
        drop(vm);
        took
    };
    criterion.bench_function("floor/KVM_CREATE_VM", |bencher| {
        bencher.iter_custom(|times| (0..times).map(|_| create()).sum());
    });
}

/// Guests of a few instructions that do nothing but what is timed, through our bus.
fn exits(criterion: &mut Criterion, kvm: &Kvm) {
    type Code = fn(u32) -> Vec<u8>;
    let kinds: [(&str, Code); 3] = [
        ("exit for a write to a port", floor::writes_to_port),
        (
            "exit for a write to memory that is none",
            floor::writes_to_memory,
        ),
        ("CPUID in a guest", cpuids),
    ];
    for (what, code) in kinds {
        criterion.bench_function(&format!("floor/{what}"), |bencher| {
            bencher.iter_custom(|times| {
                let code = code(u32::try_from(times).unwrap_or(u32::MAX));
                let mut probe = Probe::new(kvm, &code).expect("a machine");
                let start = Instant::now();
                probe.run().expect("its end");
                start.elapsed()
            });
        });
    }
}

fn cpuids(times: u32) -> Vec<u8> {
    let mut code = floor::cpuids(times);
    code.push(HLT);
    code
}
