//! No flag of `jaula run` is forgotten: a VM does with each what a container does, or one of the two
//! refuses it. A flag that the command line knows and none of these lists fails the first test.

#![allow(clippy::unwrap_used)]

mod harness;

use std::collections::BTreeSet;
use std::fs;

use bench::Way;
use harness::detached::Detached;
use harness::lan::on_a_lan;
use harness::refused::assert_refused;
use harness::{Place, World, can_run, oci, run, see};
use launch::{Side, Timeline};

/// Which way it is run. What is said of the one below is said of each way.
const OF_THE_WAY: &[&str] = &["--as", "--start", "--help"];

/// `DIR` stands for a directory of the test's own, as in the lists below.
const OF_A_COMMAND: &[&str] = &[
    "--env=A=1",
    "--env-file=DIR/env",
    "--workdir=/made/for/this",
    "--user=1000:1001",
    "--group-add=4321",
    "--entrypoint=sh",
    "--init",
    "--ulimit=nofile=99:100",
    "--interactive",
    "--hostname=web",
    "--volume=DIR/shared:/v",
    "--mount=type=bind,src=DIR/shared,dst=/r,readonly",
    "--tmpfs=/t:size=1m",
    "--read-only",
    "--memory=128m",
    "--cpus=1",
    "--cpuset-cpus=0",
    "--pids-limit=20",
    "--network=none",
    "--dns=10.0.0.8",
    "--add-host=db:10.0.0.7",
    "--cap-drop=ALL",
    "--cap-add=CHOWN",
    "--security-opt=no-new-privileges=false",
    "--pull=never",
    "--max-unpacked=1g",
    "--max-files=1000",
];

/// What it says of them.
const OF_A_COMMAND_SAYS: &str = "\
echo $A $B; pwd; id -u; id -g; id -G; test $$ != 1 && echo a child; ulimit -n; ulimit -Hn; cat; hostname
touch /here 2>&1; cat /v/file; touch /r/file 2>&1; df -k /t | tail -n 1 | awk '{print $2}'; nproc
ls /sys/class/net; cat /etc/resolv.conf; grep db /etc/hosts; grep -E 'CapBnd|NoNewPrivs' /proc/self/status
(for i in $(seq 20); do sleep 9 & done) 2>/dev/null || echo no more; exit 7";

const OF_A_COMMAND_SAID: &str = "\
1 2\n/made/for/this\n1000\n1001\n1001 4321\na child\n99\n100\ninput\nweb\n\
touch: /here: Read-only file system\nof the host\ntouch: /r/file: Read-only file system\n1024\n1\n\
lo\nnameserver 10.0.0.8\n10.0.0.7\tdb\nCapBnd:\t0000000000000001\nNoNewPrivs:\t0\nno more\n";

const OF_A_ROOT: &[&str] = &["--tty", "--rootfs=DIR/root"];

const OF_A_START: &[&str] = &["--timeline=DIR/timeline"];

const OF_AN_INSTANCE: &[&str] = &[
    "--detach",
    "--rm",
    "--name=NAME",
    "--label=of=this",
    "--stop-signal=USR1",
    "--stop-timeout=240",
    "--network=bridge",
    "--network-rate=1m",
    "--publish=18080:80",
    "--publish-all",
    "--expose=81",
];

/// What `inspect` tells of those.
const TOLD_OF_AN_INSTANCE: &[(&str, &str)] = &[
    (".HostConfig.AutoRemove", "true"),
    (".HostConfig.NetworkMode", "bridge"),
    (".HostConfig.NetworkRate", "1048576"),
    (
        ".HostConfig.PortBindings",
        r#"{"80/tcp":[{"HostIp":"127.0.0.1","HostPort":"18080"}],"81/tcp":[{"HostIp":"127.0.0.1","HostPort":""}]}"#,
    ),
    (".Config.Labels", r#"{"of":"this"}"#),
    (".Config.StopSignal", "10"),
    (".Config.StopTimeout", "240"),
    (".Config.ExposedPorts", r#"{"80/tcp":{},"81/tcp":{}}"#),
];

/// What a VM refuses, and by which words.
const CONTAINERS_ALONE: &[(&[&str], &str)] = &[
    (&["--memory=64m", "--memory-swap=64m"], "--memory-swap"),
    (&["--network=host"], "--network host"),
    (&["--device=/dev/null"], "--device with"),
    (
        &["--security-opt=seccomp=DIR/profile"],
        "--security-opt seccomp",
    ),
];

/// What a container refuses: `tests/own_system` has what a VM does with them.
const VMS_ALONE: &[&str] = &["--kernel=DIR/env", "--initrd=DIR/env", "--append=quiet"];

/// The name of each flag in a list.
fn names(flags: &[&'static str]) -> impl Iterator<Item = &'static str> {
    let named = flags.iter().map(|flag| flag.split('=').next().unwrap());
    named.collect::<Vec<_>>().into_iter()
}

#[test]
fn each_flag_that_is_known_is_in_one_of_the_lists() {
    let help = World::new().run(["run", "--help"]).stdout_text();
    let known: BTreeSet<_> = help
        .lines()
        .map(str::trim_start)
        .filter(|line| line.starts_with('-'))
        .filter_map(|line| line.split([' ', ',']).find(|word| word.starts_with("--")))
        .collect();
    let refused = CONTAINERS_ALONE.iter().map(|(flags, _)| *flags);
    let lists = [
        OF_THE_WAY,
        OF_A_COMMAND,
        OF_A_ROOT,
        OF_A_START,
        OF_AN_INSTANCE,
        VMS_ALONE,
    ];
    let listed: BTreeSet<_> = lists.into_iter().chain(refused).flat_map(names).collect();
    assert_eq!(listed, known);
}

/// A world with what the lists name, and a list as it is typed there.
fn in_world(world: &World, flags: &[&str]) -> Vec<String> {
    let dir = world.dir();
    fs::write(dir.join("env"), "B=2\n").unwrap();
    fs::write(
        dir.join("profile"),
        r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#,
    )
    .unwrap();
    fs::create_dir_all(dir.join("shared")).unwrap();
    fs::write(dir.join("shared/file"), "of the host\n").unwrap();
    let dir = dir.to_str().unwrap();
    flags.iter().map(|flag| flag.replace("DIR", dir)).collect()
}

/// Runs it both ways: what it says, and its exit code.
fn both_ways(flags: &[&str], command: &[&str], input: &[u8]) -> [(Option<i32>, String, String); 2] {
    let _place = Place::take(Side::Vm);
    [Way::Container, Way::VmWarm].map(|way| {
        let world = World::new();
        oci::busybox(&world.dir().join("root"));
        let flags = in_world(&world, flags);
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        let args = [run(way), &flags[..], command].concat();
        let seen = see(world.jaula(args), input);
        world.assert_no_traces();
        (seen.code, seen.stdout_text(), seen.stderr)
    })
}

#[test]
fn a_vm_does_with_the_flags_of_a_command_what_a_container_does() {
    if !can_run(Side::Vm) || !harness::nobody::is_root() {
        return;
    }
    let command = ["busybox", "-c", OF_A_COMMAND_SAYS];
    let [container, vm] = both_ways(OF_A_COMMAND, &command, b"input\n");
    let said = (Some(7), OF_A_COMMAND_SAID.to_owned(), String::new());
    assert_eq!(container, said);
    assert_eq!(vm, said);
}

#[test]
fn a_vm_has_a_terminal_and_a_directory_for_root_as_a_container_has() {
    if !can_run(Side::Vm) {
        return;
    }
    let command = ["sh", "-c", "test -t 1 && ls /; exit 7"];
    let [container, vm] = both_ways(OF_A_ROOT, &command, b"");
    assert_eq!(container.0, Some(7));
    assert!(container.1.ends_with("\r\n"), "{container:?}");
    assert_eq!(vm, container);
}

#[test]
fn a_vm_tells_of_its_start_as_a_container_does() {
    if !can_run(Side::Vm) {
        return;
    }
    let _place = Place::take(Side::Vm);
    for way in [Way::Container, Way::VmWarm] {
        let world = World::new();
        let file = world.dir().join("timeline");
        // It is not what an earlier run has left there.
        fs::write(&file, "x".repeat(10_000)).unwrap();
        let flags = in_world(&world, OF_A_START);
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        let seen = world.run([run(way), &flags[..], &["busybox", "true"]].concat());
        assert_eq!((seen.code, seen.stderr.as_str()), (Some(0), ""), "{way}");
        let told: Timeline = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        // The start alone, to its last step.
        assert_eq!(told.launch_to_main_ns(), Some(told.total_ns()), "{way}");
        assert_eq!(told.spans().last().unwrap().name, "exec", "{way}");
    }
}

#[test]
fn a_start_that_can_not_be_told_of_is_refused_before_anything_runs() {
    let world = World::new();
    let seen = world.run(["run", "--timeline=/proc/x", "busybox", "true"]);
    assert_refused(&world, &seen, &["can't write /proc/x"]);
}

#[test]
fn a_vm_is_kept_and_told_of_as_a_container_is() {
    if !can_run(Side::Vm) {
        return;
    }
    let _place = Place::take(Side::Vm);
    on_a_lan(|_| {
        for way in [Way::Container, Way::VmWarm] {
            let detached = Detached::new();
            let name = detached.name(0);
            let flags: Vec<_> = OF_AN_INSTANCE
                .iter()
                .map(|flag| flag.replace("NAME", &name))
                .collect();
            let flags: Vec<_> = flags.iter().map(String::as_str).collect();
            let script = "trap 'exit 3' USR1; echo up; while :; do sleep 0.1; done";
            let command = ["busybox", "sh", "-c", script];
            let started = detached.says(&[run(way), &flags[..], &command].concat());
            assert_eq!(started.trim_end().len(), 12, "{started}");
            // Without a handler, the first process of a namespace ignores what asks it to end.
            detached.await_log(&name, "up\n");
            for (field, told) in TOLD_OF_AN_INSTANCE {
                assert_eq!(detached.field(&name, field), *told, "{way}: {field}");
            }
            let ports = detached.says(&["port", &name]);
            let lead_to: Vec<_> = ports
                .lines()
                .filter_map(|line| line.split(" -> ").next())
                .collect();
            assert_eq!(lead_to, ["80/tcp", "81/tcp"], "{way}");
            assert_eq!(detached.says(&["stop", &name]), format!("{name}\n"));
            // Nothing of it is left to be listed.
            assert_eq!(detached.says(&["ps", "-aq"]), "", "{way}");
        }
    });
}

#[test]
fn what_one_side_can_not_do_it_refuses_by_the_flag() {
    if !can_run(Side::Vm) {
        return;
    }
    for (flags, name) in CONTAINERS_ALONE {
        let world = World::new();
        let flags = in_world(&world, flags);
        let typed = |side| {
            let flags = flags.iter().map(String::as_str);
            let args = ["run", "--as", side].into_iter().chain(flags);
            world.run(args.chain(["busybox", "true"]))
        };
        assert_refused(&world, &typed("vm"), &[name, "--as vm"]);
        let seen = typed("container");
        assert_eq!((seen.code, seen.stderr.as_str()), (Some(0), ""), "{name}");
    }
    for flag in VMS_ALONE.iter().chain(&["--start=warm"]) {
        let world = World::new();
        let flags = in_world(&world, &[flag]);
        let seen = world.run(["run", &flags[0], "busybox", "true"]);
        let name = flag.split('=').next().unwrap();
        assert_refused(&world, &seen, &[name, "--as vm"]);
    }
}
