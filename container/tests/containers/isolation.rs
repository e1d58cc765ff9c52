//! What the command can see and do.

use crate::world::{World, is_root};

#[test]
fn the_command_is_process_1_and_sees_no_other() {
    let world = World::new();
    assert_eq!(
        world.output_of("echo $$; ls -d /proc/[0-9]* | wc -l"),
        "1\n3\n"
    );
}

#[test]
fn no_descriptor_of_the_launcher_is_inherited() {
    let world = World::new();
    // 3 is the directory that `ls` reads.
    assert_eq!(world.output_of("ls /proc/self/fd"), "0\n1\n2\n3\n");
}

#[test]
fn root_has_dockers_default_capabilities_and_can_not_gain_more() {
    let world = World::new();
    let script = "grep -E '^(Cap|NoNewPrivs)' /proc/self/status";
    assert_eq!(
        world.output_of(script),
        "CapInh:\t0000000000000000\n\
         CapPrm:\t00000000a80425fb\n\
         CapEff:\t00000000a80425fb\n\
         CapBnd:\t00000000a80425fb\n\
         CapAmb:\t0000000000000000\n\
         NoNewPrivs:\t1\n"
    );
}

#[test]
fn another_user_has_no_capabilities() {
    let world = World::new();
    let credentials = launch::Credentials {
        uid: 1000,
        gid: 1000,
        groups: Vec::new(),
    };
    let argv = ["grep", "-E", "^Cap(Prm|Eff|Amb)", "/proc/self/status"];
    let outcome = world
        .run(&world.workload_as(&argv, "/", credentials))
        .unwrap();
    assert_eq!(
        outcome.stdout,
        "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapAmb:\t0000000000000000\n"
    );
}

#[test]
fn signals_are_neither_ignored_nor_blocked() {
    let world = World::new();
    let argv = ["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"];
    assert_eq!(
        world.run(&world.workload(&argv)).unwrap().stdout,
        "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
    );
}

#[test]
fn loopback_is_up_and_the_only_interface() {
    let world = World::new();
    let script = "ls /sys/class/net; ip -o addr show lo | grep -c 127.0.0.1";
    assert_eq!(world.output_of(script), "lo\n1\n");
}

#[test]
fn devices_are_dockers_few_and_they_work() {
    let world = World::new();
    let script = "cd /dev; ls; echo lost > null; head -c 3 zero | wc -c; \
                  head -c 3 urandom | wc -c; (echo > full) 2>&1; readlink ptmx";
    assert_eq!(
        world.output_of(&format!("{script}; true")),
        "fd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n\
         3\n3\nsh: write error: No space left on device\npts/ptmx\n"
    );
}

#[test]
fn what_tells_of_the_host_is_masked() {
    let world = World::new();
    let script = "for f in kcore keys timer_list interrupts sched_debug; do \
                  test ! -e /proc/$f || cat /proc/$f; done; \
                  for d in /proc/acpi /proc/scsi /sys/firmware; do \
                  test ! -e $d || ls -A $d; done";
    assert_eq!(world.output_of(script), "");
}

#[test]
fn what_changes_the_host_is_read_only() {
    let world = World::new();
    for path in ["/proc/sys/kernel/core_pattern", "/sys/kernel/uevent_helper"] {
        let script = format!("test ! -e {path} || (echo x > {path}) 2>&1; true");
        let output = world.output_of(&script);
        assert!(
            output.is_empty() || output.contains("Read-only") || output.contains("denied"),
            "{path}: {output}"
        );
    }
    let mounts = world.output_of("cat /proc/mounts");
    for path in ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/sys"] {
        let mount = mounts
            .lines()
            .find(|line| line.split(' ').nth(1) == Some(path))
            .unwrap();
        assert!(mount.contains(" ro,"), "{mount}");
    }
}

#[test]
fn nothing_of_the_hosts_mounts_is_seen() {
    let world = World::new();
    let mounts = world.output_of("cat /proc/mounts");
    let outside = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .filter(|path| *path != "/")
        .find(|path| {
            !["/proc", "/sys", "/dev"]
                .iter()
                .any(|root| path.starts_with(root))
        });
    assert_eq!(outside, None, "{mounts}");
    assert!(
        !mounts.contains("image"),
        "a path of the host is told: {mounts}"
    );
}

#[test]
fn mounting_is_not_allowed() {
    if !is_root("a container's root without CAP_SYS_ADMIN") {
        return;
    }
    let world = World::new();
    let script = "mount -t tmpfs none /bin 2>&1 && echo mounted; \
                  umount /proc 2>&1 && echo unmounted; \
                  test -x /bin/busybox && ls -d /proc/1";
    let output = world.output_of(script);
    assert!(!output.contains("mounted"), "{output}");
    assert!(output.ends_with("/proc/1\n"), "{output}");
}
