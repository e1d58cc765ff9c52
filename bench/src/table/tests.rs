use std::time::Duration;

use launch::fake::{FakeLauncher, workload};
use launch::{ExitStatus, NoProgress, Side};
use vmm::ring0::Ring0;

use super::*;
use crate::floors::{Floor, Floors, Measuring};
use crate::load::LoadPlan;
use crate::{
    Contender, Ended, FileSystem, FootprintMoment, HostFacts, Interrupt, Metric, Plan, Programs,
    SeriesPlan, Ways, compare,
};

fn environment(guest_ring0: Option<Ring0>) -> Environment {
    Environment {
        taken_at: "2026-01-02T03:04:05Z".into(),
        cpu_model: Some("AMD EPYC".into()),
        cpus: 2,
        kernel_release: "6.18.0".into(),
        guest_ring0,
        host: HostFacts {
            is_virtual_machine: true,
            ..HostFacts::default()
        },
        image_file_system: Some(FileSystem {
            kind: "ext4".into(),
            device: "/dev/vda1".into(),
            options: "rw".into(),
        }),
        floors: Floors {
            floors: vec![Floor {
                what: "KVM_CREATE_VM".into(),
                times: 15,
                least_ns: 412_000,
                p50_ns: 450_000,
            }],
            unknown: vec!["the same with a new network namespace: no right".into()],
            measuring: Some(Measuring {
                clock_ns: 46,
                vm_doorbell_ns: Some(8_260),
            }),
        },
        programs: Programs {
            jaula_version: "0.1.0".into(),
            jaula_sha256: Some(launch::Digest::from_bytes(&[0x5a; 32])),
            guest_kernel_sha256: None,
        },
    }
}

fn rendered(
    container: &FakeLauncher,
    vm_cold: &FakeLauncher,
    vm_warm: &FakeLauncher,
    ring0: Option<Ring0>,
) -> String {
    timed(container, vm_cold, vm_warm, ring0, 0)
}

/// A report with so many timed runs of each way.
fn timed(
    container: &FakeLauncher,
    vm_cold: &FakeLauncher,
    vm_warm: &FakeLauncher,
    ring0: Option<Ring0>,
    runs: usize,
) -> String {
    render(&compared(container, vm_cold, vm_warm, ring0, runs), 80)
}

fn compared(
    container: &FakeLauncher,
    vm_cold: &FakeLauncher,
    vm_warm: &FakeLauncher,
    ring0: Option<Ring0>,
    runs: usize,
) -> Comparison {
    let plan = Plan {
        launchers: Ways {
            container,
            vm_cold,
            vm_warm,
        },
        workload: &workload(),
        stdin: None,
        others: Vec::new(),
        environment: environment(ring0),
        series: SeriesPlan {
            runs,
            warm_up: 1,
            budget: Duration::from_secs(600),
            metrics: vec![Metric::Main, Metric::Exit],
            figures: false,
            readiness: None,
            goes_on: false,
            seed: 7,
        },
        load: LoadPlan::default(),
    };
    let mut comparison = compare(plan, &NoProgress, &Interrupt::default()).unwrap();
    if let Some(series) = &mut comparison.series {
        // What these runs took in truth is of no interest.
        series.took_ns = 1_500_000_000;
    }
    comparison
}

fn exiting(code: u8) -> FakeLauncher {
    FakeLauncher::exiting(ExitStatus::Exited(code))
}

fn saying(text: impl Into<Vec<u8>>) -> FakeLauncher {
    exiting(0).stdout(text)
}

const EMULATED: Ring0 = Ring0::Emulated {
    instructions_per_second: 1_300_000,
};

#[test]
fn the_report_reads_from_figures_to_differences_to_the_host() {
    let container = saying("6.18.0\n2\nNAME=\"BusyBox\"\n").spans([
        ("cgroup", 250_000),
        ("mounts", 1_400_000),
        ("exec", 90_000),
    ]);
    let vm = saying("6.12.48\n1\nNAME=\"BusyBox\"\n").on(Side::Vm);
    let vm_cold = vm
        .clone()
        .spans([("create", 3_000_000), ("kernel boot", 8_500_000_000)]);
    let vm_warm = vm.spans([
        ("create", 800_000),
        ("restore", 1_100_000),
        ("connect", 90_000_000),
    ]);
    let expected = "\
true

                         container   vm cold   vm warm
───────────────────────────────────────────────────────
 exit code               0           0         0
 launch to main          1.74 ms     8.50 s    91.9 ms
 launch to exit          2.74 ms     8.50 s    92.9 ms
 memory, unreclaimable   -           -         -
 memory, peak            4.0 MiB     4.0 MiB   4.0 MiB
 memory, PSS             -           -         -
 disk, image             0 B         0 B       0 B
 disk, its own           -           -         -

Where the time went, from launch to exit

 container             vm cold                 vm warm
─────────────────────────────────────────────────────────────────
 cgroup       250 µs   create        3.00 ms   create     800 µs
 mounts      1.40 ms   kernel boot    8.50 s   restore   1.10 ms
 exec        90.0 µs   run           1.00 ms   connect   90.0 ms
 run         1.00 ms                           run       1.00 ms

What differs in what they saw

standard output, container and vm: 1 line alike

 container   vm
─────────────────────
 6.18.0      6.12.48
 2           1

standard output, vm cold and vm warm: the same, 25 B

standard error: nothing from any

Before you rely on these figures

W12 no memory limit: a container may use the host's, a guest has 128 MiB; give
--memory.
W12 no CPU limit: a container may use 2 CPUs, a guest has one; give --cpus.
W14 this host is itself a virtual machine: so VMs on it are nested.

2026-01-02T03:04:05Z: AMD EPYC, 2 CPUs, Linux 6.18.0, guest kernel mode emulated
at 1.3 million instructions a second, cgroup v2, the image on ext4 (/dev/vda1);
itself a virtual machine, mitigations not told, governor not told; jaula 0.1.0,
binary 5a5a5a5a5a5a
What the kernel takes at least: KVM_CREATE_VM 412 µs. Measuring itself adds 46
ns to each span, a reading of the clock, and 8.26 µs to a VM's launch to main,
the exit that its doorbell is.
Note: this host emulates the guest's kernel mode, some thousand times slower
than hardware runs it: the time that vm cold takes to boot, most of what vm warm
takes after its restore, and what a guest's kernel does for its command, are
facts about this host, not about VMs; memory, disk and plain computing are as
elsewhere.
Note: what the kernel takes at least is not known of the same with a new network
namespace: no right.
Note: container, vm cold and vm warm ended within 2 s of main: only the peak of
the memory is known.
";
    assert_eq!(
        rendered(&container, &vm_cold, &vm_warm, Some(EMULATED)),
        expected
    );
}

#[test]
fn vms_that_saw_different_things_are_shown_against_each_other() {
    let text = rendered(
        &saying("2\nup 5000\n"),
        &saying("1\nup 8\n"),
        &saying("1\nup 9\n"),
        None,
    );
    let expected = "\
standard output, container and vm cold: 0 lines alike

 container   vm cold
─────────────────────
 2           1
 up 5000     up 8

standard output, vm cold and vm warm: 1 line alike

 vm cold   vm warm
───────────────────
 up 8      up 9

standard error: nothing from any
";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn what_all_saw_is_said_once() {
    let text = rendered(&saying("x\n"), &saying("x\n"), &saying("x\n"), None);
    assert!(
        text.contains("standard output: the same from all, 2 B\n"),
        "{text}"
    );
}

#[test]
fn a_way_without_another_is_compared_with_none() {
    let failing = FakeLauncher::failing("no KVM");
    let text = rendered(&saying("x\n"), &failing, &failing, None);
    assert!(
        text.contains("standard output: there are no two to compare\n"),
        "{text}"
    );
}

#[test]
fn a_boot_is_not_excused_on_hardware() {
    let hardware = Ring0::Hardware {
        instructions_per_second: 2_000_000_000,
    };
    let text = rendered(&exiting(0), &exiting(0), &exiting(0), Some(hardware));
    assert!(text.contains("kernel mode in\nhardware"), "{text}");
    assert!(!text.contains("not about VMs"), "{text}");
}

#[test]
fn a_way_that_failed_has_its_column_and_says_why_in_a_note() {
    let failing = FakeLauncher::failing("the guest panicked\u{7}").on(Side::Vm);
    let text = rendered(&exiting(0), &exiting(0), &failing, None);
    assert!(
        text.contains(" exit code               0           0         failed\n"),
        "{text}"
    );
    assert!(
        text.contains("Note: vm warm failed: the guest panicked\\u{7}."),
        "{text}"
    );
}

#[test]
fn of_many_different_lines_only_some_are_shown() {
    let lines: String = (0..100).map(|n| format!("{n}\n")).collect();
    let text = rendered(&saying(lines), &exiting(0), &exiting(0), None);
    assert!(text.contains("and 60 more lines"), "{text}");
    assert!(text.lines().count() < 90, "{text}");
}

#[test]
fn lines_too_long_for_half_the_width_stand_one_above_the_other() {
    let memory = |total: u32| format!("Mem: {total:>12}          486       10878           9\n");
    let text = rendered(
        &saying(memory(24106)),
        &saying(memory(115)),
        &saying(memory(115)),
        None,
    );
    let expected = "
 container   Mem:        24106          486       10878           9
 vm          Mem:          115          486       10878           9
";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn what_real_runs_give_fits_a_terminal() {
    let container = exiting(0).spans([("cgroup", 709_000), ("network", 1_290_000)]);
    let boot = exiting(0).spans([("kernel boot", 7_360_000_000), ("root mount", 647_000_000)]);
    let restore = exiting(0).spans([("restore", 1_100_000), ("root mount", 101_000_000)]);
    let text = rendered(&container, &boot, &restore, Some(EMULATED));
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn timed_runs_have_a_verdict_in_words() {
    let container = exiting(0).spans([("exec", 2_000_000)]);
    let vm_cold = exiting(0).spans([("kernel boot", 6_000_000_000)]);
    let vm_warm = exiting(0).spans([("restore", 300_000_000)]);
    let text = timed(&container, &vm_cold, &vm_warm, None, 8);
    let expected = "\
 launch to main   runs   p50       p90       max       verdict
──────────────────────────────────────────────────────────────────────────
 container           8   2.00 ms   2.00 ms   2.00 ms
 vm cold             8    6.00 s    6.00 s    6.00 s   slower, 3000 times
 vm warm             8    300 ms    300 ms    300 ms   slower, 150 times
 vm cold against container: +6.00 s (+6.00 s to +6.00 s), p = 0.0002
 vm warm against container: +298 ms (+298 ms to +298 ms), p = 0.0002

";
    assert!(text.contains(expected), "{text}");
    let expected = "
8 rounds in 1.50 s, in random order and then backwards (seed 7); 3 runs before
them only warmed up; one run each way was checked before. Verdicts are about the
median of the differences within rounds, with its 95 % bootstrap interval;
faster and slower also need a Mann-Whitney p below 0.05, equivalent is a
difference of less than 5 %.

Where the time went, in the median run of each way
";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn what_a_workload_reports_is_a_table_of_its_own() {
    let reporting = |getppid: &str| {
        saying(format!(
            "jaula-figures 1\ngetppid {getppid}\nend took_ns=0\n"
        ))
    };
    let container = reporting("values=300 batch=64 p50_ns=145 p99_ns=156");
    let vm = reporting("values=5 batch=64 p50_ns=195897");
    let text = timed(&container, &vm, &vm, None, 8);
    let expected = "
 it reports               runs   p50      p99      verdict
──────────────────────────────────────────────────────────────────────
 getppid      container      8   145 ns   156 ns
              vm cold        8   196 µs        -   slower, 1351 times
              vm warm        8   196 µs        -   slower, 1351 times
p50 and p99 are of single operations, of batches' means where one takes
nanoseconds, by the workload's own clock, which is checked against the host's:
the middle of what the runs reported. Verdicts are about the runs' medians.
";
    assert!(text.contains(expected), "{text}");
    assert!(
        text.contains("standard output, but for the numbers: the same from all, "),
        "{text}"
    );
    let checked = timed(&container, &vm, &vm, None, 0);
    assert!(
        checked.contains(" getppid      container      1   145 ns   156 ns\n"),
        "{checked}"
    );
}

#[test]
fn a_few_runs_have_no_verdict() {
    let text = timed(&exiting(0), &exiting(0), &exiting(0), None, 3);
    assert!(text.contains("   too few runs\n"), "{text}");
    assert!(
        text.contains(" vm warm against container: +0 ns\n"),
        "{text}"
    );
}

#[test]
fn page_tables_have_rows_where_one_way_tells_of_them() {
    let fake = || FakeLauncher::exiting(ExitStatus::Exited(0));
    let mut comparison = compared(&fake(), &fake(), &fake(), None, 0);
    assert!(!render(&comparison, 80).contains("page tables"));
    if let FootprintReading::Taken { moment, .. } = &mut comparison.ways.vm_cold.footprint {
        *moment = FootprintMoment::TwoSecondsAfterMain;
    }
    let text = render(&comparison, 80);
    for (name, expected) in [
        ("memory, page tables", ["-", "256.0 KiB", "-"]),
        ("memory, KVM's page tables", ["-", "0 B", "-"]),
    ] {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(name));
        let cells: Vec<_> = line.unwrap().split("  ").map(str::trim).collect();
        let cells: Vec<_> = cells.into_iter().filter(|it| !it.is_empty()).collect();
        assert_eq!(cells, expected, "{text}");
    }
}

#[test]
fn what_ended_early_says_so() {
    for (ended, text) in [
        (
            Ended::OutOfTime,
            "There was no time for 8 runs of each in 600 s",
        ),
        (
            Ended::Interrupted,
            "It was interrupted after 8 of 8 rounds.",
        ),
    ] {
        let mut comparison = compared(&exiting(0), &exiting(0), &exiting(0), None, 8);
        comparison.series.as_mut().unwrap().ended = ended;
        let rendered = render(&comparison, 900);
        assert!(rendered.contains(text), "{rendered}");
    }
}

#[test]
fn who_ran_less_often_than_was_asked_for_is_told() {
    let mut comparison = compared(&exiting(0), &exiting(0), &exiting(0), None, 8);
    let series = comparison.series.as_mut().unwrap();
    series.ended = Ended::OutOfTime;
    let mut runs_of_vm_cold = 0;
    series.samples.retain(|sample| {
        let is_of_vm_cold = !sample.is_warm_up && sample.contender == Contender::VmCold;
        runs_of_vm_cold += usize::from(is_of_vm_cold);
        !is_of_vm_cold || runs_of_vm_cold <= 3
    });
    let rendered = render(&comparison, 900);
    let text = "There was no time for 8 runs of vm cold (3) in 600 s";
    assert!(rendered.contains(text), "{rendered}");
}
