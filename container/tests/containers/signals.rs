//! Signals from outside.

use std::io::Read;
use std::time::Duration;

use launch::{ExitStatus, Stdio};
use nix::sys::signal::Signal;

use crate::world::{World, pipe};

fn null_but(stdout: std::os::fd::OwnedFd) -> Stdio {
    Stdio {
        stdout,
        ..Stdio::null().unwrap()
    }
}

/// Waits until the command has said that it is ready.
fn await_line(file: &mut std::fs::File) {
    let mut byte = [0];
    while byte != *b"\n" {
        assert_eq!(file.read(&mut byte).unwrap(), 1);
    }
}

#[test]
fn a_signal_reaches_a_command_that_handles_it() {
    let world = World::new();
    let (mut output, end) = pipe();
    let script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done";
    let instance = world
        .launch(&world.workload(&["sh", "-c", script]), null_but(end))
        .unwrap();
    await_line(&mut output);
    instance.signal(Signal::SIGTERM).unwrap();
    assert_eq!(instance.wait(None).unwrap(), Some(ExitStatus::Exited(7)));
}

#[test]
fn process_1_ignores_what_it_has_no_handler_for_but_not_sigkill() {
    let world = World::new();
    let (mut output, end) = pipe();
    let script = "echo ready; while :; do sleep 0.05; done";
    let instance = world
        .launch(&world.workload(&["sh", "-c", script]), null_but(end))
        .unwrap();
    await_line(&mut output);
    instance.signal(Signal::SIGTERM).unwrap();
    let still_running = instance.wait(Some(Duration::from_millis(200))).unwrap();
    assert_eq!(still_running, None);
    instance.signal(Signal::SIGKILL).unwrap();
    let ended = Some(ExitStatus::Signaled(9));
    assert_eq!(instance.wait(None).unwrap(), ended);
    // The same answer again, and a signal that comes too late is nothing.
    assert_eq!(instance.wait(None).unwrap(), ended);
    instance.signal(Signal::SIGKILL).unwrap();
}

#[test]
fn a_crash_is_a_signal() {
    let world = World::new();
    // The kernel lets even process 1 die by a fault of its own; a shell reports that of a child.
    let status = world.status_of(&["sh", "-c", "sh -c 'kill -SEGV $$'; exit $?"]);
    assert_eq!(status, ExitStatus::Exited(139));
}
