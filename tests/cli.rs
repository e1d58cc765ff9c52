//! How the command line behaves before, beside and after the command.

#![allow(clippy::unwrap_used)]

mod harness;

use std::io::Read;
use std::process::Stdio;

use harness::nobody::{is_root, run_as_nobody};
use harness::schema::assert_fits_the_schema;
use harness::{JAULA, Place, Seen, World, can_run, see, wait};
use launch::Side;

fn jaula(args: &[&str]) -> Seen {
    World::new().run(args.iter().copied())
}

#[test]
fn help_and_version_are_answers_and_no_errors() {
    for args in [
        &["--help"][..],
        &["-h"],
        &["--version"],
        &["help"],
        &["run", "--help"],
        &["compare", "--help"],
        &["doctor", "--help"],
        &["kernel", "--help"],
        &["kernel", "build", "--help"],
        &["snapshot", "--help"],
        &["template", "--help"],
        &["template", "build", "--help"],
        &["snapshot", "create", "--help"],
        &["snapshot", "restore", "--help"],
        &["snapshot", "inspect", "--help"],
    ] {
        let seen = jaula(args);
        assert_eq!(seen.code, Some(0), "{args:?}");
        assert_eq!(seen.stderr, "", "{args:?}");
        assert!(!seen.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn every_flag_is_explained() {
    let help = jaula(&["run", "--help"]).stdout_text();
    for flag in [
        "-e, --env",
        "-w, --workdir",
        "-u, --user",
        "-h, --hostname",
        "-m, --memory",
        "--cpus",
        "--pids-limit",
        "--read-only",
        "--entrypoint",
        "-i, --interactive",
        "--name",
        "--rm",
        "--rootfs",
        "--kernel",
        "--as",
        "--start",
    ] {
        assert!(help.contains(flag), "{flag}");
    }
    assert!(help.contains("Examples:"));
}

#[test]
fn what_makes_no_sense_is_125_and_one_line() {
    for args in [
        &[][..],
        &["no-such-subcommand"],
        &["run"],
        &["run", "--no-such-flag", "busybox"],
        &["run", "--as", "jail", "busybox"],
        &["run", "-e", "=x", "busybox"],
        &["run", "-u", "", "busybox"],
        &["run", "-h", "no_host", "busybox"],
        &["run", "--cpus", "none", "busybox"],
        &["run", "--pids-limit", "0", "busybox"],
        &["run", "--name", "../x", "busybox"],
        &["run", "-w", "relative", "busybox"],
        &["run", "--entrypoint", "", "busybox"],
        &["kernel"],
        &["snapshot", "rm"],
        &["template"],
        &["template", "rm"],
        &["template", "rm", "--all", "x"],
        &["run", "--as", "vm", "--start", "tepid", "busybox"],
        &["snapshot", "inspect", "../x"],
        &["snapshot", "create", "running"],
        &["snapshot", "create", "running", "../x"],
        &["snapshot", "restore"],
        &["snapshot", "restore", "--as", "vm", "x"],
    ] {
        let seen = jaula(args);
        assert_eq!(seen.code, Some(125), "{args:?}");
        assert_eq!(seen.stderr.lines().count(), 1, "{args:?}: {}", seen.stderr);
        assert!(seen.stderr.starts_with("jaula: "), "{}", seen.stderr);
        assert_eq!(seen.stdout, b"", "{args:?}");
    }
}

#[test]
fn flags_and_dashes_after_the_image_are_the_commands() {
    for (args, stdout) in [
        (&["busybox", "echo", "-e", "-h", "--"][..], "-h --\n"),
        (&["busybox", "--", "echo", "--", "x"], "-- x\n"),
        (&["--rm", "busybox", "echo", "--as", "vm"], "--as vm\n"),
        (&["--entrypoint", "echo", "busybox", "a", "b"], "a b\n"),
    ] {
        let seen = jaula(&[&["run"], args].concat());
        assert_eq!(seen.stdout_text(), stdout, "{args:?}: {}", seen.stderr);
        assert_eq!(seen.code, Some(0));
        assert_eq!(seen.stderr, "");
    }
}

#[test]
fn the_images_own_command_runs_when_none_is_given() {
    let world = World::new();
    let seen = see(
        world.jaula(["run", "-i", "busybox"]),
        b"echo from the shell\n",
    );
    assert_eq!(seen.stdout_text(), "from the shell\n");
}

#[test]
fn a_variable_without_a_value_has_the_callers() {
    let world = World::new();
    let mut command = world.jaula(["run", "-e", "FROM_HERE", "-e", "NOT_HERE", "busybox", "env"]);
    command.env("FROM_HERE", "x y").env_remove("NOT_HERE");
    let stdout = see(command, b"").stdout_text();
    assert!(stdout.contains("FROM_HERE=x y\n"), "{stdout}");
    assert!(!stdout.contains("NOT_HERE"), "{stdout}");
}

#[test]
fn without_interactive_there_is_nothing_to_read() {
    let world = World::new();
    let seen = see(world.jaula(["run", "busybox", "cat"]), b"unread");
    assert_eq!((seen.code, &seen.stdout[..]), (Some(0), &b""[..]));
}

#[test]
fn a_stream_that_was_closed_is_the_null_device_for_the_command() {
    let world = World::new();
    for closing in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"] {
        let script =
            format!("exec {JAULA} run -i busybox sh -c 'echo out; echo err >&2' {closing}");
        let seen = see(world.command("sh", ["-c", &script]), b"");
        assert_eq!(seen.code, Some(0), "{closing}: {}", seen.stderr);
        let stdout = if closing.contains(" >&-") || closing == ">&-" {
            ""
        } else {
            "out\n"
        };
        assert_eq!(seen.stdout_text(), stdout, "{closing}");
    }
}

#[test]
fn the_command_never_gets_the_terminal() {
    let world = World::new();
    // script(1) gives jaula a terminal and shows what appears on it.
    let line = format!("{JAULA} run -i busybox sh -c 'tty; test -t 1 || echo apart'");
    let seen = see(world.command("script", ["-qec", &line, "/dev/null"]), b"");
    assert_eq!(
        seen.stdout_text(),
        "not a tty\r\napart\r\n",
        "{}",
        seen.stderr
    );
}

#[test]
fn a_reader_that_goes_away_ends_jaulas_own_output_in_silence() {
    let world = World::new();
    let mut child = world.jaula(["run", "--help"]).spawn().unwrap();
    drop(child.stdout.take());
    let mut stderr = String::new();
    let mut pipe = child.stderr.take().unwrap();
    wait(&mut child);
    pipe.read_to_string(&mut stderr).unwrap();
    assert_eq!(stderr, "");
}

#[test]
fn a_name_is_in_use_while_its_instance_runs() {
    let world = World::new();
    let mut first = world
        .jaula([
            "run",
            "-i",
            "--name",
            "only",
            "busybox",
            "sh",
            "-c",
            "echo up; read x",
        ])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut up = [0; 3];
    first.stdout.as_mut().unwrap().read_exact(&mut up).unwrap();
    let second = world.run(["run", "--name", "only", "busybox", "true"]);
    drop(first.stdin.take());
    wait(&mut first);
    assert_eq!(second.code, Some(125));
    assert!(second.stderr.contains("only"), "{}", second.stderr);
    let third = world.run(["run", "--name", "only", "busybox", "true"]);
    assert_eq!(third.code, Some(0), "{}", third.stderr);
}

#[test]
fn an_ordinary_user_runs_a_container_without_any_set_up() {
    if !is_root() {
        return;
    }
    let world = World::new();
    let script = "id -u; hostname; echo x > /file && cat /file; exit 7";
    let seen = run_as_nobody(&world, &["run", "busybox", "sh", "-c", script]);
    assert_eq!(seen.stdout_text(), "0\njaula\nx\n", "{}", seen.stderr);
    assert_eq!((seen.code, seen.stderr.as_str()), (Some(7), ""));
    world.assert_no_traces();
}

#[test]
fn the_doctor_names_both_sides_and_tells_by_its_exit_code_whether_they_launch() {
    let seen = jaula(&["doctor"]);
    let report = seen.stdout_text();
    assert!(
        report.contains("container\n") && report.contains("vm\n"),
        "{report}"
    );
    let all_well = !report.contains('✗');
    assert_eq!(seen.code, Some(if all_well { 0 } else { 1 }), "{report}");
}

#[test]
fn without_snapshots_the_list_of_them_is_empty() {
    let seen = jaula(&["snapshot", "ls"]);
    assert_eq!(
        seen.stdout_text(),
        "NAME   MEMORY   SIZE   CREATED   STATE\n",
        "{}",
        seen.stderr
    );
    assert_eq!(seen.code, Some(0));
}

#[test]
fn a_template_is_listed_until_it_is_removed() {
    if !can_run(Side::Vm) {
        return;
    }
    let _place = Place::take(Side::Vm);
    let world = World::new();
    // Of a size that no other test needs.
    let built = world.run(["template", "build", "-m", "48m"]);
    assert_eq!(built.code, Some(0), "{}", built.stderr);
    let name = built.stdout_text();
    let name = name.trim_end();
    let listed = |world: &World| world.run(["template", "ls"]).stdout_text();
    let list = listed(&world);
    let line = list.lines().find(|line| line.starts_with(name));
    let line = line.unwrap_or_else(|| panic!("no {name} in {list}"));
    assert!(line.contains(" 48.0 MiB "), "{line}");
    assert!(line.ends_with(" current"), "{line}");
    let removed = world.run(["template", "rm", name]);
    assert_eq!(
        removed.stdout_text(),
        format!("{name}\n"),
        "{}",
        removed.stderr
    );
    assert!(!listed(&world).contains(name));
}

#[test]
fn a_comparison_shows_every_way_and_what_differs() {
    if !can_run(Side::Vm) {
        return;
    }
    let _place = Place::take(Side::Vm);
    let world = World::new();
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
    let page = std::fs::read_to_string(page).unwrap();
    for text in ["cat; uname -r", "kernel boot", "6.12.", "</html>"] {
        assert!(page.contains(text), "no {text} in {page}");
    }
    let comparison: bench::Comparison = serde_json::from_slice(&seen.stdout).unwrap();
    for report in comparison.ways.as_ref().into_array() {
        assert!(
            matches!(report.outcome, bench::Outcome::Ended { exit_code: 3, .. }),
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
    let seen = World::new().run([
        "compare",
        "--against=none",
        "--runs=3",
        "--budget-time=1ms",
        "--metrics=gone,cpu,main",
        "--seed=5",
        "--json",
        "busybox",
        "true",
    ]);
    assert_eq!(seen.code, Some(0), "{}", seen.stderr);
    let comparison: bench::Comparison = serde_json::from_slice(&seen.stdout).unwrap();
    let series = comparison.series.unwrap();
    assert_eq!((series.seed, series.runs_asked, series.rounds), (5, 3, 1));
    assert_eq!(series.ended, bench::Ended::OutOfTime);
    assert_eq!(series.samples.len(), 3);
    for (order, sample) in series.samples.iter().enumerate() {
        assert_eq!((sample.order, sample.round), (order, 0));
        assert_eq!(sample.outcome, bench::SampleOutcome::Ended { exit_code: 0 });
        let spans: u64 = sample.spans.iter().map(|span| span.duration_ns).sum();
        assert_eq!(sample.launch_to_exit_ns, Some(spans));
    }
    assert!(series.samples.is_sorted_by_key(|sample| sample.started_at));
    let metrics: Vec<_> = comparison.results.iter().map(|it| it.metric).collect();
    use bench::Metric;
    assert_eq!(metrics, [Metric::Main, Metric::Cpu, Metric::Gone]);
    let cpu_ns = |contender| {
        let mut samples = series.samples.iter();
        let sample = samples.find(|sample| sample.contender == contender);
        sample.unwrap().cpu_ns.unwrap()
    };
    // A guest's kernel is in it.
    let of_container = cpu_ns(bench::Contender::Container);
    assert!(of_container > 0 && of_container < cpu_ns(bench::Contender::VmCold));
    for row in comparison.results.iter().flat_map(|it| &it.rows) {
        assert_eq!(row.summary.unwrap().count, 1);
        let verdict = row.against.as_ref().map(|it| it.comparison.verdict);
        let expected = bench::statistics::Verdict::TooFewPairs;
        assert!(verdict.is_none_or(|verdict| verdict == expected));
    }
}

#[test]
fn memory_is_read_of_every_run_whose_command_is_still_there() {
    if !can_run(Side::Vm) {
        return;
    }
    let _place = Place::take(Side::Vm);
    let world = World::new();
    let seen = world.run([
        "compare",
        "--runs=2",
        "--budget-time=1ms",
        "--metrics=memory",
        "--json",
        "busybox",
        "sleep",
        "4",
    ]);
    assert_eq!(seen.code, Some(0), "{}", seen.stderr);
    world.assert_no_traces();
    assert_fits_the_schema(&seen.stdout);
    let comparison: bench::Comparison = serde_json::from_slice(&seen.stdout).unwrap();
    let samples = comparison.series.unwrap().samples;
    assert_eq!(samples.len(), 3);
    let bytes = |contender| {
        let sample = samples.iter().find(|sample| sample.contender == contender);
        let sample = sample.unwrap();
        // It was not waited for the end of the command.
        assert_eq!(sample.outcome, bench::SampleOutcome::Reached);
        sample.memory_bytes.unwrap()
    };
    // A guest's kernel and its page tables are in it.
    let of_container = bytes(bench::Contender::Container);
    assert!(of_container > 0 && of_container < bytes(bench::Contender::VmWarm));
    let [result] = &comparison.results[..] else {
        panic!("{:?}", comparison.results);
    };
    assert_eq!(result.metric, bench::Metric::Memory);
    assert_eq!(result.rows[0].summary.unwrap().p50, of_container);
}

#[test]
fn what_is_asked_of_the_hosts_kernel_is_counted_from_main_on() {
    if !is_root() || !can_run(Side::Vm) {
        return;
    }
    let _place = Place::take(Side::Vm);
    let seen = World::new().run([
        "compare",
        "--runs=1",
        "--budget-time=1ms",
        "--metrics=main",
        "--json",
        "busybox",
        "sh",
        "-c",
        "i=0; while [ $i -lt 50 ]; do : > /dev/null; i=$((i+1)); done; /bin/true; exit 0",
    ]);
    assert_eq!(seen.code, Some(0), "{}", seen.stderr);
    assert_fits_the_schema(&seen.stdout);
    let comparison: bench::Comparison = serde_json::from_slice(&seen.stdout).unwrap();
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
    if !can_run(Side::Vm) {
        return;
    }
    let _place = Place::take(Side::Vm);
    let world = World::new();
    let seen = world.run([
        "compare",
        "--runs=1",
        "--budget-time=1ms",
        "--against=none",
        "--metrics=idle,stop,gone",
        "--json",
        "busybox",
        "sleep",
        "1000",
    ]);
    assert_eq!(seen.code, Some(0), "{}", seen.stderr);
    world.assert_no_traces();
    assert_fits_the_schema(&seen.stdout);
    let comparison: bench::Comparison = serde_json::from_slice(&seen.stdout).unwrap();
    let samples = comparison.series.unwrap().samples;
    assert_eq!(samples.len(), 3);
    for sample in &samples {
        assert_eq!(sample.outcome, bench::SampleOutcome::Reached, "{sample:?}");
        assert!(sample.kill_to_exit_ns.unwrap() > 0);
        assert!(sample.exit_to_gone_ns.unwrap() > 0);
        assert_eq!(sample.launch_to_exit_ns, None);
        // Less than all that the host has.
        let minute_ns = 60_000_000_000 * comparison.environment.cpus as u64;
        assert!(sample.idle_cpu_ns.unwrap() < minute_ns, "{sample:?}");
    }
    use bench::Metric;
    let metrics: Vec<_> = comparison.results.iter().map(|it| it.metric).collect();
    assert_eq!(metrics, [Metric::Idle, Metric::Stop, Metric::Gone]);
}

#[test]
fn what_a_run_takes_of_the_disks_is_told_and_a_volume_is_among_that() {
    if !can_run(Side::Vm) {
        return;
    }
    let _place = Place::take(Side::Vm);
    let world = World::new();
    let data = world.dir().join("data");
    std::fs::create_dir(&data).unwrap();
    let volume = format!("{}:/data", data.display());
    // To the root, which is memory, and to the volume; what the one before left there counts not.
    let script = "rm -f /data/new; sleep 1; dd if=/dev/zero of=/big bs=64k count=16; \
                  dd if=/dev/zero of=/data/new bs=64k count=16; sync";
    let seen = world.run([
        "compare", "--runs=0", "--json", "-v", &volume, "busybox", "sh", "-c", script,
    ]);
    assert_eq!(seen.code, Some(0), "{}", seen.stderr);
    assert_fits_the_schema(&seen.stdout);
    let comparison: bench::Comparison = serde_json::from_slice(&seen.stdout).unwrap();
    const MIB: u64 = 1 << 20;
    for report in comparison.ways.as_ref().into_array() {
        let disk = report.disk.as_ref().unwrap();
        assert!(disk.image_bytes > 100 << 10, "{disk:?}");
        // The program itself is in it.
        assert!(disk.fixed_bytes > MIB, "{disk:?}");
        let is_warm = report.way == bench::Way::VmWarm;
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
    let seen = World::new().run([
        "compare",
        "--against=host,runc,crun,youki,bwrap",
        "--runs=1",
        "--budget-time=1ms",
        "--json",
        "--memory=128m",
        "busybox",
        "sh",
        "-c",
        // Nobody sees what another one has written, nor does the image.
        "test ! -e /proof && echo > /proof",
    ]);
    assert_eq!(seen.code, Some(0), "{}", seen.stderr);
    assert_fits_the_schema(&seen.stdout);
    let comparison: bench::Comparison = serde_json::from_slice(&seen.stdout).unwrap();
    let series = comparison.series.unwrap();
    let sample = |contender| {
        let mut samples = series.samples.iter();
        samples.find(|sample| sample.contender == contender)
    };
    let peers = bench::Peer::ALL.map(bench::Contender::Peer);
    let expected = [
        &[bench::Contender::HostProcess, bench::Contender::JaulaRun],
        &peers[..],
    ];
    let others: Vec<_> = comparison.others.iter().map(|it| it.contender).collect();
    assert_eq!(others, expected.concat());
    for other in &comparison.others {
        let bench::Contender::Peer(peer) = other.contender else {
            let ended = bench::Outcome::Ended {
                status: launch::ExitStatus::Exited(0),
                exit_code: 0,
            };
            assert_eq!(other.outcome, ended, "{other:?}");
            continue;
        };
        let is_timed = sample(other.contender).is_some();
        match &other.outcome {
            bench::Outcome::Ended { exit_code: 0, .. } => assert!(is_timed, "{other:?}"),
            // It can't run on this host, as crun with cgroups of both versions.
            bench::Outcome::Ended { .. } => assert!(!is_timed && other.complaint.is_some()),
            bench::Outcome::Ready => panic!("nothing was to be ready"),
            bench::Outcome::Failed { error, .. } => {
                assert!(!bench::processes::is_installed(peer.program()), "{other:?}");
                assert_eq!(error, "it is not installed");
            }
        }
    }
    let host_process = sample(bench::Contender::HostProcess).unwrap();
    assert!(host_process.launch_to_main_ns < host_process.launch_to_exit_ns);
    let whole = sample(bench::Contender::JaulaRun).unwrap();
    assert_eq!((whole.has_failed(), whole.launch_to_main_ns), (false, None));
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
fn what_is_ready_is_timed_until_then_and_ended() {
    if !can_run(Side::Vm) {
        return;
    }
    let _place = Place::take(Side::Vm);
    let seen = World::new().run([
        "compare",
        "--ready=log:^up: [0-9]+$",
        "--metrics=main,ready,memory",
        "--runs=1",
        "--json",
        "busybox",
        "sh",
        "-c",
        "echo up: soon; sleep 0.2; echo up: 1; sleep 1000",
    ]);
    assert_eq!(seen.code, Some(0), "{}", seen.stderr);
    assert_fits_the_schema(&seen.stdout);
    let comparison: bench::Comparison = serde_json::from_slice(&seen.stdout).unwrap();
    for report in comparison.ways.as_ref().into_array() {
        assert_eq!(report.outcome, bench::Outcome::Ready);
    }
    for sample in comparison.series.unwrap().samples {
        assert_eq!(sample.outcome, bench::SampleOutcome::Reached);
        let main = sample.launch_to_main_ns.unwrap();
        let ready = sample.launch_to_ready_ns.unwrap();
        assert!(ready > main + 200_000_000, "{main} {ready}");
        // Of what was ended then, it was read before.
        assert!(sample.memory_bytes.unwrap() > 0);
    }
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
fn of_a_child_without_memory_nothing_is_said_if_the_command_ends_well() {
    if !is_root() || !can_run(Side::Container) {
        return;
    }
    let script = "tail /dev/zero; exit 0";
    let seen = jaula(&["run", "-m", "32m", "busybox", "sh", "-c", script]);
    assert_eq!((seen.code, seen.stderr.as_str()), (Some(0), "Killed\n"));
}
