//! Limits of processes.

use launch::ExitStatus;

use crate::world::World;

#[test]
fn limits_are_those_that_were_asked_for() {
    let world = World::new();
    let script = "ulimit -n; ulimit -Hn; ulimit -c; ulimit -Hc";
    let mut workload = world.workload(&["sh", "-c", script]);
    workload.ulimits = ["nofile=64:128", "core=0"]
        .map(|limit| limit.parse().unwrap())
        .into();
    assert_eq!(world.run(&workload).unwrap().stdout, "64\n128\n0\n0\n");
}

/// What is opened on the way to the command is not subject to its limit.
#[test]
fn a_limit_of_three_files_is_enough_for_the_streams() {
    let world = World::new();
    let mut workload = world.workload(&["echo", "ran"]);
    workload.ulimits = vec!["nofile=3".parse().unwrap()];
    let outcome = world.run(&workload).unwrap();
    assert_eq!(outcome.status, ExitStatus::Exited(0));
    assert_eq!(outcome.stdout, "ran\n");
}
