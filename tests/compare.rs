//! `jaula compare`: every way runs the same, and what is measured of it is told.

#![allow(clippy::unwrap_used)]

mod harness;

use std::fs;

use bench::{
    Comparison, Contender, FootprintReading, Metric, ObservedReading, Outcome, SampleOutcome, Way,
};
use harness::comparison::compared;
use harness::nobody::is_root;
use harness::schema::assert_fits_the_schema;
use harness::{Place, Seen, World, can_run, see};
use launch::Side;

fn jaula(args: &[&str]) -> Seen {
    World::new().run(args.iter().copied())
}

#[test]
fn a_comparison_shows_every_way_and_what_differs() {
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    let script = "cat; uname -r; echo same; exit 3";
    let page = world.dir().join("report.html");
    let page_flag = format!("--html={}", page.display());
    let seen = see(
        world.jaula([
            "compare", "--runs", "0", "-i", "--json", &page_flag, "busybox", "sh", "-c", script,
        ]),
        b"read by all\n",
    );
    assert_eq!(seen.code, Some(0), "{}", seen.stderr);
    assert_fits_the_schema(&seen.stdout);
    let page = fs::read_to_string(page).unwrap();
    for text in ["cat; uname -r", "kernel boot", "6.12.", "</html>"] {
        assert!(page.contains(text), "no {text} in {page}");
    }
    let comparison: Comparison = serde_json::from_slice(&seen.stdout).unwrap();
    for report in comparison.ways.as_ref().into_array() {
        assert!(
            matches!(report.outcome, Outcome::Ended { exit_code: 3, .. }),
            "{report:?}"
        );
        assert!(report.stdout.text.starts_with("read by all\n"));
        let spans: u64 = report.spans.iter().map(|span| span.duration_ns).sum();
        assert_eq!(report.launch_to_exit_ns, Some(spans));
        assert!(report.launch_to_main_ns < report.launch_to_exit_ns);
    }
    let [of_kernels, of_starts] = &comparison.stdout_differences[..] else {
        panic!("{:?}", comparison.stdout_differences);
    };
    // The kernel, and nothing but the kernel; and how a VM starts makes no difference.
    assert_eq!((of_kernels.equal_lines, of_kernels.hunks.len()), (2, 1));
    assert!(of_starts.identical, "{of_starts:?}");
    let has_booted = |report: &bench::WayReport| {
        let mut spans = report.spans.iter();
        spans.any(|span| span.name == "kernel boot")
    };
    assert!(has_booted(&comparison.ways.vm_cold));
    assert!(!has_booted(&comparison.ways.vm_warm));
    assert_eq!(comparison.series, None);
}

#[test]
fn a_report_that_can_not_be_written_is_refused_before_anything_runs() {
    let world = World::new();
    let seen = world.run(["compare", "--html=/proc/report.html", "busybox", "true"]);
    assert_eq!(seen.code, Some(125));
    let expected = "jaula: can't write /proc/report.html: ";
    assert!(seen.stderr.starts_with(expected), "{}", seen.stderr);
    assert!(!world.run_dir().exists());
}

#[test]
fn timed_runs_take_turns_as_long_as_there_is_time_and_each_is_kept() {
    if !can_run(Side::Vm) {
        return;
    }
    let _place = Place::take(Side::Vm);
    let comparison = compared(
        &World::new(),
        [
            "--against=none",
            "--runs=3",
            "--budget-time=1ms",
            "--metrics=gone,cpu,main",
            "--seed=5",
            "busybox",
            "true",
        ],
    );
    let series = comparison.series.unwrap();
    assert_eq!((series.seed, series.runs_asked, series.rounds), (5, 3, 1));
    assert_eq!(series.ended, bench::Ended::OutOfTime);
    assert_eq!(series.samples.len(), 3);
    for (order, sample) in series.samples.iter().enumerate() {
        assert_eq!((sample.order, sample.round), (order, 0));
        assert_eq!(sample.outcome, SampleOutcome::Ended { exit_code: 0 });
        let spans: u64 = sample.spans.iter().map(|span| span.duration_ns).sum();
        assert_eq!(sample.launch_to_exit_ns, Some(spans));
    }
    assert!(series.samples.is_sorted_by_key(|sample| sample.started_at));
    let metrics: Vec<_> = comparison.results.iter().map(|it| it.metric).collect();
    assert_eq!(metrics, [Metric::Main, Metric::Cpu, Metric::Gone]);
    let cpu_ns = |contender| {
        let mut samples = series.samples.iter();
        let sample = samples.find(|sample| sample.contender == contender);
        sample.unwrap().cpu_ns.unwrap()
    };
    // A guest's kernel is in it.
    let of_container = cpu_ns(Contender::Container);
    assert!(of_container > 0 && of_container < cpu_ns(Contender::VmCold));
    for row in comparison.results.iter().flat_map(|it| &it.rows) {
        assert_eq!(row.summary.unwrap().count, 1);
        let verdict = row.against.as_ref().map(|it| it.comparison.verdict);
        let expected = bench::statistics::Verdict::TooFewPairs;
        assert!(verdict.is_none_or(|verdict| verdict == expected));
    }
}

#[test]
fn memory_is_read_of_every_run_whose_command_is_still_there() {
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    let comparison = compared(
        &world,
        [
            "--runs=2",
            "--budget-time=1ms",
            "--metrics=memory",
            "busybox",
            "sleep",
            "4",
        ],
    );
    let guests = comparison.ways.as_ref().map(|report| {
        // That it is asked is not what the command asks of the host.
        if let Some(ObservedReading::Taken(observed)) =
            report.isolation.as_ref().map(|it| &it.observed)
        {
            let mut calls = observed.calls.iter();
            assert!(calls.all(|it| it.name != "accept4"), "{observed:?}");
        }
        match &report.footprint {
            FootprintReading::Taken { guest_memory, .. } => *guest_memory,
            FootprintReading::Unavailable { reason } => panic!("{reason}"),
        }
    });
    assert_eq!(guests.container, None);
    for guest in [guests.vm_cold, guests.vm_warm] {
        let guest = guest.unwrap();
        // Of 128 MiB; the kernel itself is not among it, and has something for itself.
        assert!(
            (64 << 20..128 << 20).contains(&guest.granted_bytes),
            "{guest:?}"
        );
        // Nobody uses it, and what is just given back to the host is not missing.
        let nearly_all = guest.granted_bytes / 10 * 9..guest.granted_bytes;
        assert!(nearly_all.contains(&guest.left_bytes), "{guest:?}");
    }
    let samples = comparison.series.unwrap().samples;
    assert_eq!(samples.len(), 3);
    let bytes = |contender| {
        let sample = samples.iter().find(|sample| sample.contender == contender);
        let sample = sample.unwrap();
        // It was not waited for the end of the command.
        assert_eq!(sample.outcome, SampleOutcome::Reached);
        sample.memory_bytes.unwrap()
    };
    // A guest's kernel and its page tables are in it.
    let of_container = bytes(Contender::Container);
    assert!(of_container > 0 && of_container < bytes(Contender::VmWarm));
    let [result] = &comparison.results[..] else {
        panic!("{:?}", comparison.results);
    };
    assert_eq!(result.metric, Metric::Memory);
    assert_eq!(result.rows[0].summary.unwrap().p50, of_container);
}

#[test]
fn what_is_asked_of_the_hosts_kernel_is_counted_from_main_on() {
    if !is_root() || !can_run(Side::Vm) {
        return;
    }
    let _place = Place::take(Side::Vm);
    let comparison = compared(
        &World::new(),
        [
            "--runs=1",
            "--budget-time=1ms",
            "--metrics=main",
            "busybox",
            "sh",
            "-c",
            "i=0; while [ $i -lt 50 ]; do : > /dev/null; i=$((i+1)); done; /bin/true; exit 0",
        ],
    );
    let isolations = comparison.ways.map(|report| report.isolation.unwrap());
    let observed = isolations
        .as_ref()
        .map(|isolation| match &isolation.observed {
            bench::ObservedReading::Taken(observed) => observed,
            bench::ObservedReading::Unavailable { reason } => panic!("{reason}"),
        });
    let times = |counts: &[bench::Count], name: &str| {
        let mut counts = counts.iter();
        counts
            .find(|count| count.name == name)
            .map_or(0, |it| it.times)
    };
    let of_container = &observed.container.calls;
    let opens = times(of_container, "open") + times(of_container, "openat");
    assert!((50..100).contains(&opens), "{of_container:?}");
    // What the command starts is counted, too.
    assert_eq!(times(of_container, "execve"), 1, "{of_container:?}");
    assert_eq!(times(of_container, "exit_group"), 2, "{of_container:?}");
    // What launches it is not.
    for call in ["mount", "pivot_root", "clone3", "setns"] {
        assert_eq!(times(of_container, call), 0, "{of_container:?}");
    }
    assert_eq!(observed.container.exits_to_monitor, None);
    for (observed, isolation) in [
        (observed.vm_cold, &isolations.vm_cold),
        (observed.vm_warm, &isolations.vm_warm),
    ] {
        // The guest's kernel serves those of the command; the monitor has its own, and only those
        // that its filter allows.
        let calls = &observed.calls;
        assert!(times(calls, "ioctl") > 0, "{calls:?}");
        assert_eq!(
            times(calls, "openat") + times(calls, "execve"),
            0,
            "{calls:?}"
        );
        assert!(
            calls.len() <= isolation.surface.allowed_calls.unwrap(),
            "{calls:?}"
        );
        let exits = observed.exits_to_monitor.as_ref().unwrap();
        assert!(times(exits, "mmio") > 0, "{exits:?}");
    }
}

#[test]
fn one_that_goes_on_is_watched_as_it_waits_and_then_killed() {
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    let comparison = compared(
        &world,
        [
            "--runs=1",
            "--budget-time=1ms",
            "--against=none",
            "--metrics=idle,stop,gone",
            "busybox",
            "sleep",
            "1000",
        ],
    );
    let samples = comparison.series.unwrap().samples;
    assert_eq!(samples.len(), 3);
    for sample in &samples {
        assert_eq!(sample.outcome, SampleOutcome::Reached, "{sample:?}");
        assert!(sample.kill_to_exit_ns.unwrap() > 0);
        assert!(sample.exit_to_gone_ns.unwrap() > 0);
        assert_eq!(sample.launch_to_exit_ns, None);
        // Less than all that the host has.
        let minute_ns = 60_000_000_000 * comparison.environment.cpus as u64;
        assert!(sample.idle_cpu_ns.unwrap() < minute_ns, "{sample:?}");
    }
    let metrics: Vec<_> = comparison.results.iter().map(|it| it.metric).collect();
    assert_eq!(metrics, [Metric::Idle, Metric::Stop, Metric::Gone]);
}

#[test]
fn what_a_run_takes_of_the_disks_is_told_and_a_volume_is_among_that() {
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    let data = world.dir().join("data");
    fs::create_dir(&data).unwrap();
    let volume = format!("{}:/data", data.display());
    // To the root, which is memory, and to the volume; what the one before left there counts not.
    let script = "rm -f /data/new; sleep 1; dd if=/dev/zero of=/big bs=64k count=16; \
                  dd if=/dev/zero of=/data/new bs=64k count=16; sync";
    let comparison = compared(
        &world,
        ["--runs=0", "-v", &volume, "busybox", "sh", "-c", script],
    );
    const MIB: u64 = 1 << 20;
    for report in comparison.ways.as_ref().into_array() {
        let disk = report.disk.as_ref().unwrap();
        assert!(disk.image_bytes > 100 << 10, "{disk:?}");
        // The program itself is in it.
        assert!(disk.fixed_bytes > MIB, "{disk:?}");
        let is_warm = report.way == Way::VmWarm;
        assert_eq!(
            disk.template_bytes.is_some_and(|bytes| bytes > MIB),
            is_warm
        );
        let own = disk.own.as_ref().unwrap();
        assert!(own.at_end_bytes < MIB, "{own:?}");
        assert!(
            (MIB..2 * MIB).contains(&own.volumes_at_end_bytes),
            "{own:?}"
        );
        assert!(own.volumes_at_start_bytes < 2 * MIB, "{own:?}");
    }
    let of_container = comparison.ways.container.disk.unwrap().own.unwrap();
    assert!(
        of_container.volumes_at_start_bytes < MIB,
        "{of_container:?}"
    );
}

#[test]
fn others_run_the_same_where_they_can_and_where_not_it_is_said() {
    if !is_root() || !can_run(Side::Vm) {
        return;
    }
    let _place = Place::take(Side::Vm);
    let comparison = compared(
        &World::new(),
        [
            "--against=host,runc,crun,youki,bwrap",
            "--runs=1",
            "--budget-time=1ms",
            "--memory=128m",
            "--cpuset-cpus=0",
            "--ulimit=nofile=77:78",
            "busybox",
            "sh",
            "-c",
            // Nobody sees what another one has written, nor does the image.
            "test ! -e /proof && echo > /proof && test $(ulimit -Sn):$(ulimit -Hn) = 77:78 &&
             grep -q '^Cpus_allowed_list:.0$' /proc/self/status",
        ],
    );
    let series = comparison.series.unwrap();
    let sample = |contender| {
        let mut samples = series.samples.iter();
        samples.find(|sample| sample.contender == contender)
    };
    let peers = bench::Peer::ALL.map(Contender::Peer);
    let expected = [&[Contender::HostProcess, Contender::JaulaRun], &peers[..]];
    let others: Vec<_> = comparison.others.iter().map(|it| it.contender).collect();
    assert_eq!(others, expected.concat());
    for other in &comparison.others {
        let Contender::Peer(peer) = other.contender else {
            let ended = Outcome::Ended {
                status: launch::ExitStatus::Exited(0),
                exit_code: 0,
            };
            assert_eq!(other.outcome, ended, "{other:?}");
            continue;
        };
        let is_timed = sample(other.contender).is_some();
        match &other.outcome {
            Outcome::Ended { exit_code: 0, .. } => assert!(is_timed, "{other:?}"),
            // It can't run on this host, as crun with cgroups of both versions.
            Outcome::Ended { .. } => assert!(!is_timed && other.complaint.is_some()),
            Outcome::Ready => panic!("nothing was to be ready"),
            Outcome::Failed { error, .. } => {
                assert!(
                    !host::search_path::is_installed(peer.program()),
                    "{other:?}"
                );
                assert_eq!(error, "it is not installed");
            }
        }
    }
    let host_process = sample(Contender::HostProcess).unwrap();
    assert!(host_process.launch_to_main_ns < host_process.launch_to_exit_ns);
    let whole = sample(Contender::JaulaRun).unwrap();
    assert!(!whole.has_failed() && whole.launch_to_main_ns < whole.launch_to_exit_ns);
    for id in ["W01", "W06", "W09", "W12", "W13"] {
        assert!(comparison.warnings.iter().any(|it| it.id == id), "{id}");
    }
    assert!(comparison.environment.programs.jaula_sha256.is_some());
    assert!(
        comparison
            .environment
            .programs
            .guest_kernel_sha256
            .is_some()
    );
}

#[test]
fn jaula_run_is_timed_from_its_execution_to_main_each_way_and_clears_up_then() {
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    let comparison = compared(
        &world,
        [
            "--against=jaula",
            "--runs=1",
            "--budget-time=1ms",
            "--metrics=main",
            "busybox",
            "sleep",
            "3",
        ],
    );
    world.assert_no_traces();
    let samples = &comparison.series.as_ref().unwrap().samples;
    let [result] = &comparison.results[..] else {
        panic!("{:?}", comparison.results);
    };
    for way in [Way::Container, Way::VmCold, Way::VmWarm] {
        let whole = Contender::jaula_run(way);
        let mut its = samples.iter().filter(|it| it.contender == whole);
        let sample = its.next().unwrap();
        assert_eq!(sample.outcome, SampleOutcome::Reached, "{whole}");
        // What its program does before `launch()`, and from there on what each start takes.
        let names: Vec<_> = sample.spans.iter().map(|it| it.name.as_ref()).collect();
        assert_eq!(names[..2], ["program", "cgroup"], "{whole}");
        let spans: u64 = sample.spans.iter().map(|it| it.duration_ns).sum();
        assert_eq!(sample.launch_to_main_ns, Some(spans), "{whole}");
        let row = result.rows.iter().find(|row| row.contender == whole);
        let against = row.unwrap().against.as_ref().unwrap();
        assert_eq!(against.reference, way.into());
    }
    assert!(comparison.others.iter().all(|it| it.is_output_alike));
}

#[test]
fn what_is_ready_is_timed_until_then_and_ended() {
    if !can_run(Side::Vm) {
        return;
    }
    let _place = Place::take(Side::Vm);
    let comparison = compared(
        &World::new(),
        [
            "--against=none",
            "--ready=log:^up: [0-9]+$",
            "--metrics=main,ready,memory",
            "--runs=1",
            "busybox",
            "sh",
            "-c",
            "echo up: soon; sleep 0.2; echo up: 1; sleep 1000",
        ],
    );
    for report in comparison.ways.as_ref().into_array() {
        assert_eq!(report.outcome, Outcome::Ready);
    }
    for sample in comparison.series.unwrap().samples {
        assert_eq!(sample.outcome, SampleOutcome::Reached);
        let main = sample.launch_to_main_ns.unwrap();
        let ready = sample.launch_to_ready_ns.unwrap();
        assert!(ready > main + 200_000_000, "{main} {ready}");
        // Of what was ended then, it was read before.
        assert!(sample.memory_bytes.unwrap() > 0);
    }
}

#[test]
fn another_runner_that_is_ready_is_ended_with_what_it_runs() {
    if !is_root() || !can_run(Side::Vm) {
        return;
    }
    let runc = Contender::Peer(bench::Peer::Runc);
    if !host::search_path::is_installed("runc") {
        eprintln!("SKIPPED: runc is not installed");
        return;
    }
    let _place = Place::take(Side::Vm);
    // Nothing else of the host sleeps for so long.
    let sleep = format!("sleep {}", 1_000_000 + std::process::id());
    let comparison = compared(
        &World::new(),
        [
            "--against=runc",
            "--ready=log:^up$",
            "--metrics=ready,stop",
            "--runs=1",
            "busybox",
            "sh",
            "-c",
            &format!("echo up; {sleep}"),
        ],
    );
    let other = comparison.others.iter().find(|it| it.contender == runc);
    assert_eq!(other.unwrap().outcome, Outcome::Ready, "{other:?}");
    let series = comparison.series.unwrap();
    // The second run of its, after the one that was checked.
    assert_eq!(series.timed(runc).count(), 1);
    for sample in series.samples {
        assert_eq!(sample.outcome, SampleOutcome::Reached, "{sample:?}");
    }
    let processes = fs::read_dir("/proc").unwrap();
    let is_it = |words: &String| words.replace('\0', " ").contains(&sleep);
    let left = processes
        .filter_map(|it| fs::read_to_string(it.unwrap().path().join("cmdline")).ok())
        .find(is_it);
    assert_eq!(left, None);
}

#[test]
fn what_ends_before_it_is_ready_has_failed() {
    if !can_run(Side::Vm) {
        return;
    }
    let _place = Place::take(Side::Vm);
    let seen = jaula(&["compare", "--ready=log:up", "busybox", "true"]);
    assert_eq!(seen.code, Some(125), "{}", seen.stderr);
    let text = seen.stdout_text();
    assert!(
        text.contains("container failed: it ended with 0 before"),
        "{text}"
    );
}

#[test]
fn what_can_not_be_measured_is_refused_by_name() {
    for (args, said) in [
        (["--metrics", "speed"], "speed"),
        (["--against", "docker"], "docker"),
        (["--against", "none,runc"], "leave out none"),
        (["--budget-time", "fish"], "fish"),
        (["--runs", "-1"], "-1"),
        (["--runs", "1000000"], "100000"),
        (
            ["--against=runc", "--metrics=main"],
            "add exit to --metrics",
        ),
        (["--ready", "udp:53"], "udp:53"),
        (["--ready", "tcp:80"], "--network bridge"),
        (["--ready=log:x", "--metrics=main,gone"], "--ready"),
        (["--runs=1", "--metrics=ready"], "--ready"),
        (["--density", "0"], "from 1 to 10000"),
        (["--concurrency", "many"], "not a whole number"),
        (["--density=2", "--name=x"], "can't have one name"),
        (["--density=2", "--metrics=gone"], "leave out that metric"),
        (["--runs=1", "--metrics=stop,exit"], "leave out that metric"),
        (["--runs=1", "--metrics=idle,gone"], "leave out that metric"),
        (["--density=2", "--against=runc"], "give --ready"),
    ] {
        let args = [&["compare"], &args[..], &["busybox", "true"]].concat();
        let seen = jaula(&args);
        assert_eq!(seen.code, Some(125), "{args:?}");
        assert!(seen.stderr.contains(said), "{}", seen.stderr);
        assert!(seen.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn a_vm_that_ends_with_another_code_is_not_timed_and_it_is_said() {
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    // Of a VM the kernel is another one than the host's.
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let script = r#"test "$(uname -r)" = "$0""#;
    let command = ["busybox", "sh", "-c", script, release.trim()];
    let flags = ["compare", "--runs=1", "--budget-time=1ms", "--against=none"];
    let seen = world.run([&flags[..], &command].concat());
    assert_eq!(seen.code, Some(125), "{}", seen.stderr);
    let text = seen.stdout_text().replace('\n', " ");
    for way in ["vm cold", "vm warm"] {
        let note = format!("Note: {way} is not timed: it ended with 1, container with 0.");
        assert!(text.contains(&note), "{text}");
    }
    // There is nobody left to time the container beside.
    assert!(!text.contains("p50"), "{text}");
}
