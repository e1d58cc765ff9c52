//! One test for each known way out of a container, or further into the host than a container may
//! go. Each fails when the defence that it names is taken away.

#![allow(clippy::unwrap_used)]

mod harness;

use harness::World;
use harness::nobody::is_root;

/// What a script says in a container of root, which has the default capabilities.
fn output_of(script: &str) -> String {
    let world = World::new();
    let seen = world.run(["run", "busybox", "sh", "-c", script]);
    assert_eq!(seen.code, Some(0), "{}", seen.stderr);
    seen.stdout_text()
}

/// Root of a container may make device nodes (CAP_MKNOD is in docker's default set), so a node
/// of the host's disk can always be made. None that is made opens.
#[test]
fn a_device_node_that_the_container_makes_does_not_open() {
    if !is_root() {
        return;
    }
    // The kernel's memory devices, which open everywhere, and the first loop device.
    let script = "for dir in / /tmp /dev /dev/shm; do \
                      mkdir -p $dir; cd $dir; \
                      mknod c c 1 5; mknod b b 7 0; \
                      for node in c b; do head -c 1 $node 2>&1 >/dev/null; done; \
                  done; true";
    let refused = "head: c: Permission denied\nhead: b: Permission denied\n";
    assert_eq!(output_of(script), refused.repeat(4));
}
