use std::time::Duration;

use guest_protocol::Mark;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::guest::Guest;
use crate::host::{Host, lives, monitors_of, wait_for};

/// Every test and its name, which says what must hold.
pub const ALL: &[(&str, fn())] = &[
    (
        "a_panic_is_an_error_with_its_reason_and_what_led_to_it",
        a_panic_is_an_error_with_its_reason_and_what_led_to_it,
    ),
    (
        "a_triple_fault_is_an_error_that_tells_where",
        a_triple_fault_is_an_error_that_tells_where,
    ),
    (
        "a_reboot_before_the_command_has_ended_is_an_error",
        a_reboot_before_the_command_has_ended_is_an_error,
    ),
    (
        "marks_become_the_spans_of_the_timeline",
        marks_become_the_spans_of_the_timeline,
    ),
    (
        "without_the_last_mark_there_is_no_main",
        without_the_last_mark_there_is_no_main,
    ),
    (
        "a_kernel_that_does_not_fit_into_memory_fails_the_launch",
        a_kernel_that_does_not_fit_into_memory_fails_the_launch,
    ),
    (
        "a_machine_that_is_dropped_leaves_nothing",
        a_machine_that_is_dropped_leaves_nothing,
    ),
    (
        "waiting_can_be_given_up_and_taken_up_again",
        waiting_can_be_given_up_and_taken_up_again,
    ),
    (
        "whoever_waits_is_woken_whichever_thread_takes_the_news",
        whoever_waits_is_woken_whichever_thread_takes_the_news,
    ),
    (
        "signals_are_taken_at_any_time",
        signals_are_taken_at_any_time,
    ),
    (
        "a_monitor_does_not_outlive_a_killed_launcher",
        a_monitor_does_not_outlive_a_killed_launcher,
    ),
    (
        "a_killed_monitor_is_an_error_that_says_so",
        a_killed_monitor_is_an_error_that_says_so,
    ),
    (
        "a_monitor_that_is_killed_for_a_system_call_is_an_error_that_says_so",
        a_monitor_that_is_killed_for_a_system_call_is_an_error_that_says_so,
    ),
];

/// Waits for a guest that fails, and returns the error.
#[track_caller]
fn failure(guest: Guest) -> String {
    let instance = Host::new(guest).launch().unwrap();
    let error = instance.wait(None).unwrap_err().to_string();
    assert_eq!(error.lines().count(), 1, "{error}");
    // Asked again, it says the same.
    assert_eq!(instance.wait(None).unwrap_err().to_string(), error);
    error
}

fn a_panic_is_an_error_with_its_reason_and_what_led_to_it() {
    let guest = Guest::default()
        .says("the disk is on fire")
        .says("Kernel panic - not syncing: no root")
        .says("CPU: 0 PID: 1")
        .resets();
    let error = failure(guest);
    assert!(error.contains("panicked: no root"), "{error}");
    assert!(error.contains("the disk is on fire"), "{error}");
}

fn a_triple_fault_is_an_error_that_tells_where() {
    let error = failure(Guest::default().crashes());
    assert!(error.contains("triple fault"), "{error}");
    assert!(error.contains("rip=0x1000000"), "{error}");
}

fn a_reboot_before_the_command_has_ended_is_an_error() {
    let error = failure(Guest::default().resets());
    assert!(error.contains("rebooted"), "{error}");
}

fn marks_become_the_spans_of_the_timeline() {
    let guest = Mark::ALL.into_iter().fold(Guest::default(), Guest::rings);
    let instance = Host::new(guest.resets()).launch().unwrap();
    assert!(instance.wait_main().unwrap());
    instance.wait(None).unwrap_err();
    let timeline = instance.timeline();
    let names: Vec<_> = timeline.spans().iter().map(|span| &*span.name).collect();
    assert_eq!(
        names,
        [
            "cgroup",
            "spawn",
            "memory",
            "create",
            "devices",
            "kernel load",
            "vcpu",
            "jail",
            "kernel boot",
            "init",
            "connect",
            "root mount",
            "exec",
            "teardown",
        ]
    );
    let before_main: u64 = timeline.spans()[..13]
        .iter()
        .map(|span| span.duration_ns)
        .sum();
    assert_eq!(timeline.launch_to_main_ns(), Some(before_main));
}

fn without_the_last_mark_there_is_no_main() {
    let guest = Guest::default()
        .rings(Mark::Init)
        .rings(Mark::Root)
        .resets();
    let instance = Host::new(guest).launch().unwrap();
    assert!(!instance.wait_main().unwrap());
    assert_eq!(instance.timeline().launch_to_main_ns(), None);
}

fn a_kernel_that_does_not_fit_into_memory_fails_the_launch() {
    let host = Host::new(Guest::default().takes(256 << 20).resets());
    let Err(error) = host.launch() else {
        panic!("256 MiB do not fit into 128");
    };
    let error = error.to_string();
    assert!(error.contains("0x1000000 to 0x11000000"), "{error}");
    assert!(host.leftovers().is_empty());
}

fn a_machine_that_is_dropped_leaves_nothing() {
    let host = Host::new(Guest::default().loops());
    let instance = host.launch().unwrap();
    assert_eq!(host.leftovers().len(), 1);
    drop(instance);
    assert!(host.leftovers().is_empty());
}

fn waiting_can_be_given_up_and_taken_up_again() {
    let host = Host::new(Guest::default().loops());
    let instance = host.launch().unwrap();
    for _ in 0..2 {
        let waited = instance.wait(Some(Duration::from_millis(1)));
        assert_eq!(waited.unwrap(), None);
    }
}

fn whoever_waits_is_woken_whichever_thread_takes_the_news() {
    let guest = Mark::ALL.into_iter().fold(Guest::default(), Guest::rings);
    let instance = Host::new(guest.resets()).launch().unwrap();
    let instance = &*instance;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert!(instance.wait_main().unwrap()));
            scope.spawn(|| instance.wait(None).unwrap_err());
        }
    });
}

fn signals_are_taken_at_any_time() {
    let instance = Host::new(Guest::default().resets()).launch().unwrap();
    instance.signal(Signal::SIGTERM).unwrap();
    instance.wait(None).unwrap_err();
    instance.signal(Signal::SIGTERM).unwrap();
}

fn a_monitor_does_not_outlive_a_killed_launcher() {
    let host = Host::new(Guest::default().loops());
    let mut launcher = host.start_launcher();
    let mut monitors = Vec::new();
    wait_for("a monitor", || {
        monitors = monitors_of(launcher.id());
        !monitors.is_empty()
    });
    launcher.kill().unwrap();
    launcher.wait().unwrap();
    wait_for("the monitor's end", || {
        !monitors.iter().any(|pid| lives(*pid))
    });
    assert_eq!(host.leftovers().len(), 1);
    host.sweep();
    assert!(host.leftovers().is_empty());
}

/// What the launcher of a monitor says that a signal has ended.
fn error_of_one_that_got(signal: Signal) -> String {
    let host = Host::new(Guest::default().loops());
    let mut launcher = host.start_launcher();
    let mut monitors = Vec::new();
    wait_for("a monitor", || {
        monitors = monitors_of(launcher.id());
        !monitors.is_empty()
    });
    for pid in monitors {
        kill(Pid::from_raw(pid as i32), signal).unwrap();
    }
    launcher.wait().unwrap();
    assert!(host.leftovers().is_empty());
    host.error_of_launcher()
}

fn a_killed_monitor_is_an_error_that_says_so() {
    let error = error_of_one_that_got(Signal::SIGKILL);
    assert!(error.contains("the monitor died"), "{error}");
    assert!(error.contains("SIGKILL"), "{error}");
}

fn a_monitor_that_is_killed_for_a_system_call_is_an_error_that_says_so() {
    let error = error_of_one_that_got(Signal::SIGSYS);
    assert!(error.contains("system call"), "{error}");
    assert!(!error.contains("SIGSYS"), "{error}");
}
