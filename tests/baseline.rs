//! A plain process of the host, which every comparison has beside it where it can.

#![allow(clippy::unwrap_used)]

mod harness;

use std::fs;
use std::path::Path;

use bench::{Comparison, Contender};
use harness::nobody::is_root;
use harness::{Place, World, can_run};
use launch::Side;

/// What root gets at ends it with another code than 0. Root is in a container, and goes at once.
const NOBODY: &str = r#"
test "$(id -u)" = 0 && exit 0
kill -0 "$1" 2>/dev/null && exit 10
true 2>/dev/null > /etc/passwd && exit 11
true > /written || exit 12
true 2>/dev/null > /proc/sys/kernel/core_pattern && exit 13
dd if=/dev/zero of=/dev/shm/x bs=1M count=70 2>/dev/null && exit 14
test "$(ulimit -v)" = 65536 || exit 15
grep -q '^Max processes *50 ' /proc/self/limits || exit 16
rm /dev/shm/x
echo > /dev/shm/jaula-baseline-was-here || exit 17
setsid sleep "$2" &
exit 0
"#;

#[test]
fn a_host_process_that_nobody_asked_for_is_timed_has_no_rights_and_leaves_nothing() {
    if !is_root() || !can_run(Side::Vm) {
        return;
    }
    let _place = Place::take(Side::Vm);
    let ours = std::process::id().to_string();
    // No other process sleeps for so long.
    let seconds = format!("10000{ours}");
    let flags = ["compare", "--budget-time=1ms", "--metrics=exit", "--runs=1"];
    let limits = ["--json", "-m=64m", "--pids-limit=50", "busybox"];
    let command = ["sh", "-c", NOBODY, "sh", &ours, &seconds];
    let seen = World::new().run([&flags[..], &limits, &command].concat());
    assert_eq!(seen.code, Some(0), "{}", seen.stderr);
    let comparison: Comparison = serde_json::from_slice(&seen.stdout).unwrap();
    let [baseline] = &comparison.others[..] else {
        panic!("{:?}", comparison.others);
    };
    assert_eq!(baseline.contender, Contender::HostProcess);
    assert_eq!(baseline.outcome.exit_code(), Some(0), "{baseline:?}");
    let [host_process, container, ..] = &comparison.results[0].rows[..] else {
        panic!("{:?}", comparison.results);
    };
    assert_eq!(host_process.summary.unwrap().count, 1);
    let against = container.against.as_ref().unwrap();
    assert_eq!(against.reference, Contender::HostProcess);
    assert!(!is_running(&seconds));
    assert!(!Path::new("/dev/shm/jaula-baseline-was-here").exists());
}

fn is_running(argument: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut lines = processes.filter_map(|it| fs::read(it.path().join("cmdline")).ok());
    lines.any(|line| {
        line.split(|byte| *byte == 0)
            .any(|it| it == argument.as_bytes())
    })
}
