use launch::fake::{FakeLauncher, workload};
use launch::{ExitStatus, NoProgress, Side};

use super::*;
use crate::{Environment, Interrupt, Plan, compare};

fn environment(guest_ring0: Option<Ring0>) -> Environment {
    Environment {
        taken_at: "2026-01-02T03:04:05Z".into(),
        cpu_model: Some("AMD EPYC".into()),
        cpus: 2,
        kernel_release: "6.18.0".into(),
        guest_ring0,
    }
}

fn rendered(container: &FakeLauncher, vm: &FakeLauncher, ring0: Option<Ring0>) -> String {
    let plan = Plan {
        launchers: Sides { container, vm },
        workload: &workload(),
        stdin: None,
        environment: environment(ring0),
    };
    render(
        &compare(plan, &NoProgress, &Interrupt::default()).unwrap(),
        80,
    )
}

fn exiting(code: u8) -> FakeLauncher {
    FakeLauncher::exiting(ExitStatus::Exited(code))
}

#[test]
fn the_report_reads_from_figures_to_differences_to_the_host() {
    let container = exiting(0).stdout("6.18.0\n2\nNAME=\"BusyBox\"\n").spans([
        ("cgroup", 250_000),
        ("mounts", 1_400_000),
        ("exec", 90_000),
    ]);
    let vm = exiting(0)
        .on(Side::Vm)
        .stdout("6.12.48\n1\nNAME=\"BusyBox\"\n")
        .spans([("create", 3_000_000), ("kernel boot", 8_500_000_000)]);
    let emulated = Ring0::Emulated {
        instructions_per_second: 1_300_000,
    };
    let expected = "\
true

                         container   vm
─────────────────────────────────────────────
 exit code               0           0
 launch to main          1.74 ms     8.50 s
 launch to exit          2.74 ms     8.50 s
 memory, unreclaimable   -           -
 memory, peak            4.0 MiB     4.0 MiB

Where the time went, from launch to exit

 container             vm
─────────────────────────────────────────────
 cgroup       250 µs   create        3.00 ms
 mounts      1.40 ms   kernel boot    8.50 s
 exec        90.0 µs   run           1.00 ms
 run         1.00 ms

What differs in what they saw

standard output: 1 line alike

 container   vm
─────────────────────
 6.18.0      6.12.48
 2           1

standard error: nothing on both

2026-01-02T03:04:05Z: AMD EPYC, 2 CPUs, Linux 6.18.0, guest kernel mode emulated
at 1.3 million instructions a second, cgroup v2
Note: this host emulates the guest's kernel mode, some thousand times slower
than hardware runs it: the vm's boot time here is a fact about this host, not
about VMs.
Note: container and vm ended within 2 s of main: only the peak of the memory is
known.
";
    assert_eq!(rendered(&container, &vm, Some(emulated)), expected);
}

#[test]
fn the_boot_time_is_not_excused_on_hardware() {
    let hardware = Ring0::Hardware {
        instructions_per_second: 2_000_000_000,
    };
    let text = rendered(&exiting(0), &exiting(0), Some(hardware));
    assert!(text.contains("kernel mode in\nhardware"), "{text}");
    assert!(!text.contains("not about VMs"), "{text}");
}

#[test]
fn a_side_that_failed_says_why_in_a_note() {
    let text = rendered(
        &exiting(0),
        &FakeLauncher::failing("the guest panicked\u{7}").on(Side::Vm),
        None,
    );
    assert!(
        text.contains("Note: vm failed: the guest panicked\\u{7}."),
        "{text}"
    );
}

#[test]
fn of_many_different_lines_only_some_are_shown() {
    let lines: String = (0..100).map(|n| format!("{n}\n")).collect();
    let text = rendered(&exiting(0).stdout(lines), &exiting(0), None);
    assert!(text.contains("and 60 more lines"), "{text}");
    assert!(text.lines().count() < 80, "{text}");
}

#[test]
fn lines_too_long_for_half_the_width_stand_one_above_the_other() {
    let memory = |total: u32| format!("Mem: {total:>12}          486       10878           9\n");
    let text = rendered(
        &exiting(0).stdout(memory(24106)),
        &exiting(0).stdout(memory(115)),
        None,
    );
    let expected = "
 container   Mem:        24106          486       10878           9
 vm          Mem:          115          486       10878           9
";
    assert!(text.contains(expected), "{text}");
}
