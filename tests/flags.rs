//! Each of docker's flags through the binary: what it does, or that it is refused and by what name.

#![allow(clippy::unwrap_used)]

mod harness;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use harness::nobody::is_root;
use harness::oci;
use harness::refused::{assert_not_done, assert_refused};
use harness::{Seen, World, can_run};
use launch::Side;

/// Runs `script` in a container with these flags; it must end with 0.
fn told(world: &World, flags: &[&str], script: &str) -> String {
    let args = [&["run"], flags, &["busybox", "sh", "-c", script]].concat();
    let seen: Seen = world.run(args);
    assert_eq!(seen.code, Some(0), "{flags:?}: {}", seen.stderr);
    seen.stdout_text()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn what_is_typed_wrong_is_refused_by_the_name_of_its_flag() {
    for (flag, value, says) in [
        ("--volume", "srv:d", "absolute path"),
        ("-v", "/s:/d:rx", "--volume"),
        ("--mount", "type=nfs,dst=/d", "--mount"),
        ("--tmpfs", "t", "--tmpfs"),
        ("--device", "fuse", "--device"),
        ("--ulimit", "files=1", "--ulimit"),
        ("--cap-add", "EVERYTHING", "--cap-add"),
        ("--cap-drop", "CAP_", "--cap-drop"),
        ("--security-opt", "apparmor=x", "--security-opt"),
        ("--network", "container:x", "--network"),
        ("-p", "web", "--publish"),
        ("--dns", "dns.example", "--dns"),
        ("--add-host", "db", "--add-host"),
        ("--group-add", "", "--group-add"),
        ("--memory-swap", "64m", "--memory"),
        ("--cpuset-cpus", "1-", "--cpuset-cpus"),
        ("--stop-signal", "STOPPED", "--stop-signal"),
        ("--stop-timeout", "soon", "--stop-timeout"),
        ("--label", "=x", "--label"),
        ("--pull", "sometimes", "--pull"),
        ("--env-file", "/nonexistent", "/nonexistent"),
        ("--security-opt", "seccomp=/nonexistent", "/nonexistent"),
    ] {
        let world = World::new();
        let seen = world.run(["run", flag, value, "busybox", "true"]);
        assert_refused(&world, &seen, &[says]);
    }
}

#[test]
fn no_limit_of_processes_is_written_as_dockers() {
    if !can_run(Side::Container) {
        return;
    }
    let world = World::new();
    for none in ["-1", "0"] {
        let flags = ["--pids-limit", none];
        assert_eq!(told(&world, &flags, "echo 1 | cat | cat"), "1\n");
    }
}

#[test]
fn flags_that_contradict_each_other_are_refused() {
    for (flags, names) in [
        (
            &["-m", "64m", "--memory-swap", "32m"][..],
            &["--memory-swap", "--memory"][..],
        ),
        (
            &["--network", "none", "-p", "80"],
            &["--publish", "--network bridge"],
        ),
        (
            &["--network", "none", "-P"],
            &["--publish-all", "--network bridge"],
        ),
        (
            &["--network", "host", "-p", "80"],
            &["--publish", "--network bridge"],
        ),
        (
            &["-v", "/tmp:/d", "--tmpfs", "/d"],
            &["more than one mount", "/d"],
        ),
    ] {
        let world = World::new();
        let args = [&["run"], flags, &["busybox", "true"]].concat();
        assert_refused(&world, &world.run(args), names);
    }
}

#[test]
fn a_vm_refuses_by_its_flag_what_it_can_not_honour() {
    if !can_run(Side::Vm) {
        return;
    }
    for (flags, name) in [
        (&["--device", "/dev/null"][..], "--device with"),
        (&["--network", "host"], "--network host"),
        (&["-m", "64m", "--memory-swap", "64m"], "--memory-swap"),
        (
            &["--security-opt", "seccomp=DIR/profile"],
            "--security-opt seccomp",
        ),
    ] {
        let world = World::new();
        fs::write(world.dir().join("profile"), "{}").unwrap();
        let flags: Vec<_> = flags
            .iter()
            .map(|flag| flag.replace("DIR", text(world.dir())))
            .collect();
        let args = ["run", "--as", "vm"].into_iter();
        let args = args.chain(flags.iter().map(String::as_str));
        let seen = world.run(args.chain(["busybox", "true"]));
        assert_refused(&world, &seen, &[name, "--as vm"]);
    }
}

#[test]
fn variables_come_from_files_and_are_replaced_by_those_that_are_typed() {
    let world = World::new();
    let file = world.dir().join("env");
    fs::write(&file, "A=1\n# B=2\nC=\"3 \"\nD=4\n").unwrap();
    let said = told(
        &world,
        &["-e", "D=5", "--env-file", text(&file)],
        "echo \"$A,$B,$C,$D\"",
    );
    assert_eq!(said, "1,,\"3 \",5\n");
}

#[test]
fn groups_are_added_by_number_and_by_the_images_names() {
    if is_root() {
        let world = World::new();
        let said = told(
            &world,
            &["--group-add", "4321", "--group-add", "root"],
            "id -G",
        );
        assert!(
            said.split_whitespace().any(|group| group == "4321"),
            "{said}"
        );
        let seen = world.run(["run", "--group-add", "no-such", "busybox", "true"]);
        assert_refused(&world, &seen, &["no-such", "/etc/group"]);
    }
}

#[test]
fn an_empty_entrypoint_is_none() {
    let world = World::new();
    let seen = world.run(["run", "--entrypoint", "", "busybox", "echo", "x"]);
    assert_eq!(seen.stdout_text(), "x\n", "{}", seen.stderr);
    let seen = world.run(["run", "--entrypoint", "", "busybox"]);
    assert_refused(&world, &seen, &["no command"]);
}

#[test]
fn a_directory_of_the_host_is_mounted_and_made_by_volume_only() {
    let world = World::new();
    let dir = world.dir().join("made/here");
    let volume = format!("{}:/d", text(&dir));
    told(&world, &["-v", &volume], "echo x > /d/file");
    assert_eq!(fs::read_to_string(dir.join("file")).unwrap(), "x\n");

    let read_only = format!("{volume}:ro");
    let said = told(
        &world,
        &["-v", &read_only],
        "cat /d/file; ! touch /d/new 2>&-",
    );
    assert_eq!(said, "x\n");
    assert!(!dir.join("new").exists());

    let mount = format!("type=bind,src={}/missing,dst=/d", text(world.dir()));
    let seen = world.run(["run", "--mount", &mount, "busybox", "true"]);
    assert_refused(&world, &seen, &["missing", "No such file"]);
}

#[test]
fn a_tmpfs_has_what_was_asked_for() {
    let world = World::new();
    let script = "grep ' /t ' /proc/mounts; stat -c %a /t";
    let said = told(&world, &["--tmpfs", "/t:size=1m,mode=700"], script);
    assert!(
        said.contains("size=1024k") && said.contains("noexec"),
        "{said}"
    );
    assert!(said.ends_with("\n700\n"), "{said}");
    let said = told(&world, &["--mount", "type=tmpfs,dst=/t"], script);
    assert!(said.ends_with("\n1777\n"), "{said}");
    let said = told(&world, &["--tmpfs", "/t:exec,ro"], script);
    assert!(said.contains(" ro,") && !said.contains("noexec"), "{said}");
}

/// As in Debian's images, where `/var/run` leads to `/run`, which may be missing.
#[test]
fn a_mount_point_that_is_a_link_to_nothing_is_made_where_it_leads() {
    let world = World::new();
    let root = world.dir().join("root");
    oci::busybox(&root);
    symlink("/run/it", root.join("var")).unwrap();
    let (dir, file) = (world.dir().join("dir"), world.dir().join("file"));
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("in"), "").unwrap();
    fs::write(&file, "of the file\n").unwrap();
    let volumes = [(&dir, "/var/lib"), (&file, "/var/cache/file")]
        .map(|(from, to)| format!("{}:{to}", text(from)));
    let [first, second] = volumes.each_ref().map(String::as_str);
    let script = "ls /run/it/lib /var/lib; cat /run/it/cache/file";
    let flags = ["run", "-v", first, "-v", second, "--rootfs", text(&root)];
    let seen = world.run(flags.into_iter().chain(["sh", "-c", script]));
    let said = seen.stdout_text();
    assert_eq!(
        said, "/run/it/lib:\nin\n\n/var/lib:\nin\nof the file\n",
        "{seen:?}"
    );
    assert!(!root.join("run").exists());
}

#[test]
fn an_anonymous_volume_is_writable_in_a_read_only_root() {
    let world = World::new();
    let flags = ["--read-only", "-v", "/etc"];
    told(&world, &flags, "touch /etc/new && ! touch /new 2>&-");
    assert!(!world.dir().join("data/volumes").exists());
}

#[test]
fn a_named_volume_begins_with_what_the_image_has_and_outlives_its_container() {
    let world = World::new();
    let said = told(
        &world,
        &["-v", "conf:/etc"],
        "cat /etc/passwd; echo x > /etc/new",
    );
    assert!(said.contains("root:"), "{said}");
    assert_eq!(told(&world, &["-v", "conf:/c"], "cat /c/new"), "x\n");
    assert_eq!(
        told(
            &world,
            &["-v", "bare:/etc:nocopy"],
            "ls /etc | grep -c passwd || :"
        ),
        "0\n"
    );

    assert_eq!(world.run(["volume", "ls"]).stdout_text(), "bare\nconf\n");
    let inspected = world.run(["volume", "inspect", "conf"]).stdout_text();
    let dir = world.dir().join("data/volumes/conf");
    assert!(inspected.contains(text(&dir)), "{inspected}");
    assert_eq!(world.run(["volume", "rm", "conf", "bare"]).code, Some(0));
    assert_eq!(world.run(["volume", "ls"]).stdout_text(), "");
    let seen = world.run(["volume", "rm", "conf"]);
    assert_not_done(&seen, &["no volume conf", "jaula volume ls"]);
}

#[test]
fn a_volume_that_a_container_uses_is_not_removed() {
    let world = World::new();
    let mut command = world.jaula(["run", "-i", "-v", "busy:/d", "busybox", "cat"]);
    let mut child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    // What comes back says that it runs.
    std::io::Write::write_all(&mut stdin, b"x").unwrap();
    std::io::Read::read_exact(&mut stdout, &mut [0]).unwrap();
    let seen = world.run(["volume", "rm", "busy"]);
    drop(stdin);
    assert_eq!(harness::wait(&mut child).code(), Some(0));
    assert_not_done(&seen, &["busy", "in use"]);
    assert_eq!(world.run(["volume", "rm", "busy"]).code, Some(0));
}

#[test]
fn limits_of_processes_and_capabilities_are_what_was_asked_for() {
    let world = World::new();
    let said = told(
        &world,
        &["--ulimit", "nofile=99:100"],
        "ulimit -n; ulimit -Hn",
    );
    assert_eq!(said, "99\n100\n");
    let flags = ["--cap-drop", "ALL", "--cap-add", "CHOWN"];
    let said = told(&world, &flags, "grep CapBnd /proc/self/status");
    assert!(said.ends_with("0000000000000001\n"), "{said}");
    let flags = ["--security-opt", "no-new-privileges=false"];
    let said = told(&world, &flags, "grep NoNewPrivs /proc/self/status");
    assert!(said.ends_with("\t0\n"), "{said}");
    let flags = [
        "--security-opt",
        "seccomp=unconfined",
        "--security-opt",
        "no-new-privileges",
    ];
    let said = told(
        &world,
        &flags,
        "grep -E 'NoNewPrivs|Seccomp:' /proc/self/status",
    );
    assert_eq!(said, "NoNewPrivs:\t1\nSeccomp:\t0\n");
}

#[test]
fn names_are_resolved_as_was_asked() {
    let world = World::new();
    let flags = ["--add-host", "db:10.0.0.7", "--dns", "10.0.0.8"];
    let said = told(&world, &flags, "cat /etc/hosts /etc/resolv.conf");
    assert!(
        said.contains("10.0.0.7\tdb") || said.contains("10.0.0.7 db"),
        "{said}"
    );
    assert!(said.contains("nameserver 10.0.0.8"), "{said}");
}

#[test]
fn help_fits_eighty_columns() {
    for command in ["run", "compare", "volume"] {
        let help = World::new().run([command, "--help"]).stdout_text();
        let widest = help
            .lines()
            .max_by_key(|line| line.chars().count())
            .unwrap();
        assert!(widest.chars().count() <= 80, "{command}: {widest}");
    }
}
