//! One test for each known way out of a container, or further into the host than a container may
//! go. Each fails when the defence that it names is taken away.

#![allow(clippy::unwrap_used)]

mod harness;
#[path = "security/hostile_images.rs"]
mod hostile_images;
#[path = "security/kernel_files.rs"]
mod kernel_files;
#[path = "security/privileges.rs"]
mod privileges;
mod probe;
#[path = "security/streams.rs"]
mod streams;
#[path = "security/syscalls.rs"]
mod syscalls;

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Stdio;

use harness::nobody::{is_root, run_as_nobody};
use harness::{JAULA, Seen, World, see};

/// What a script says in a container of root, which has the default capabilities.
fn output_of(script: &str) -> String {
    output_with(&[], script)
}

/// The same, with more flags of `jaula run`.
fn output_with(flags: &[&str], script: &str) -> String {
    let world = World::new();
    let seen = world.run([&["run"], flags, &["busybox", "sh", "-c", script]].concat());
    assert_eq!(seen.code, Some(0), "{}", seen.stderr);
    seen.stdout_text()
}

/// Runs a command in a root that means harm.
fn run_in(world: &World, root: &Path, command: &[&str]) -> Seen {
    let flags = ["run", "--rootfs", root.to_str().unwrap()];
    world.run([&flags, command].concat())
}

/// Root of a container may make device nodes (CAP_MKNOD is in docker's default set), so a node
/// of the host's disk can always be made. None that is made opens: mounts are nodev.
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

/// The nodes of `/dev` are the container's own: a change of their modes is none of the host's.
#[test]
fn the_hosts_device_nodes_are_not_those_of_a_container() {
    if !is_root() {
        return;
    }
    let host = fs::metadata("/dev/null").unwrap();
    let inside = output_of("stat -c %d:%i /dev/null");
    assert_ne!(inside, format!("{}:{}\n", host.dev(), host.ino()));
}

/// Until it executes its command, the process is jaula's own program in `/proc/self/exe`. An
/// image could have that executed, with a loader of its own, and overwrite it: no magic link is
/// executed.
#[test]
fn cve_2019_5736_the_hosts_binary_cant_be_executed_from_inside() {
    let world = World::new();
    let root = probe::root(&world);
    symlink("/proc/self/exe", root.join("link")).unwrap();
    for (name, interpreter) in [("script", "/proc/self/exe"), ("through", "/link")] {
        let path = root.join(name);
        fs::write(&path, format!("#!{interpreter}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    for program in ["/proc/self/exe", "/link", "/script", "/through"] {
        let seen = run_in(&world, &root, &[program, "--version"]);
        assert_eq!(
            (seen.code, seen.stdout_text().as_str()),
            (Some(126), ""),
            "{program}"
        );
    }
}

/// A program names its loader, which the kernel executes in its place.
#[test]
fn cve_2019_5736_the_hosts_binary_is_no_loader() {
    let world = World::new();
    let root = probe::root(&world);
    for (name, loader) in [
        ("self", c"/proc/self/exe"),
        ("other", c"/proc/1/exe"),
        ("gone", c"/missing"),
    ] {
        let path = root.join(name);
        fs::write(&path, program_with_loader(loader.to_bytes_with_nul())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    for (program, code) in [("/self", 126), ("/other", 126), ("/gone", 127)] {
        let seen = run_in(&world, &root, &[program]);
        assert_eq!(seen.code, Some(code), "{program}: {seen:?}");
    }
}

/// An x86-64 program (elf(5)) of one page, that has its loader behind its two segments.
fn program_with_loader(loader: &[u8]) -> Vec<u8> {
    const HEAD: u64 = 64;
    const SEGMENT: u64 = 56;
    let at = HEAD + 2 * SEGMENT;
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    // ET_DYN, EM_X86_64, EV_CURRENT.
    elf.extend([3, 0, 62, 0, 1, 0, 0, 0]);
    // Where it begins, where its segments are and that it has no sections.
    for long in [at, HEAD, 0] {
        elf.extend(long.to_le_bytes());
    }
    // No flags; sizes of the head and of a segment, two of those, none of sections.
    elf.extend([0; 4]);
    for half in [HEAD as u16, SEGMENT as u16, 2, 0, 0, 0] {
        elf.extend(half.to_le_bytes());
    }
    let length = loader.len() as u64;
    // PT_INTERP and PT_LOAD, both to be read and executed.
    for (kind, from, bytes) in [(3_u32, at, length), (1, 0, at + length)] {
        elf.extend(kind.to_le_bytes());
        elf.extend(5_u32.to_le_bytes());
        for long in [from, from, from, bytes, bytes, 0x1000] {
            elf.extend(long.to_le_bytes());
        }
    }
    elf.extend(loader);
    elf
}

/// A directory of the host that is open in the launcher, or in who started it, would be a way
/// out: no working directory and no program is reached through a descriptor.
#[test]
fn cve_2024_21626_no_descriptor_of_the_host_leads_out() {
    let world = World::new();
    let with_open_root = |args: &str| {
        let script = format!("exec 9</; exec \"$0\" run {args}");
        see(world.command("sh", ["-c", &script, JAULA]), b"")
    };
    for number in 3..24 {
        let seen = with_open_root(&format!("-w /proc/self/fd/{number} busybox true"));
        assert_eq!(seen.code, Some(125), "descriptor {number}: {}", seen.stderr);
        let program = format!("busybox /proc/self/fd/{number}/bin/true");
        // Not found, or found to be reached through a magic link.
        let code = with_open_root(&program).code;
        assert!(
            matches!(code, Some(126 | 127)),
            "descriptor {number}: {code:?}"
        );
    }
}

/// What hides a file in `/proc` is `/dev/null`. It is the container's own one, and not what an
/// image put in its place.
#[test]
fn cve_2025_31133_a_link_for_dev_null_hides_nothing_else() {
    let world = World::new();
    let root = probe::root(&world);
    fs::create_dir(root.join("dev")).unwrap();
    symlink("/proc/sys/kernel/hostname", root.join("dev/null")).unwrap();
    let script = "stat -c %t:%T /dev/null; \
                  test ! -e /proc/keys || stat -c %t:%T /proc/keys; cat /proc/keys";
    let seen = run_in(&world, &root, &["sh", "-c", script]);
    assert_eq!(seen.stdout_text(), "1:3\n1:3\n", "{seen:?}");
}

/// The command's terminal is bound to `/dev/console`. What an image has there, or at `/dev/pts`, is
/// hidden by a `/dev` that is the container's own before the terminal is looked for.
#[test]
fn cve_2025_52565_a_link_for_dev_console_leads_nowhere() {
    let world = World::new();
    let root = probe::root(&world);
    fs::create_dir_all(root.join("dev/pts")).unwrap();
    symlink("/proc/sys/kernel/hostname", root.join("dev/console")).unwrap();
    symlink("/etc/passwd", root.join("dev/pts/ptmx")).unwrap();
    symlink("/etc/passwd", root.join("dev/pts/0")).unwrap();
    let script = "stat -c %t:%T /dev/console /dev/pts/0; \
                  stat -c %F /proc/sys/kernel/hostname; echo seen >/dev/console";
    let rootfs = ["run", "-t", "--rootfs", root.to_str().unwrap()];
    let seen = world.run(rootfs.into_iter().chain(["sh", "-c", script]));
    assert_eq!(
        seen.stdout_text(),
        "88:0\r\n88:0\r\nregular empty file\r\nseen\r\n",
        "{seen:?}"
    );
}

/// What jaula writes to `/proc` must not go to files that an image put there: nothing is written
/// after the image is entered, and `/proc` is a mount of the kernel's on the image's directory.
#[test]
fn cve_2025_52881_a_fake_proc_is_not_written_to() {
    let world = World::new();
    let root = probe::root(&world);
    let files = [
        "setgroups",
        "uid_map",
        "gid_map",
        "attr/exec",
        "oom_score_adj",
    ];
    fs::create_dir_all(root.join("proc/self/attr")).unwrap();
    for file in files {
        fs::write(root.join("proc/self").join(file), "fake").unwrap();
    }
    let seen = run_in(
        &world,
        &root,
        &["sh", "-c", "cat /proc/self/attr/* /proc/1/comm"],
    );
    assert!(!seen.stdout_text().contains("fake"), "{seen:?}");
    for file in files {
        assert_eq!(
            fs::read_to_string(root.join("proc/self").join(file)).unwrap(),
            "fake"
        );
    }
}

/// A `/proc` that leads elsewhere would have a real one mounted there, and its masks nowhere: no
/// link is followed to where something is mounted. (CVE-2015-3629 and CVE-2023-27561 as well.)
#[test]
fn cve_2019_19921_a_proc_that_is_a_link_is_refused() {
    for name in ["proc", "sys", "dev"] {
        let world = World::new();
        let root = probe::root(&world);
        fs::create_dir(root.join("elsewhere")).unwrap();
        symlink("/elsewhere", root.join(name)).unwrap();
        let seen = run_in(&world, &root, &["true"]);
        assert_eq!(seen.code, Some(125), "{name}: {seen:?}");
        assert!(seen.stderr.contains(name), "{}", seen.stderr);
    }
}

/// With a cgroup file system of version 1, a container could name a program that the host runs:
/// there is none, none can be mounted, and no namespace can be made in which it could be.
#[test]
fn cve_2022_0492_no_cgroup_can_be_mounted() {
    let script = "mkdir -p /tmp/c; \
                  mount -t cgroup -o memory none /tmp/c 2>/dev/null && echo mounted; \
                  unshare -U true 2>/dev/null && echo user namespace; \
                  unshare -C true 2>/dev/null && echo cgroup namespace; \
                  find / -xdev -name release_agent 2>/dev/null; true";
    assert_eq!(output_of(script), "");
}

/// A runtime's descriptors are open to who may trace the process that enters. Here it closes
/// them before the command runs, those that it inherited as well, and process 1 is the first one
/// in its namespace.
#[test]
fn cve_2016_9962_no_descriptor_but_the_streams_is_open_in_process_1() {
    let world = World::new();
    let script = "exec 9</; exec \"$0\" run busybox sh -c 'true; ls /proc/1/fd'";
    let seen = see(world.command("sh", ["-c", script, JAULA]), b"");
    assert_eq!(seen.stdout_text(), "0\n1\n2\n3\n", "{seen:?}");
}

/// An ordinary user's container must not be able to write to the user's cgroups: none is mounted,
/// and `/sys` is read-only. (CVE-2023-28642 as well.)
#[test]
fn cve_2023_25809_no_cgroup_is_writable() {
    let script = "touch -c /sys/fs/cgroup 2>/dev/null && echo writable; \
                  mount -o remount,rw /sys 2>/dev/null && echo remounted; \
                  grep -c cgroup /proc/mounts; true";
    assert_eq!(output_of(script), "0\n");
    if is_root() {
        let world = World::new();
        let seen = run_as_nobody(&world, &["run", "busybox", "sh", "-c", script]);
        assert_eq!(
            (seen.code, seen.stdout_text().as_str()),
            (Some(0), "0\n"),
            "{}",
            seen.stderr
        );
    }
}

/// Who shares a volume with a container that starts could exchange a mount point in it for a link
/// after it was looked up, and have the mount made where the link leads on the host. It is looked
/// up once, inside the root, and what was found is mounted on.
#[test]
fn cve_2021_30465_a_mount_point_that_is_exchanged_stays_in_the_root() {
    let world = World::new();
    let [shared, other, outside] = ["shared", "other", "outside"].map(|name| {
        let dir = world.dir().join(name);
        fs::create_dir(&dir).unwrap();
        dir
    });
    let (point, link) = (shared.join("point"), shared.join("link"));
    fs::create_dir(&point).unwrap();
    // Inside the root it leads nowhere.
    symlink(&outside, &link).unwrap();
    let run = || {
        let volumes = [(&shared, "/v"), (&other, "/v/point")]
            .map(|(dir, target)| format!("{}:{target}", dir.display()));
        let [first, second] = volumes.each_ref().map(String::as_str);
        let inside = outside.display();
        let script = format!("grep -cE ' (/v/point|/v/link|{inside}) ' /proc/mounts");
        let flags = ["run", "-v", first, "-v", second, "busybox"];
        let seen = world.run(flags.into_iter().chain(["sh", "-c", &script]));
        match seen.code {
            // The link was looked at when its directory was not there yet, or not any more.
            Some(125) => {}
            _ => assert_eq!(seen.stdout_text(), "1\n", "{}", seen.stderr),
        }
    };
    std::thread::scope(|scope| {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        scope.spawn(|| {
            let stopped = stopped;
            let (from, to) = (&point, &link);
            while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                let exchange = nix::fcntl::RenameFlags::RENAME_EXCHANGE;
                nix::fcntl::renameat2(
                    nix::fcntl::AT_FDCWD,
                    from,
                    nix::fcntl::AT_FDCWD,
                    to,
                    exchange,
                )
                .unwrap();
            }
        });
        (0..20).for_each(|_| run());
        drop(stop);
    });
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

/// What is written to a file of `/proc`, by the runtime or by who enters later, would end where
/// the mount is.
#[test]
fn cve_2023_27561_nothing_is_mounted_on_proc_through_a_link() {
    let world = World::new();
    let root = probe::root(&world);
    for to in ["/proc", "/proc/self", "/proc/sys/kernel", "/proc/self/fd"] {
        let link = root.join("link");
        symlink(to, &link).unwrap();
        let flags = [
            "run",
            "--tmpfs",
            "/link",
            "--rootfs",
            root.to_str().unwrap(),
        ];
        let seen = world.run(flags.into_iter().chain(["true"]));
        assert_eq!(seen.code, Some(125), "{to}: {seen:?}");
        assert!(seen.stderr.contains("/link"), "{to}: {}", seen.stderr);
        fs::remove_file(link).unwrap();
    }
}

/// What is pushed into the terminal that jaula was started from, a shell reads after it: the
/// command gets no descriptor of it, and has a session of its own, of which it is not the
/// terminal.
#[test]
fn cve_2017_5226_nothing_is_pushed_into_the_terminal() {
    let world = World::new();
    let terminal = nix::pty::openpty(None, None).unwrap();
    let root = probe::root(&world);
    let root = root.to_str().unwrap();
    let setsid = ["--wait", "--ctty", JAULA, "run", "-i", "--rootfs", root];
    let probe = probe::command(&world, "push_a_character_into_the_terminal");
    let probe = probe.iter().map(String::as_str);
    let mut command = world.command("setsid", setsid.into_iter().chain(probe));
    command.stdin(Stdio::from(File::from(terminal.slave)));
    let no_terminal = format!("a stream: errno {}\n", libc::ENOTTY).repeat(3);
    assert_eq!(
        probe::said(&see(command, b"")),
        format!(
            "{no_terminal}the terminal of the session: errno {}\n",
            libc::ENXIO
        )
    );
}

/// The kernel's cryptography and the host's virtual machines are nothing that a container needs.
#[test]
fn sockets_that_reach_into_the_kernel_are_refused() {
    let said = probe::run(&World::new(), &[], "open_sockets_of_all_kinds");
    let refused = libc::EPERM;
    assert_eq!(
        said,
        format!(
            "unix: done\ninet: done\nnetlink: done\nalg: errno {refused}\nvsock: errno {refused}\n"
        )
    );
}

/// The calls of 32-bit programs, which any program can make, are no way around the filter.
#[test]
fn calls_of_32_bit_programs_are_filtered_as_well() {
    let said = probe::run(&World::new(), &[], "call_as_a_32_bit_program");
    let refused = libc::EPERM;
    assert_eq!(
        said,
        format!(
            "getpid: done\nsocket inet: done\nsocket alg: errno {refused}\n\
             socketcall: errno {refused}\nunshare: errno {refused}\n"
        )
    );
}

/// A container in which others run already.
struct Entered {
    world: World,
    name: String,
}

impl Entered {
    /// `args` are those of `jaula run -d`; its command says "ready" when it may be entered.
    fn run(world: World, args: &[&str]) -> Self {
        let name = format!("{}0", world.name_prefix());
        let run = ["run", "-d", "--name", &name];
        let started = world.run([&run[..], args].concat());
        assert_eq!(started.code, Some(0), "{}", started.stderr);
        let start = std::time::Instant::now();
        while !world.run(["logs", &name]).stdout_text().contains("ready") {
            assert!(start.elapsed().as_secs() < 60, "it never comes");
        }
        Self { world, name }
    }

    fn exec(&self, flags: &[&str], command: &[&str]) -> Seen {
        self.world
            .run([&["exec"], flags, &[&self.name], command].concat())
    }

    fn end(&self) {
        self.world.run(["rm", "-f", &self.name]);
        self.world.assert_no_traces();
    }
}

/// What a process in a container with these flags sees of those that enter it.
fn seen_of_who_enters(flags: &[&str]) -> String {
    let world = World::new();
    let root = probe::root(&world);
    let command = probe::command(&world, "look_at_who_enters");
    let command = command.iter().map(String::as_str);
    let rootfs = ["--rootfs", root.to_str().unwrap()];
    let args = [flags, &rootfs].concat().into_iter().chain(command);
    let entered = Entered::run(world, &args.collect::<Vec<_>>());
    // It is not lost if it is lost.
    let jaula = entered.world.dir().join("jaula");
    fs::copy(JAULA, &jaula).unwrap();
    // So that there is time to look, before the command is found in the last place.
    let path = format!("PATH={}/bin", "/n:".repeat(5000));
    for _ in 0..10 {
        let exec = ["-c", "exec 9</; exec \"$@\"", "sh", jaula.to_str().unwrap()];
        let args = ["exec", "-e", &path, &entered.name, "true"];
        let args = [&exec[..], &args].concat();
        let seen = see(entered.world.command("sh", args), b"");
        assert_eq!((seen.code, seen.stderr.as_str()), (Some(0), ""));
    }
    // Not the copy, which must not be executed when it is written to.
    entered.exec(&[], &["sh", "-c", ": >/stop"]);
    assert_eq!(
        entered.world.run(["wait", &entered.name]).stdout_text(),
        "0\n"
    );
    let said = probe::said(&entered.world.run(["logs", &entered.name]));
    assert!(
        fs::read(jaula).unwrap() == fs::read(JAULA).unwrap(),
        "{said}"
    );
    entered.end();
    said
}

/// Who enters a container later is jaula's own program, too, until it is the command. Nobody in
/// there may look at it; who may look at everything can't write to it.
#[test]
fn cve_2019_5736_the_hosts_binary_is_not_overwritten_when_it_enters() {
    if !is_root() {
        return;
    }
    assert_eq!(
        seen_of_who_enters(&[]),
        "ready\nseen: false\ndirectories: 0\n"
    );
    assert_eq!(
        seen_of_who_enters(&["--cap-add", "SYS_PTRACE"]),
        format!(
            "ready\nseen: true\ndirectories: 0\nkept: errno {}\n",
            libc::EROFS
        )
    );
}

/// As with the command that an instance was made for.
#[test]
fn cve_2024_21626_no_descriptor_of_who_enters_leads_out() {
    let script = "echo ready; sleep 1000";
    let entered = Entered::run(World::new(), &["busybox", "sh", "-c", script]);
    let with_open_root = |args: &str| {
        let script = format!("exec 9</; exec \"$0\" exec {args}");
        see(entered.world.command("sh", ["-c", &script, JAULA]), b"")
    };
    let name = &entered.name;
    for number in 3..24 {
        let seen = with_open_root(&format!("-w /proc/self/fd/{number} {name} true"));
        assert_eq!(seen.code, Some(125), "descriptor {number}: {}", seen.stderr);
        let program = format!("{name} /proc/self/fd/{number}/bin/true");
        let code = with_open_root(&program).code;
        assert!(
            matches!(code, Some(126 | 127)),
            "descriptor {number}: {code:?}"
        );
    }
    let seen = with_open_root(&format!("{name} sh -c 'ls /proc/$$/fd; true'"));
    assert_eq!(seen.stdout_text(), "0\n1\n2\n", "{}", seen.stderr);
    assert_eq!(entered.exec(&[], &["/proc/self/exe"]).code, Some(126));
    entered.end();
}

/// Nothing of a container's `/proc` is read or written on the way into it.
#[test]
fn cve_2025_52881_a_fake_proc_is_not_written_to_by_who_enters() {
    if !is_root() {
        return;
    }
    let script = "mount -t tmpfs none /proc && mkdir -p /proc/self/attr /proc/self/fd && \
                  for file in attr/exec uid_map setgroups oom_score_adj exe fd/3; do \
                      echo fake >/proc/self/$file; \
                  done; echo ready; sleep 1000";
    let flags = ["--cap-add", "SYS_ADMIN", "busybox", "sh", "-c", script];
    let entered = Entered::run(World::new(), &flags);
    let command = "cat /proc/self/attr/exec /proc/self/uid_map /proc/self/setgroups \
                   /proc/self/oom_score_adj /proc/self/exe /proc/self/fd/3; tty";
    for flags in [&[][..], &["-t"]] {
        let seen = entered.exec(flags, &["sh", "-c", command]);
        let said = seen.stdout_text().replace('\r', "");
        assert!(said.starts_with(&"fake\n".repeat(6)), "{seen:?}");
    }
    entered.end();
}

/// Whatever a container makes of its files, who enters it fails in a sentence or does not care.
#[test]
fn what_a_container_makes_of_its_files_is_no_trap_for_who_enters() {
    if !is_root() {
        return;
    }
    let script = "rm -f /etc/passwd /etc/group; mkfifo /etc/passwd; ln -s group /etc/group; \
                  mkdir /gone; cp /bin/busybox /loop; ln -sf /loop2 /loop3; ln -sf /loop3 /loop2; \
                  mount -t tmpfs none /dev/pts && mkfifo /dev/pts/ptmx; echo ready; sleep 1000";
    let flags = ["--cap-add", "SYS_ADMIN", "busybox", "sh", "-c", script];
    let entered = Entered::run(World::new(), &flags);
    for (flags, command, code, said) in [
        (&["-u", "daemon"][..], "true", 125, "/etc/passwd"),
        (&["-u", "1:daemon"], "true", 125, "/etc/passwd"),
        (&["-t"], "true", 125, "opening a terminal"),
        (&["-w", "/loop2"], "true", 125, "working directory"),
        (&["-w", "/loop"], "true", 125, "working directory"),
        (&[], "/loop2", 126, "/loop2"),
        (&[], "/etc/passwd", 126, "/etc/passwd"),
    ] {
        let seen = entered.exec(flags, &[command]);
        assert_eq!(seen.code, Some(code), "{flags:?}: {}", seen.stderr);
        assert!(seen.stderr.contains(said), "{flags:?}: {}", seen.stderr);
        assert_eq!(seen.stderr.lines().count(), 1, "{}", seen.stderr);
    }
    assert_eq!(entered.exec(&[], &["true"]).code, Some(0));
    entered.end();
}
