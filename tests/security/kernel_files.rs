//! Files of the kernel that change the host, or tell of it.

use std::fs;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;

use crate::harness::World;
use crate::harness::nobody::{is_root, run_as_nobody};
use crate::{output_of, output_with};

/// What the kernel runs as root when it likes, and what has it do something.
const DANGEROUS: &str = "\
    /proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe /proc/sys/kernel/hotplug \
    /proc/sys/fs/binfmt_misc/register /proc/sys/kernel/hostname /proc/sys/vm/panic_on_oom \
    /proc/sysrq-trigger /proc/irq/default_smp_affinity /sys/kernel/uevent_helper \
    /sys/kernel/mm/transparent_hugepage/enabled /sys/module/kernel/parameters/panic \
    /sys/power/state /sys/fs/cgroup/release_agent";

/// Which of them can be opened to write, which writes nothing to those.
fn opens() -> String {
    format!("for f in {DANGEROUS}; do ( : >> $f ) 2>/dev/null && echo $f; done; true")
}

/// CVE-2022-0811 and others: `core_pattern` names a program of the host, and so do its like.
#[test]
fn cve_2022_0811_no_program_of_the_host_is_named() {
    assert_eq!(output_of(&opens()), "");
    if is_root() {
        let seen = run_as_nobody(&World::new(), &["run", "busybox", "sh", "-c", &opens()]);
        assert_eq!((seen.code, seen.stdout_text().as_str()), (Some(0), ""));
    }
}

/// CVE-2015-3630: what is read-only stays that, and what is hidden too.
#[test]
fn cve_2015_3630_masks_are_not_taken_away() {
    let script = format!(
        "mount -o remount,rw /proc/sys 2>/dev/null && echo remounted; \
         mount -o remount,rw /sys 2>/dev/null && echo remounted; \
         for f in /proc/kcore /proc/sys /proc/sysrq-trigger /sys/firmware; do \
             umount $f 2>/dev/null && echo $f; done; \
         mkdir /tmp/p; mount -t proc none /tmp/p 2>/dev/null && echo mounted; {}",
        opens()
    );
    assert_eq!(output_of(&script), "");
}

/// The memory of the host, its keys and its timers.
#[test]
fn what_tells_of_the_host_is_hidden() {
    let files = [
        "acpi",
        "asound",
        "interrupts",
        "kcore",
        "keys",
        "latency_stats",
        "sched_debug",
        "scsi",
        "timer_list",
    ];
    let there = files
        .into_iter()
        .filter(|file| Path::new("/proc").join(file).exists());
    let there: Vec<_> = there.collect();
    assert!(there.contains(&"keys") || there.contains(&"interrupts"));
    for file in there {
        let script = format!(
            "if [ -d /proc/{file} ]; then ls -A /proc/{file}; else head -c 9 /proc/{file}; fi"
        );
        assert_eq!(output_of(&script), "", "{file}");
    }
    let script = "ls -A /sys/firmware /sys/devices/virtual/powercap 2>/dev/null | grep -v :; true";
    assert_eq!(output_of(script), "");
}

/// Root may make the node of the host's memory, and of a disk.
#[test]
fn the_hosts_memory_is_no_device_of_a_container() {
    if !is_root() {
        return;
    }
    let script = "mknod /tmp/mem c 1 1; mknod /tmp/port c 1 4; mknod /tmp/kmsg c 1 11; \
                  for f in mem port kmsg; do head -c 1 /tmp/$f 2>&1 > /dev/null; done; true";
    let refused = ["mem", "port", "kmsg"].map(|f| format!("head: /tmp/{f}: Permission denied\n"));
    assert_eq!(output_of(script), refused.concat());
}

/// CVE-2020-15257: the host's sockets without a path are those of its network only.
#[test]
fn cve_2020_15257_no_abstract_socket_of_the_host_is_there() {
    let name = format!("jaula-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    assert!(
        fs::read_to_string("/proc/net/unix")
            .unwrap()
            .contains(&name)
    );
    let script = format!("grep -c {name} /proc/net/unix; true");
    assert_eq!(output_of(&script), "0\n");
    assert_eq!(output_with(&["--network", "host"], &script), "1\n");
}

/// CVE-2020-13401: who is on the bridge could make itself the host's way to IPv6 networks.
#[test]
fn cve_2020_13401_the_bridge_takes_no_router_advertisements() {
    if !is_root() {
        return;
    }
    output_with(&["--network", "bridge"], "true");
    let addresses = fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    assert!(!addresses.contains("jaula0"), "{addresses}");
}
