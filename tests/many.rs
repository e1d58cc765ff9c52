//! Containers in numbers.

#![allow(clippy::unwrap_used)]

mod harness;

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Stdio};

use harness::World;

/// More than a host of two CPUs has a turn for.
const AT_ONCE: usize = 500;

/// A container that has been started, and waits for the end of its input.
struct Waiting {
    jaula: Child,
    _stdin: ChildStdin,
}

fn start(world: &World, number: usize) -> Waiting {
    let name = format!("{}{number}", world.name_prefix());
    let script = "hostname; read line; exit 7";
    let args = ["run", "-i", "--name", &name, "-h", &name, "-m", "64m"];
    let args = [&args[..], &["busybox", "sh", "-c", script]].concat();
    let mut jaula = world.jaula(args).stdin(Stdio::piped()).spawn().unwrap();
    let _stdin = jaula.stdin.take().unwrap();
    Waiting { jaula, _stdin }
}

#[test]
fn five_hundred_at_once_each_answer_and_leave_nothing() {
    let world = World::new();
    let mut all: Vec<_> = (0..AT_ONCE).map(|number| start(&world, number)).collect();
    for (number, container) in all.iter_mut().enumerate() {
        let mut said = String::new();
        let stdout = container.jaula.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut said).unwrap();
        assert_eq!(said, format!("{}{number}\n", world.name_prefix()));
    }
    let jaulas: Vec<_> = all.into_iter().map(|container| container.jaula).collect();
    for jaula in jaulas {
        let output = jaula.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        assert_eq!(output.status.code(), Some(7));
    }
    world.assert_no_traces();
}
